#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Run the unit tests beside this file, or those whose name matches PATTERN, and report
them as KTAP: tests/harness/unit/run.py [PATTERN]
"""

import argparse
import fnmatch
import importlib.util
import sys
import unittest
from importlib.machinery import SourceFileLoader
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parents[2]
sys.dont_write_bytecode = True


def load(path):
    """A script of the project as a module, whatever its file is called"""
    name = Path(path).name.removesuffix(".py").replace("-", "_")
    loader = SourceFileLoader(name, str(TOP / path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


class Ktap(unittest.TestResult):
    """Prints a line for each test"""

    number = failed = 0

    def report(self, kind, test, text=""):
        self.number += 1
        self.failed += kind != "ok"
        for line in text.splitlines():
            print(f"# {line}")
        name = test.shortDescription() or test.id().rpartition(".")[2]
        print(f"{kind} {self.number} {name}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.report("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.report("not ok", test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.report("not ok", test, self.errors[-1][1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.report("not ok", test, f"skipped: {reason}")


def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pattern", nargs="?", default="*")
    pattern = parser.parse_args().pattern
    tests = [test for test in flatten(unittest.defaultTestLoader.discover(str(HERE)))
             if fnmatch.fnmatch(test.id(), f"*{pattern}*")]
    print("KTAP version 1")
    print(f"1..{len(tests)}")
    result = Ktap()
    unittest.TestSuite(tests).run(result)
    sys.exit(result.failed != 0 or not tests)


if __name__ == "__main__":
    # what the tests import is this module, not another copy of it
    sys.modules["run"] = sys.modules["__main__"]
    main()
