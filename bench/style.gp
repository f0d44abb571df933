# SPDX-License-Identifier: GPL-2.0 OR MIT
# What all plots have in common.

set terminal svg size 760,400 enhanced background "white" font "sans-serif,13"
set grid ytics lc rgb "#d0d0d0"
set border 3
set tics nomirror out
set style line 1 lc rgb "#b03a2e" lw 2.5 pt 7 ps 0.7
set style line 2 lc rgb "#1f618d" lw 2.5 pt 5 ps 0.7
set style line 3 lc rgb "#7f8c8d" lw 2 dt 2 pt 9 ps 0.7
set style line 4 lc rgb "#d68910" lw 2.5 pt 11 ps 0.7
