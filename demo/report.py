#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0 OR MIT
"""Print the demo's table, or demo.json, from two files of lines "NAME VALUE", of the run
by insert and of that by copy. A figure that is missing is named and makes the exit status
non-zero.

    demo/report.py [OPTION]... table|json INSERT COPY
"""

import argparse
import json
import sys

NOTES = """\
(1) after the run, with nothing else going on: 64 MiB backed up by hand, and
    restored from memory
(2) a backup that was not complete had left them in their place
(3) copied to a larger chunk than they were in, because that was free
(4) after: all buffers freed and TTM's pools drained
(5) of a virtual processor: compare the columns, quote neither
"""


class Run:
    """The figures of a run"""

    def __init__(self, mode, lines):
        self.mode = mode
        self.values = dict(line.split(maxsplit=1) for line in map(str.strip, lines) if line)
        self.missing = {}

    def text(self, name):
        if name not in self.values:
            self.missing[name] = True
        return self.values.get(name, "0")

    def number(self, name):
        text = self.text(name)
        return float(text) if "." in text else int(text)

    @property
    def in_2mib(self):
        """Pages in 2 MiB"""
        return (2 << 20) // max(self.number("page_bytes"), 1)

    def per_2mib(self, allocated, moved):
        pages = self.number(moved)
        return self.number(allocated) * self.in_2mib / pages if pages else -1

    @property
    def backup_2mib(self):
        return self.per_2mib("probe_pages_allocated", "probe_pages_backed_up")

    @property
    def restore_2mib(self):
        return self.per_2mib("probe_restore_pages_allocated", "probe_pages_restored")

    @property
    def swapped_small(self):
        return self.number("pswpout") - self.in_2mib * self.number("swpout_2mib")

    @property
    def verified(self):
        return f"{self.text('verified')} of {self.text('buffers')}"


def rows():
    """What a line of the table is called, and what makes its figure"""

    def figure(name):
        return lambda run: run.text(name)

    def pair(one, two):
        return lambda run: f"{run.text(one)} / {run.text(two)}"

    def seconds(name):
        return lambda run: f"{run.number(name) / 1000:.1f} s"

    yield "pages backed up by insert", figure("pages_inserted")
    yield "pages backed up by copy", figure("pages_copied")
    yield "pages allocated per 2 MiB backed up (1)", lambda run: f"{run.backup_2mib:.1f}"
    yield "pages restored by extraction", figure("pages_restored_by_extraction")
    yield "pages restored by adoption (2)", figure("pages_restored_by_adoption")
    yield "pages restored by merging (3)", figure("pages_restored_by_merging")
    yield "pages restored by copy", figure("pages_restored_by_copy")
    yield "pages allocated per 2 MiB restored (1)", lambda run: f"{run.restore_2mib:.1f}"
    yield "2 MiB swapouts, whole", figure("swpout_2mib")
    yield "2 MiB swapouts that had to be split", figure("swpout_2mib_fallback")
    yield "pages swapped out in smaller pieces", lambda run: str(run.swapped_small)
    yield "free blocks of 2 MiB, before / after (4)", pair("free_2mib_before",
                                                           "free_2mib_after")
    yield "failed backups: pages kept / folios refused", pair("failed_pages_retained",
                                                              "failed_folios_refused")
    yield "OOM kills", figure("oom_kill")
    yield "guest time (5): fill", seconds("guest_ms_fill")
    yield "guest time (5): read back by the CPU", seconds("guest_ms_read_cpu")
    yield "guest time (5): read back by the engine", seconds("guest_ms_read_engine")
    yield "guest time (5): all of it", seconds("guest_ms")
    yield "verified buffers", lambda run: run.verified


def table(insert, copy, args):
    def row(*cells):
        return "{:<46} {:>16} {:>16}".format(*cells)

    lines = ["", f"{insert.number('filled_bytes') / 1048576:.0f} MiB of GPU memory in "
             f"{args.ram} MiB of RAM: {insert.text('buffers')} buffers, "
             f"{insert.text('buffers_wc')} of them WC, the others cached; "
             f"swap on {args.swap}", "",
             row("", "insert", "copy"), row("", "ttm.zero_copy=1", "ttm.zero_copy=0")]
    lines += [row(name, value(insert), value(copy)) for name, value in rows()]
    return "\n".join(lines) + (f"\n\n{NOTES}\nverified {insert.verified} buffers by insert, "
                               f"{copy.verified} by copy")


def figures(run, names):
    return {**{name: run.number(name) for name in names},
            "pages_swapped_out_small": run.swapped_small,
            "pages_allocated_per_2mib": round(run.backup_2mib, 3),
            "pages_allocated_per_2mib_restored": round(run.restore_2mib, 3)}


def report(insert, copy, args):
    return json.dumps({
        "kernel": args.release, "commit": args.commit, "ram_mib": args.ram,
        "swap": args.swap, "passed": args.passed == "true",
        "modes": {run.mode: figures(run, insert.values) for run in (insert, copy)},
    }, indent=2)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in "--swap", "--release", "--commit":
        parser.add_argument(option, default="unknown")
    parser.add_argument("--ram", type=int, default=0)
    parser.add_argument("--passed", choices=["true", "false"], default="false")
    parser.add_argument("what", choices=["table", "json"])
    parser.add_argument("insert")
    parser.add_argument("copy")
    args = parser.parse_args()
    runs = []
    for mode in "insert", "copy":
        with open(getattr(args, mode), encoding="utf-8") as file:
            runs.append(Run(mode, file))
    print((table if args.what == "table" else report)(*runs, args))
    for run in runs:
        for name in run.missing:
            print(f'demo/run: no figure "{name}" in the run by {run.mode}', file=sys.stderr)
    sys.exit(any(run.missing for run in runs))


if __name__ == "__main__":
    main()
