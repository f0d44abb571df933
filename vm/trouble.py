#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Print the number of the first line of a kernel's log that says that something is wrong
with it, or nothing.

    vm/trouble.py [--expect-warn RE] [--allow-oom] [--races FILE] LOG

A WARN with a line that matches RE is no trouble, nor is its trace. A process that is
killed for lack of memory in the whole machine is trouble, unless that is allowed; one that
is killed within a memory cgroup is none. With --races, nor is a data race, as KCSAN reports
it, that has no function in either of its stacks that FILE has, which is one a line.
"""

import argparse
import re
import sys

OOM = "Out of memory: Killed process"
TROUBLE = [
    r"------------\[ cut here \]", "WARNING: ", "BUG: ", "kernel BUG at ", "Oops: ",
    "Kernel panic", "general protection fault", "unable to handle ", "Bad page state",
    "invalid opcode: ", "INFO: task .* blocked for more than", "INFO: possible ",
    "possible circular locking", "inconsistent lock state", "suspicious RCU usage",
    "rcu: INFO: .* detected .*stall", "soft lockup", OOM, "UBSAN: ", "KASAN: ",
    "list_(?:add|del) corruption",
]
CUT = re.compile(r"------------\[ cut here \]")
END = re.compile(r"---\[ end trace")
RACE_END = "Reported by Kernel Concurrency Sanitizer"
RACE = "BUG: KCSAN: "
# What precedes a line: the time and, with CONFIG_PRINTK_CALLER, who says it
STAMP = re.compile(r"(?:\[[^\]]*\])+ ?")
FRAME = re.compile(r" ?([A-Za-z_]\w*)[\w.]*\+0x[0-9a-f]+/0x[0-9a-f]+")
# The WARN of a "cut here" line is one of so many lines behind it
NEAR = 4


def is_ours(report, ours):
    """Does a data race have a function of ours? One that is cut short may have."""
    for line in report:
        text = STAMP.sub("", line, count=1)
        if RACE_END in text:
            return False
        frame = FRAME.match(text)
        if RACE in text or frame and frame[1] in ours:
            return True
    return True


def first_trouble(lines, expected=None, allow_oom=False, ours=None):
    """The number of the first line of trouble, from 1, or None"""
    trouble = re.compile("|".join(t for t in TROUBLE if not (allow_oom and t == OOM)))
    expected = re.compile(expected) if expected else None
    held = None   # a "cut here" line that may be that of an expected WARN
    skip = False  # in the trace of one
    for number, line in enumerate(lines, 1):
        if ours and RACE in line and not is_ours(lines[number:], ours):
            continue
        if expected and CUT.search(line):
            held = number
        elif held and number - held <= NEAR and expected.search(line):
            held, skip = None, True
        elif held and number - held > NEAR:
            return held
        elif skip:
            skip = not END.search(line)
        elif not held and trouble.search(line):
            return number
    return held


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--expect-warn", default="", metavar="RE")
    parser.add_argument("--allow-oom", action="store_true")
    parser.add_argument("--races", metavar="FILE")
    parser.add_argument("log")
    args = parser.parse_args()
    ours = None
    try:
        if args.races:
            with open(args.races, encoding="ascii") as names:
                ours = set(names.read().split())
            if not ours:
                sys.exit(f"trouble.py: {args.races}: no function")
        with open(args.log, encoding="utf-8", errors="replace", newline="\n") as log:
            number = first_trouble(log.readlines(), args.expect_warn, args.allow_oom, ours)
    except OSError as error:
        sys.exit(f"trouble.py: {error.filename}: {error.strerror}")
    except re.error as error:
        sys.exit(f"trouble.py: --expect-warn: {error}")
    if number:
        print(number)


if __name__ == "__main__":
    main()
