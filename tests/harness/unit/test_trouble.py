# SPDX-License-Identifier: GPL-2.0-only
"""What vm/trouble.py takes for trouble in a kernel's log"""

import unittest

from run import load

trouble = load("vm/trouble.py")

WARN = ["[ 1.0] ------------[ cut here ]------------", "[ 1.0] WARNING: x.c:1 at foo+0x1/0x2",
        "[ 1.0] Modules linked in:", "[ 1.0]  bar+0x1/0x2", "[ 1.0] ---[ end trace 0 ]---"]


RULE = "=" * 66


def race(*functions):
    """A report of KCSAN, with functions in its stacks"""
    return [f"[ 2.0] {RULE}", "[ 2.0] BUG: KCSAN: data-race in a / b", "[ 2.0] ",
            "[ 2.0] write to 0x1 of 8 bytes by task 1 on cpu 0:",
            *(f"[ 2.0]  {function}+0x12/0x340" for function in functions), "[ 2.0] ",
            "[ 2.0] Reported by Kernel Concurrency Sanitizer on:", f"[ 2.0] {RULE}"]


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

    def test_race(self):
        """trouble: a data race, and only that of the functions that count"""
        ours = {"ttm_tt_populate"}
        self.check(race("folio_add_lru"), 2)
        self.check(race("ttm_tt_populate", "folio_add_lru"), 2, ours=ours)
        self.check(race("folio_add_lru", "ttm_tt_populate.isra.0"), 2, ours=ours)
        self.check(race("folio_add_lru", "ttm_tt_populate_all"), None, ours=ours)

    def test_beside_a_race(self):
        """trouble: what is behind a data race of others, or in the midst of it"""
        ours = {"ttm_tt_populate"}
        others = race("folio_add_lru", "shrink_node")
        self.check([*others, "BUG: b"], 10, ours=ours)
        self.check([*others[:4], "BUG: b", *others[4:]], 5, ours=ours)
        self.check([*others, *race("ttm_tt_populate")], 11, ours=ours)

    def test_race_cut_short(self):
        """trouble: a data race whose stacks are not all there"""
        ours = {"ttm_tt_populate"}
        cut = race("folio_add_lru")[:5]
        self.check(cut, 2, ours=ours)
        self.check([*cut, *race("shrink_node")], 2, ours=ours)
