# SPDX-License-Identifier: GPL-2.0-only
"""What tests/clauses finds, beside what tests/harness/clauses.sh looks at"""

import unittest

from run import load

clauses = load("tests/clauses")


class Names(unittest.TestCase):
    def kinds(self, *lines):
        return clauses.Results(lines).kinds

    def test_where(self):
        """clauses: a result goes by the name of its test, wherever it ran"""
        self.assertEqual(self.kinds(
            "ok 1 kunit/suite.c1_a", "not ok 2 kunit-disk/suite.c1_a: why",
            "ok 3 vm/restore-zram: c2_b", "ok 4 torture/kasan: c3_c",
            "ok 5 torture/no-thp/kunit/suite.c4_d # SKIP none"),
            {"kunit/suite.*": {"pass"}, "kunit-disk/suite.*": {"fail"},
             "c1_a": {"pass", "fail"}, "c2_b": {"pass"},
             "torture/c3_c": {"pass"}, "torture/c4_d": {"skip"}})

    def test_others(self):
        """clauses: what is no test of a clause is left out"""
        self.assertEqual(self.kinds("# ok 1 vm/a: c1_x", "ok 1 harness/tools: c1_x",
                                    "ok vm/a: c1_x"), {})

    def test_problem(self):
        """clauses: a suite may skip some of its cases, a test may not"""
        results = clauses.Results(["ok 1 kunit/s.a # SKIP x", "ok 2 kunit/s.b",
                                   "ok 3 vm/m: c1_a # SKIP x", "ok 4 vm/n: c1_a"])
        self.assertIsNone(results.problem("kunit/s.*"))
        self.assertEqual(results.problem("c1_a"), "was skipped")
        self.assertEqual(results.problem("c2_b"), "did not run")
        self.assertEqual(results.problem("kunit-copy/s.*"), "did not run")


class Rows(unittest.TestCase):
    def test_row(self):
        """clauses: a row has tests, a gap, or both"""
        table = clauses.Table(["| 1 | holds | `c1_a` `kunit-copy/s.*` |", "| 2 | so | gap: why |",
                               "| clause | what | tests |", "text"])
        self.assertEqual(table.tests, {1: ["c1_a", "kunit-copy/s.*"], 2: []})
        self.assertEqual((table.gaps, table.wrong, table.rows), ({2}, [], 2))

    def test_project(self):
        """clauses: the table of this project is sound"""
        text = (clauses.TOP / "docs/clauses.md").read_text(encoding="utf-8")
        self.assertEqual(clauses.Table(text.splitlines()).wrong, [])
