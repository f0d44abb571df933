#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Stands for vm/run where the bench is tried: prints what its programs would, the same
figures for each kernel."""

import json
import sys

ORDERS = 11
WAY = {"adopted": 0, "extracted": 90, "merged": 10, "copied": 0}
MEMORY = {"free_bytes": 1 << 27, "free_order9": 60, "unusable_index_order9": 0.1,
          "extfrag_index_order9": -1.0, "direct_map_4k_bytes": 1 << 24,
          "page_blocks": {"Unmovable": 3, "Reclaimable": 4, "Movable": 5, "HighAtomic": 0}}


def say(part, **what):
    print(json.dumps({"part": part, **what}))


def cost(options):
    given = dict(zip(options[::2], options[1::2]))
    if "--growth" in given:
        for caching in "cached", "wc":
            for power in range(1, 4):
                say("growth", caching=caching, bytes=(1 << 20) << power,
                    backup_ns=1000 << power, restore_ns=2000 << power)
        return
    where = given.get("--swap-name", "zram")
    states = given.get("--states", "resident").split(",")
    states = [where if s == "swapped" else s for s in states]
    for order in map(int, given["--orders"].split(",")):
        for caching in "cached", "wc":
            parts = [(op, "resident") for op in ("fault", "backup", "purge")]
            parts += [("backup", "swapcache")] * ("swapcache" in states)
            parts += [(op, s) for s in states + ["drained"] for op in ("restore", "drop")]
            for op, state in parts:
                say("cost", op=op, state=state, caching=caching, order=order,
                    ns=1000 if op == "fault" else 9000, cpu_ns=9000, pages_allocated=0)


def cycle(percent, rounds, _thp=""):
    say("cycle", percent=int(percent), rounds=int(rounds), completed=True, fill_ns=1e9,
        read_ns=1e9, oom_kill=0, thp_swpout=5, thp_swpout_fallback=0, pswpout=2600,
        pages_by_order=[1000 // ORDERS] * ORDERS, before=MEMORY, full=MEMORY, after=MEMORY,
        **{f"restored_{way}_pages": pages for way, pages in WAY.items()})


def behave(test, values, cpus):
    mib = 1 << 20
    if test in ("peak", "reserve"):
        for percent in map(int, values):
            say(test, percent=percent, bytes=mib, peak_bytes=0, allocated_bytes=0,
                backed_up_bytes=mib, oom_kills=0)
    elif test == "cycle":
        cycle(*values)
    elif test == "latency":
        say(test, p50_ns=1e4, p99_ns=1e5, p999_ns=1e6, max_ns=1e7, total_ns=1e9)
    elif test == "spinner":
        say(test, unfair=values[-1] == "unfair", longest_ns=1e6, total_ns=1e7)
    elif test == "readback":
        say(test, bytes=mib, read_ns=1e9)
    elif test == "oom":
        say(test, contents=values[2], killed=0, total_ns=1e9, max_ns=1e8)
    elif test == "hibernate":
        say(test, error=0, peak_bytes=mib, allocated_bytes=mib, prepare_ns=1e9, swapped_bytes=mib)
    elif test in ("flush", "limit"):
        for caching in "cached", "wc":
            say(test, caching=caching, cpus=cpus, bytes=mib, backup_ipis=4, restore_ipis=4,
                ns=2e6, ipis=4, pages_allocated=4)
    else:
        sys.exit(f"no such test: {test}")


def main():
    options, command = sys.argv[1:], []
    if "--help" in options:
        print(__doc__)
        return
    if "--" in options:
        options, command = options[:options.index("--")], options[options.index("--") + 1:]
    if "--log" in options:
        with open(options[options.index("--log") + 1], "w", encoding="ascii") as log:
            log.write("[    1.5] PM: hibernation: hibernation entry\n"
                      "[    4.0] PM: hibernation: Wrote 8 kbytes in 1.00 seconds (8.00 MB/s)\n")
    if command[0].endswith(".sh"):
        command = command[1:]
    cpus = 1 if "--icount" in options else 2
    if "--cpus" in options:
        cpus = int(options[options.index("--cpus") + 1])
    if command[0].endswith("bench-cost"):
        cost(command[1:])
    else:
        behave(command[1], command[2:], cpus)


main()
