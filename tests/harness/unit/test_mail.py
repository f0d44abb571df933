# SPDX-License-Identifier: GPL-2.0-only
"""What tools/mail.py makes of headers and figures, beside tests/harness/series.sh"""

import unittest

from run import load

mail = load("tools/mail.py")

RESULTS = """# Results
## Cost
| what | order | upstream | ours |
| --- | --- | --- | --- |
| backup | 9 | 3.61 M | 539 \u00d7 |
| backup | 0 | 3.76 M | 3.56 \u00d7 |

## Memory
| what | ours |
| --- | --- |
| backup | 0 \u2013 1 |
"""


class Figures(unittest.TestCase):
    def figure(self, reference):
        return mail.figure(list(mail.tables(RESULTS)), reference)

    def test_figure(self):
        """mail: a figure is that of a section, a row and a column, in ASCII"""
        self.assertEqual(self.figure("Cost | backup, 9 | ours"), "539x")
        self.assertEqual(self.figure("Cost |\nbackup, 0 | upstream"), "3.76 M")
        self.assertEqual(self.figure("Memory | backup | ours"), "0 - 1")

    def test_missing(self):
        """mail: one that is not there, or not the only one, is an error"""
        for reference in ("Cost | backup | ours", "Cost | restore, 9 | ours",
                          "Cost | backup, 9 | theirs", "None | backup | ours", "Cost | ours"):
            with self.assertRaises(mail.Wrong):
                self.figure(reference)


class Headers(unittest.TestCase):
    def test_unfold(self):
        """mail: folded headers are one line, encoded words as well"""
        self.assertEqual(mail.unfold("Subject: [PATCH] a\n b\n\tc\nDate: now"),
                         ["Subject: [PATCH] a b c", "Date: now"])
        folded = "From: =?UTF-8?q?J=C3=B6rg=20?=\n =?UTF-8?q?M=C3=BCller?= <j@kernel.org>"
        lines = mail.unfold(folded)
        self.assertEqual(len(lines), 1)
        self.assertNotIn("\n", lines[0])
        self.assertIn("j@kernel.org", lines[0])

    def test_address(self):
        """mail: a name with a dot or a letter that is not ASCII"""
        self.assertEqual(mail.address('"Liam R. Howlett" <Liam@infradead.org>'),
                         ("liam@infradead.org", '"Liam R. Howlett" <Liam@infradead.org>'))
        self.assertTrue(mail.address("J\u00f6rg <j@kernel.org>")[1].isascii())
        with self.assertRaises(mail.Wrong):
            mail.address("nobody")

    def test_once(self):
        """mail: who is in To is not in Cc"""
        self.assertEqual(mail.header_lines({"a": "A <a>"}, {"a": "A <a>", "b": "B <b>"}),
                         ["To: A <a>", "Cc: B <b>"])
        self.assertEqual(mail.header_lines({}, {}), [])
