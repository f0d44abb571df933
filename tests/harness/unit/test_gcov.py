# SPDX-License-Identifier: GPL-2.0-only
"""What tools/gcov.py makes of what gcov says"""

import argparse
import collections
import tempfile
import unittest
from pathlib import Path

from run import load

gcov = load("tools/gcov.py")


def document(**files):
    return {"files": [{"file": f"mm/{name}.c", "lines": [
        {"line_number": number, "count": count} for number, count in lines.items()]}
        for name, lines in files.items()]}


class Gcov(unittest.TestCase):
    def setUp(self):
        here = tempfile.TemporaryDirectory()
        self.addCleanup(here.cleanup)
        self.here = Path(here.name)
        for name, text in {"source/mm/theirs.c": "a\nb\n", "tree/mm/theirs.c": "a\nnew\nb\nmore\n",
                           "tree/mm/ours.c": "x\ny\n", "ours/mm/ours.c": "x\ny\n",
                           "tree/mm/ours.gcno": ""}.items():
            Path(self.here, name).parent.mkdir(parents=True, exist_ok=True)
            Path(self.here, name).write_text(text, encoding="utf-8")

    def test_report(self):
        """gcov: all lines of our files, and those that hooks add to others"""
        counts = collections.defaultdict(collections.Counter)
        gcov.add_counts(counts, document(ours={1: 0, 2: 0}, theirs={1: 0, 2: 0, 3: 5, 4: 0}))
        gcov.add_counts(counts, document(ours={1: 7, 2: 0}, theirs={1: 0, 2: 1, 3: 0, 4: 0}))
        args = argparse.Namespace(source=self.here / "source", tree=self.here / "tree",
                                  ours=self.here / "ours")
        rows, missed = gcov.report(counts, ["mm/ours.c", "mm/theirs.c"], args)
        self.assertEqual([row.split() for row in rows], [
            ["lines", "run"], ["mm/ours.c", "2", "1", "50.0", "%"],
            ["files", "of", "our", "own", "2", "1", "50.0", "%"],
            ["mm/theirs.c", "2", "1", "50.0", "%"],
            ["lines", "that", "hooks", "add", "2", "1", "50.0", "%"]])
        self.assertEqual(missed, ["mm/ours.c:2", "mm/theirs.c:4"])

    def test_notes(self):
        """gcov: the notes of an object that was compiled elsewhere are found"""
        tree = self.here / "tree"
        self.assertEqual(gcov.notes_of(tree, "./home/a/build/coverage/mm/ours.gcda"),
                         tree / "mm/ours.gcno")
        with self.assertRaisesRegex(ValueError, "no notes for"):
            gcov.notes_of(tree, "./mm/other.gcda")


if __name__ == "__main__":
    unittest.main()
