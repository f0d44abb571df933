# SPDX-License-Identifier: GPL-2.0-only
"""What tests/ktap.py reads out of KTAP"""

import unittest

from run import load

ktap = load("tests/ktap.py")


class Results(unittest.TestCase):
    def check(self, text, *wanted):
        self.assertEqual(ktap.read(text.split("\n"), "p/"), list(wanted))

    def test_pass(self):
        """ktap: results that pass"""
        self.check("KTAP version 1\n1..2\nok 1 a\nok 2 - b c",
                   ("pass", "p/a", ""), ("pass", "p/b c", ""))

    def test_fail(self):
        """ktap: a failure has what was printed before it"""
        self.check("1..2\n# of a\nok 1 a\n# why\nmore\nnot ok 2 b", ("pass", "p/a", ""),
                   (None, "why", ""), (None, "more", ""), ("fail", "p/b", ""))

    def test_notes(self):
        """ktap: but not more than 40 lines"""
        notes = "\n".join(f"# {i}" for i in range(100))
        out = ktap.read(f"1..1\n{notes}\nnot ok 1 a".split("\n"))
        self.assertEqual([name for kind, name, _ in out if kind is None],
                         [str(i) for i in range(60, 100)])

    def test_skip(self):
        """ktap: a skip has its reason, and other directives are no part of a name"""
        self.check("1..3\nok 1 a # SKIP no device\nok 2 b # skip\nok 3 c # took 3 ms",
                   ("skip", "p/a", "no device"), ("skip", "p/b", ""), ("pass", "p/c", ""))

    def test_subtests(self):
        """ktap: subtests stand for their test"""
        self.check("KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    1..2\n"
                   "    ok 1 a\n    ok 2 b\nok 1 s", ("pass", "p/s.a", ""),
                   ("pass", "p/s.b", ""))

    def test_deep(self):
        """ktap: at any depth"""
        self.check("1..1\n    # Subtest: s\n    1..1\n        # Subtest: t\n        1..1\n"
                   "        not ok 1 a\n    not ok 1 t\nnot ok 1 s", ("fail", "p/s.t.a", ""))

    def test_parent(self):
        """ktap: a failure of the test itself, and one that is hidden"""
        self.check("1..2\n    1..1\n    ok 1 a\n# why\nnot ok 1 s\n    1..1\n"
                   "    not ok 1 b\nok 2 t", ("pass", "p/a", ""), (None, "why", ""),
                   ("fail", "p/s", "failed, though its subtests passed"),
                   ("fail", "p/b", ""), ("fail", "p/t", "reported ok, though subtests failed"))

    def test_plan(self):
        """ktap: plans that are missing, wrong or empty"""
        self.check("KTAP version 1\nok 1 a", ("pass", "p/a", ""),
                   ("fail", "p/plan", "there is none"))
        self.check("1..2\nok 1 a", ("pass", "p/a", ""),
                   ("fail", "p/plan", "plan is 2, results are 1"))
        self.check("1..0", ("fail", "p/plan", "it is empty"))
        self.check("1..1\n    1..2\n    ok 1 a\nok 1 s", ("pass", "p/a", ""),
                   ("fail", "p/s", "plan is 2, results are 1"),
                   ("fail", "p/s", "reported ok, though subtests failed"))

    def test_numbers(self):
        """ktap: a result that is missing is seen by the numbers"""
        self.check("1..2\nok 1 a\nok 3 b", ("pass", "p/a", ""),
                   ("fail", "p/b", "number 3, expected 2"), ("pass", "p/b", ""))

    def test_nothing(self):
        """ktap: no output, and output that is none"""
        self.check("", ("fail", "p/output", "reports nothing"))
        self.check("Segmentation fault", (None, "Segmentation fault", ""),
                   ("fail", "p/output", "reports nothing"))

    def test_carriage_return(self):
        """ktap: lines of a terminal"""
        self.check("1..1\r\nok 1 a\r", ("pass", "p/a", ""))
