#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Read KTAP and print one line for each test that has no subtests:

    pass<TAB>NAME    skip<TAB>NAME<TAB>REASON    fail<TAB>NAME<TAB>WHY

after the diagnostic lines of a failure, as "# ...". A plan that is missing or does not
match the results is a failure, too. Names start with PREFIX.

    tests/ktap.py [--prefix PREFIX] [FILE]
"""

import argparse
import re
import sys
from collections import deque

VERSION = re.compile(r"K?TAP version [0-9]+")
PLAN = re.compile(r"[0-9]+\.\.([0-9]+)")
RESULT = re.compile(r"(not )?ok ([0-9]+) *(?:- )?(.*)", re.S)
SKIP = re.compile(r" *# *(?:SKIP|skip) *(.*)$", re.S)
# Of what a test printed before it failed, so many lines are shown
NOTES = 40


class Level:
    """Results at one level of indentation, so far"""

    def __init__(self):
        self.plan = None
        self.count = 0
        self.bad = 0
        self.subtest = ""


class Reader:
    """Turns lines of KTAP into lines (KIND, NAME, WHY) and notes (None, TEXT, "")"""

    def __init__(self, prefix=""):
        self.prefix = prefix
        self.levels = [Level()]
        self.notes = deque(maxlen=NOTES)
        self.started = False
        self.results = 0
        self.out = []

    def emit(self, kind, name, why=""):
        self.out.append((kind, self.prefix + name, why))

    def diagnostics(self):
        self.out += [(None, note, "") for note in self.notes]

    def deepen(self, level):
        while len(self.levels) <= level:
            self.levels.append(Level())

    def path(self, level, name):
        """The name of a result at that level, below those of the levels above it"""
        above = [self.levels[i].subtest for i in range(1, level + 1)
                 if i < len(self.levels)]
        return "".join(f"{part}." for part in above if part not in ("", name)) + name

    def close(self, name):
        """The results of the deepest level are complete: is that what was planned?"""
        level = len(self.levels) - 1
        last = self.levels[level]
        if last.plan is not None and last.plan != last.count:
            self.emit("fail", self.path(level, name or "plan"),
                      f"plan is {last.plan}, results are {last.count}")
            last.bad += 1
        self.levels.pop()
        return last

    def result(self, level, failed, number, text):
        reason = None
        skip = SKIP.search(text)
        if skip:
            reason, text = skip[1], text[:skip.start()]
        text = re.sub(r" *#.*$", "", text, flags=re.S)
        parent = below = False
        while len(self.levels) - 1 > level:
            # plan 0 below is an empty group, which proves nothing
            parent = parent or self.levels[-1].count > 0
            below = bool(self.close(text).bad) or below
        self.deepen(level)
        here = self.levels[level]
        here.count += 1
        name = self.path(level, text)
        if number != here.count:
            self.emit("fail", name, f"number {number}, expected {here.count}")
            here.bad += 1
        if parent:
            # its subtests have been counted; a failure of its own is not
            if failed and not below:
                self.diagnostics()
                self.emit("fail", name, "failed, though its subtests passed")
            elif below and not failed:
                self.emit("fail", name, "reported ok, though subtests failed")
            here.bad += failed or below
        elif failed:
            self.diagnostics()
            self.emit("fail", name)
            here.bad += 1
        elif reason is not None:
            self.emit("skip", name, reason)
        else:
            self.emit("pass", name)
        self.results += 1
        self.notes.clear()

    def line(self, line):
        line = line.removesuffix("\r")
        text = line.lstrip(" ")
        level = (len(line) - len(text)) // 4
        if VERSION.fullmatch(text):
            self.started = True
            self.deepen(level)
        elif text.startswith("# Subtest: "):
            self.deepen(level)
            self.levels[level].subtest = text.removeprefix("# Subtest: ")
        elif PLAN.match(text):
            self.deepen(level)
            self.levels[level].plan = int(PLAN.match(text)[1])
            self.notes.clear()
        elif RESULT.match(text):
            negated, number, rest = RESULT.match(text).groups()
            self.result(level, negated is not None, int(number), rest)
        elif text:
            # what stands before a result tells why it failed
            self.notes.append(re.sub(r"^# *", "", text))

    def end(self):
        while len(self.levels) > 1:
            self.close("")
        top = self.levels[0]
        if not self.started and not self.results and top.plan is None:
            self.diagnostics()
            self.emit("fail", "output", "reports nothing")
        elif top.plan is None:
            self.diagnostics()
            self.emit("fail", "plan", "there is none")
        elif top.plan != top.count:
            self.diagnostics()
            self.emit("fail", "plan", f"plan is {top.plan}, results are {top.count}")
        elif top.plan == 0:
            self.emit("fail", "plan", "it is empty")


def read(lines, prefix=""):
    """What the lines of a KTAP document say: a list of (KIND, NAME, WHY)"""
    reader = Reader(prefix)
    for line in lines:
        reader.line(line.rstrip("\n"))
    reader.end()
    return reader.out


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prefix", default="")
    parser.add_argument("file", nargs="?", default="-")
    args = parser.parse_args()
    try:
        # what a test prints may be anything
        with open(0 if args.file == "-" else args.file, encoding="utf-8",
                  errors="surrogateescape", newline="\n") as file:
            results = read(file, args.prefix)
    except OSError as error:
        sys.exit(f"ktap.py: {args.file}: {error.strerror}")
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    for kind, name, why in results:
        if kind is None:
            print(f"# {name}")
        else:
            print("\t".join([kind, name] + ([why] if why else [])))


if __name__ == "__main__":
    main()
