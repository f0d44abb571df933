# SPDX-License-Identifier: GPL-2.0-only
"""What tests/torture/compare.py takes for the same, beside tests/harness/compare.sh"""

import unittest

from run import load

compare = load("tests/torture/compare.py")


class Sets(unittest.TestCase):
    def test_sets(self):
        """compare: the results of all runs are a set"""
        runs = compare.load(["1\ta\tok\n", "2\ta\tnot ok\n", "3\tb\tok\n"])
        self.assertEqual(compare.results(runs, "a"), "missing, not ok, ok")
        self.assertEqual(compare.results({}, "a"), "missing")

    def test_order(self):
        """compare: cases keep their order, those of the first kernel first"""
        self.assertEqual(
            list(compare.compare({"1": {"b": "ok"}}, {"1": {"a": "ok", "b": "ok"}})),
            [("same", "b", "ok"), ("differ", "a", "missing", "ok")])
