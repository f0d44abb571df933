#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Compare what the same tests gave on two kernels, over one or more runs:

    tests/torture/compare.py PATCHED PRISTINE

Both files have lines RUN<TAB>CASE<TAB>RESULT; a result is "ok", "not ok", "skip" or,
for what is no test, any text. Prints a line for each case:

    same<TAB>CASE<TAB>RESULTS           as it should be
    fails<TAB>CASE<TAB>RESULTS          the same, and never ok
    flaky<TAB>CASE<TAB>RESULTS          the same, and not always so
    differ<TAB>CASE<TAB>RESULTS<TAB>RESULTS    on the first kernel and the second

RESULTS is the set of what the runs gave, as "not ok, ok". A case that another run or the
other kernel has, and this one has not, is "missing" there.
"""

import argparse
import sys


def load(lines):
    """{RUN: {CASE: RESULT}} of a kernel"""
    runs = {}
    for line in lines:
        run, case, result = (line.rstrip("\n").split("\t") + ["", ""])[:3]
        runs.setdefault(run, {})[case] = result
    return runs


def results(runs, case):
    """The set of results of a case, as text"""
    found = {cases.get(case, "missing") for cases in runs.values()}
    return ", ".join(sorted(found)) or "missing"


def compare(patched, pristine):
    """Yield a tuple for each case, in the order in which they first appeared"""
    names = {case: None for runs in (patched, pristine)
             for cases in runs.values() for case in cases}
    for case in names:
        ours, theirs = results(patched, case), results(pristine, case)
        if ours != theirs:
            yield "differ", case, ours, theirs
        elif ", " in ours:
            yield "flaky", case, ours
        elif ours == "not ok":
            yield "fails", case, ours
        else:
            yield "same", case, ours


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patched")
    parser.add_argument("pristine")
    args = parser.parse_args()
    kernels = []
    for name in args.patched, args.pristine:
        try:
            with open(name, encoding="utf-8", errors="surrogateescape") as file:
                kernels.append(load(file))
        except OSError as error:
            sys.exit(f"compare.py: {name}: {error.strerror}")
    sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    for line in compare(*kernels):
        print("\t".join(line))


if __name__ == "__main__":
    main()
