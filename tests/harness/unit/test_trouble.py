# SPDX-License-Identifier: GPL-2.0-only
"""What vm/trouble.py takes for trouble in a kernel's log"""

import unittest

from run import load

trouble = load("vm/trouble.py")

WARN = ["[ 1.0] ------------[ cut here ]------------", "[ 1.0] WARNING: x.c:1 at foo+0x1/0x2",
        "[ 1.0] Modules linked in:", "[ 1.0]  bar+0x1/0x2", "[ 1.0] ---[ end trace 0 ]---"]


class Trouble(unittest.TestCase):
    def check(self, lines, wanted, **options):
        self.assertEqual(trouble.first_trouble(lines, **options), wanted)

    def test_none(self):
        """trouble: a log without any"""
        self.check(["[ 0.0] Linux version 7.3.4", "[ 1.0] Run /init as init process"], None)

    def test_kinds(self):
        """trouble: each kind is found"""
        for line in ("BUG: kernel NULL pointer dereference", "Oops: 0000 [#1]",
                     "INFO: task x:1 blocked for more than 120 seconds", "UBSAN: shift",
                     "watchdog: BUG: soft lockup - CPU#0 stuck", "KASAN: use-after-free",
                     "rcu: INFO: rcu_preempt detected stalls on CPUs", "Bad page state in",
                     "list_add corruption. prev->next", "WARNING: possible recursive locking"):
            self.check(["a", f"[ 2.0] {line}", "b"], 2)

    def test_oom(self):
        """trouble: an OOM kill of the machine, unless it is allowed"""
        log = ["a", "[ 1.0] Out of memory: Killed process 7 (x)"]
        self.check(log, 2)
        self.check(log, None, allow_oom=True)
        self.check(["[ 1.0] Memory cgroup out of memory: Killed process 7 (x)"], None)

    def test_warn(self):
        """trouble: a WARN, from its first line on"""
        self.check(["a", *WARN], 2)

    def test_expected(self):
        """trouble: an expected WARN goes with its trace"""
        self.check(["a", *WARN, "b"], None, expected="WARNING: .* at foo")
        self.check(["a", *WARN, "BUG: b"], 7, expected="WARNING: .* at foo")
        # what is in its trace is part of it
        self.check([*WARN[:3], "BUG: in the trace", WARN[4]], None, expected="at foo")

    def test_unexpected(self):
        """trouble: another WARN than the expected one"""
        self.check(["a", *WARN, "b"], 2, expected="at other")
        self.check(["a", *WARN[:2]], 2, expected="at other")
        self.check([*WARN, *WARN], None, expected="at foo")

    def test_far(self):
        """trouble: a line that comes too late for a WARN is none of it"""
        self.check([WARN[0], "1", "2", "3", "4", "at foo"], 1, expected="at foo")
