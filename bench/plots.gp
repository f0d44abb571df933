# SPDX-License-Identifier: GPL-2.0 OR MIT
# The plots of docs/results.md, from the data that bench/report prepared.

set output "results-cost.svg"
set multiplot layout 1,2
set logscale y
set xtics (0, 2, 4, 6, 9)
set xrange [-0.5:9.5]
set yrange [1e3:2e7]
set format y "10^{%L}"
set xlabel "order of the pages"
set key bottom left
set title "backup, cached"
set ylabel "instructions for 2 MiB"
plot "cost" using 1:2 with linespoints ls 1 title "upstream", \
     "cost" using 1:3 with linespoints ls 2 title "zero\\_copy=1", \
     "cost" using 1:4 with linespoints ls 3 title "purge (free only)"
set title "restore of what is resident, cached"
unset ylabel
plot "cost" using 1:5 with linespoints ls 1 title "upstream", \
     "cost" using 1:6 with linespoints ls 2 title "zero\\_copy=1"
unset multiplot

set output "results-reserve.svg"
unset logscale
set format y "%g"
set title "GPU memory that direct reclaim gets backed up"
set xlabel "free memory when reclaim starts, in % of the min watermark"
set ylabel "% of the buffers"
set xrange [210:0]
set yrange [0:110]
set xtics auto
set key bottom left
plot "reserve" using 1:4 with linespoints ls 2 title "zero\\_copy=1", \
     "reserve" using 1:2 with linespoints ls 1 title "upstream"

set output "results-sweep.svg"
set title "reading all buffers once, after filling them"
set xlabel "buffers, in multiples of RAM"
set ylabel "guest seconds (emulated)"
set xrange [0:*]
set yrange [0:*]
set key top left
plot "sweep" using 1:2 with linespoints ls 1 title "upstream", \
     "sweep" using 1:3 with linespoints ls 2 title "zero\\_copy=1"

set output "results-growth.svg"
set title "cost against the size of the buffer, cached"
set logscale xy
set format y "10^{%L}"
set xlabel "MiB"
set ylabel "instructions"
set xrange [1:2048]
set yrange [1e3:*]
plot "growth" using 1:2 with linespoints ls 1 title "upstream, backup", \
     "growth" using 1:3 with linespoints ls 4 title "upstream, restore", \
     "growth" using 1:4 with linespoints ls 2 title "zero\\_copy=1, backup", \
     "growth" using 1:5 with linespoints ls 3 title "zero\\_copy=1, restore"
