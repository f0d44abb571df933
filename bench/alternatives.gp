# SPDX-License-Identifier: GPL-2.0 OR MIT
# The plot of docs/alternatives.md, from the data that bench/report prepared.

set output "alternatives-cost.svg"
set multiplot layout 1,2
set logscale y
set xtics (0, 4, 9)
set xrange [-0.5:9.5]
set yrange [1e3:2e7]
set format y "10^{%L}"
set xlabel "order of the pages"
set key bottom left
set title "backup, write-combined"
set ylabel "instructions for 2 MiB"
plot "alternatives" using 1:2 with linespoints ls 1 title "upstream", \
     "alternatives" using 1:3 with linespoints ls 2 title "this series", \
     "alternatives" using 1:4 with linespoints ls 4 title "native shmem"
set title "restore, write-combined"
unset ylabel
plot "alternatives" using 1:5 with linespoints ls 1 title "upstream", \
     "alternatives" using 1:6 with linespoints ls 2 title "this series", \
     "alternatives" using 1:7 with linespoints ls 4 title "native shmem"
unset multiplot
