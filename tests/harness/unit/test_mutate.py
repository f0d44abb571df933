# SPDX-License-Identifier: GPL-2.0-only
"""What tests/mutate makes of a mutant and of a run, beside tests/harness/mutate.sh"""

import tempfile
import unittest
from pathlib import Path

from run import load

mutate = load("tests/mutate")


class Places(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.tree = Path(directory.name)
        (self.tree / "x.c").write_text("one\ntwo\n\ntwo\nthree\n")

    def check(self, *diff):
        return mutate.check_places(["--- a/x.c", "+++ b/x.c", *diff], self.tree, {"x.c"})

    def test_once(self):
        """mutate: a hunk that fits once"""
        self.assertIsNone(self.check("@@ -1,2 +1,2 @@", " one", "-two", "+2"))

    def test_twice(self):
        """mutate: a hunk that fits twice, alone or behind another one"""
        self.assertEqual(self.check("@@ -2 +2 @@", "-two", "+2"), "fits 2 places of x.c")
        self.assertEqual(self.check("@@ -1 +1 @@", "-one", "+1", "@@ -2 +2 @@", "-two", "+2"),
                         "fits 2 places of x.c")

    def test_never(self):
        """mutate: a hunk that does not fit"""
        self.assertEqual(self.check("@@ -1,2 +1,2 @@", " one", "-three"),
                         "does not apply to x.c")

    def test_files(self):
        """mutate: a second file, and one that is not ours"""
        self.assertEqual(self.check("@@ -1 +1 @@", "-one", "+1", "--- a/y.c", "+++ b/y.c",
                                    "@@ -1 +1 @@", "-one"), "y.c is not a file of this project")
        self.assertEqual(self.check(), "has no hunk")


class Verdict(unittest.TestCase):
    def check(self, out, log, status, wanted):
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            (directory / "out").write_text(out)
            (directory / "a.log").write_text(log)
            self.assertEqual(mutate.read_verdict(directory, status), wanted)

    def test_passed(self):
        """mutate: a run that passes"""
        self.check("ok 1 a\n1 passed, 0 failed\n", "Run /init as init process", 0, ("passed", ""))

    def test_caught(self):
        """mutate: a run that fails, with the number of failures if all have run"""
        self.check("not ok 1 vm/a: b\nnot ok 2 c\n0 passed, 2 failed\n",
                   "x\nRun /init as init process\n", 1, ("caught", "vm/a: b, and 1 more"))
        self.check("not ok 1 kunit/a.b\nnot ok 2 c\n0 passed, 2 failed, 1 skipped\n",
                   "Run /init as init process\n", 1, ("caught", "kunit/a.b"))

    def test_errors(self):
        """mutate: runs that say nothing about the kernel"""
        self.check("ok 1 a\n", "", 1, ("error", "tests/run did not come to its end: ok 1 a"))
        self.check("# no test matches 'x'\n0 passed, 0 failed\n", "", 1,
                   ("error", "no test matches"))
        self.check("not ok 1 a\n0 passed, 1 failed\n", "no init", 1, ("error", "does not boot"))
        line = "not ok 1 vm/a: the machine could not be started"
        self.check(f"{line}\n0 passed, 1 failed\n", "", 1, ("error", line))
