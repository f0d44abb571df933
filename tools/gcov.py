#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Print which lines of a kernel were run.

    tools/gcov.py --tree DIR --source DIR --ours DIR [--missed FILE] DIR

The last DIR has a tar file for each machine that ran, with the .gcda files of its kernel,
which was built in --tree. Standard input has the names of the files that count. Of those
that are in --ours all lines do, of others those that are not in --source. --missed is to
have the lines that were not run, as NAME:NUMBER.
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath


def notes_of(tree, name):
    """The .gcno file of the tree that a .gcda file belongs to, wherever it was compiled"""
    parts = PurePosixPath(name).parts
    for start in range(len(parts)):
        notes = Path(tree, *parts[start:]).with_suffix(".gcno")
        if parts[start] not in ("/", ".") and notes.exists():
            return notes
    raise ValueError(f"{tree} has no notes for {name}")


def add_counts(counts, document):
    """Add what gcov says of one object: counts has for each file the count of each line"""
    for file in document["files"]:
        for line in file["lines"]:
            counts[os.path.normpath(file["file"])][line["line_number"]] += line["count"]


def read_machine(counts, tree, path):
    """Add what one machine has counted"""
    with tempfile.TemporaryDirectory() as work, tarfile.open(path) as tar:
        for member in tar:
            if not member.name.endswith(".gcda"):
                continue
            notes = notes_of(tree, member.name)
            data = Path(work, notes.name).with_suffix(".gcda")
            data.write_bytes(tar.extractfile(member).read())
            Path(work, notes.name).symlink_to(notes.resolve())
            ran = subprocess.run(["gcov", "--json-format", "--stdout", data.name], cwd=work,
                                 capture_output=True, text=True, check=False)
            if ran.returncode or "mismatch" in ran.stderr:
                raise ValueError(f"{member.name} is not of the kernel in {tree}: "
                                 + ran.stderr.strip().split("\n", maxsplit=1)[0])
            add_counts(counts, json.loads(ran.stdout))
            data.unlink()
            Path(work, notes.name).unlink()


def new_lines(old, new):
    """The numbers of the lines of a file that another one does not have"""
    ran = subprocess.run(["diff", "--unchanged-line-format=", "--old-line-format=",
                          "--new-line-format=%dn\n", str(old), str(new)],
                         capture_output=True, text=True, check=False)
    if ran.returncode > 1:
        raise ValueError(ran.stderr.strip())
    return {int(number) for number in ran.stdout.split()}


def row(name, lines):
    """What is said of a file, or of all of them"""
    run = sum(1 for count in lines if count)
    share = f"{100 * run / len(lines):.1f} %" if lines else "-"
    return f"{name:<50}{len(lines):>7}{run:>7}{share:>9}"


def report(counts, names, args):
    """The table, and the lines that were not run"""
    missed = []
    rows = [f"{'':<50}{'lines':>7}{'run':>7}"]
    for title, ours in ("files of our own", True), ("lines that hooks add", False):
        total = []
        for name in names:
            if Path(args.ours, name).exists() != ours:
                continue
            lines = dict(counts.get(name, {}))
            if not ours:
                new = new_lines(Path(args.source, name), Path(args.tree, name))
                lines = {number: count for number, count in lines.items() if number in new}
            if lines:
                rows.append(row(name, lines.values()))
            total += lines.values()
            missed += [f"{name}:{number}" for number, count in sorted(lines.items()) if not count]
        rows.append(row(title, total))
    return rows, missed


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", required=True, metavar="DIR")
    parser.add_argument("--source", required=True, metavar="DIR")
    parser.add_argument("--ours", required=True, metavar="DIR")
    parser.add_argument("--missed", metavar="FILE")
    parser.add_argument("dir")
    args = parser.parse_args()
    machines = sorted(Path(args.dir).glob("*.tar"))
    if not machines:
        sys.exit(f"gcov.py: no machine has left anything in {args.dir}")
    counts = collections.defaultdict(collections.Counter)
    try:
        for machine in machines:
            read_machine(counts, args.tree, machine)
        rows, missed = report(counts, sys.stdin.read().split(), args)
    except (OSError, ValueError, tarfile.TarError) as error:
        sys.exit(f"gcov.py: {error}")
    print("\n".join(rows))
    if args.missed:
        Path(args.missed).write_text("".join(f"{line}\n" for line in missed), encoding="utf-8")


if __name__ == "__main__":
    main()
