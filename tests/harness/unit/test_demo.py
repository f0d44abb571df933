# SPDX-License-Identifier: GPL-2.0-only
"""What demo/report.py makes of the figures of two runs"""

import argparse
import json
import unittest

from run import load

report = load("demo/report.py")
ARGS = argparse.Namespace(ram=512, swap="zram", release="7.3", commit="abc", passed="true")


class Report(unittest.TestCase):
    def run_of(self, mode, **values):
        lines = [f"{name} {value}\n" for name, value in values.items()]
        return report.Run(mode, lines)

    def test_missing(self):
        """demo: a figure that is missing is named, and counts as 0"""
        run = self.run_of("insert", verified=3)
        self.assertEqual(run.verified, "3 of 0")
        self.assertEqual(list(run.missing), ["buffers"])

    def test_per_2mib(self):
        """demo: pages for 2 MiB, and none where nothing was moved"""
        run = self.run_of("copy", page_bytes=4096, probe_pages_allocated=1024,
                          probe_pages_backed_up=512, probe_restore_pages_allocated=5,
                          probe_pages_restored=0)
        self.assertEqual(run.backup_2mib, 1024)
        self.assertEqual(run.restore_2mib, -1)

    def test_table(self):
        """demo: a line of the table has the figures of both runs"""
        insert = self.run_of("insert", page_bytes=4096, pswpout=1024, swpout_2mib=2,
                             guest_ms=12345)
        copy = self.run_of("copy", page_bytes=65536, pswpout=764, swpout_2mib=2,
                           guest_ms=1000)
        lines = {line[:46].rstrip(): line[46:].split()
                 for line in report.table(insert, copy, ARGS).splitlines()}
        self.assertEqual(lines["pages swapped out in smaller pieces"], ["0", "700"])
        self.assertEqual(lines["guest time (5): all of it"], ["12.3", "s", "1.0", "s"])

    def test_json(self):
        """demo: the JSON has all figures of both runs"""
        run = self.run_of("insert", page_bytes=4096, pswpout=600, swpout_2mib=1, buffers=3)
        data = json.loads(report.report(run, self.run_of("copy", buffers=4), ARGS))
        self.assertEqual(data["modes"]["insert"]["pages_swapped_out_small"], 88)
        self.assertEqual(data["modes"]["copy"]["buffers"], 4)
        self.assertIs(data["passed"], True)
