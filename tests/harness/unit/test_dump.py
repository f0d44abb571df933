# SPDX-License-Identifier: GPL-2.0-only
"""vm/dump.py, with a thread in the place of QEMU"""

import json
import os
import tempfile
import threading
import unittest
from pathlib import Path

from run import load

dump = load("vm/dump.py")


class Dump(unittest.TestCase):
    def setUp(self):
        here = tempfile.TemporaryDirectory()
        self.addCleanup(here.cleanup)
        self.pipe = str(Path(here.name, "qmp"))
        self.file = Path(here.name, 'a "core"')
        for end in ".in", ".out":
            os.mkfifo(self.pipe + end)

    def qemu(self, into, out, answer):
        """Greets, and answers the request to write the memory in that way, or ends"""
        os.write(out, b'{"QMP": {}}\n')
        os.read(into, 65536)
        os.write(out, b'{"return": {}}\n')
        request = json.loads(os.read(into, 65536))
        if answer == "end":
            os.close(into)
            os.close(out)
        elif answer:
            part = request["arguments"]["protocol"].removeprefix("file:")
            Path(part).write_text("memory", encoding="utf-8")
            os.write(out, b'{"event": "STOP"}\n' + json.dumps(answer).encode() + b"\n")

    def ask(self, answer, patience=20):
        # as QEMU opens them, and before anybody asks
        ends = [os.open(self.pipe + end, os.O_RDWR) for end in (".in", ".out")]
        thread = threading.Thread(target=self.qemu, args=(*ends, answer))
        thread.start()
        try:
            dump.dump(self.pipe, str(self.file), patience)
        finally:
            thread.join()
            if answer != "end":
                for end in ends:
                    os.close(end)

    def left(self):
        return sorted(p.name for p in self.file.parent.iterdir() if not p.name.startswith("qmp"))

    def test_written(self):
        """dump: memory that has been written is in the file"""
        self.ask({"return": {}})
        self.assertEqual(self.file.read_text(encoding="utf-8"), "memory")
        self.assertEqual(self.left(), [self.file.name])

    def test_refused(self):
        """dump: memory that QEMU cannot write leaves no file, and says why"""
        with self.assertRaisesRegex(RuntimeError, "dump-guest-memory: no space"):
            self.ask({"error": {"desc": "no space"}})
        self.assertEqual(self.left(), [])

    def test_silent(self):
        """dump: a QEMU that says nothing is not waited for"""
        with self.assertRaisesRegex(TimeoutError, "does not answer"):
            self.ask(None, 1)
        self.assertEqual(self.left(), [])

    def test_ended(self):
        """dump: a QEMU that ends meanwhile is not waited for either"""
        with self.assertRaisesRegex(EOFError, "QEMU has ended"):
            self.ask("end")
        self.assertEqual(self.left(), [])

    def test_never_there(self):
        """dump: nor one that has ended before"""
        with self.assertRaises(OSError):
            dump.dump(self.pipe, str(self.file), 20)
        self.assertEqual(self.left(), [])


if __name__ == "__main__":
    unittest.main()
