#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Have a QEMU write the memory of its machine to a file, as ELF, which crash and drgn read.

    vm/dump.py PIPE FILE

PIPE is that of a monitor: QEMU was started with -chardev pipe,path=PIPE, on which there is
a -mon in mode=control. The file is there when all of it has been written, or not at all.
"""

import argparse
import contextlib
import json
import os
import select
import sys
import time

# For 64 GiB on a disk that is not fast
PATIENCE = 600


class Monitor:
    """
    The two ends of QEMU's pipe, opened so that neither waits for QEMU. It has both open as
    long as it runs, and nobody else has: when it ends, so does what it says.
    """

    def __init__(self, pipe, patience=PATIENCE):
        self.out = os.open(pipe + ".out", os.O_RDONLY | os.O_NONBLOCK)
        self.into = os.open(pipe + ".in", os.O_WRONLY | os.O_NONBLOCK)
        self.end = time.monotonic() + patience
        self.buffer = b""

    def line(self):
        """The next thing that QEMU says"""
        while b"\n" not in self.buffer:
            left = self.end - time.monotonic()
            if left <= 0 or not select.select([self.out], [], [], left)[0]:
                raise TimeoutError("QEMU does not answer")
            said = os.read(self.out, 65536)
            if not said:
                raise EOFError("QEMU has ended")
            self.buffer += said
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def command(self, name, **arguments):
        """Have it done, and ignore what else happens meanwhile"""
        request = {"execute": name, "arguments": arguments}
        os.write(self.into, json.dumps(request).encode() + b"\n")
        while True:
            answer = self.line()
            if "error" in answer:
                raise RuntimeError(f"{name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]


def dump(pipe, file, patience=PATIENCE):
    """Write the memory to the file"""
    part = os.path.abspath(file) + ".part"
    try:
        monitor = Monitor(pipe, patience)
        monitor.command("qmp_capabilities")
        monitor.command("dump-guest-memory", paging=False, protocol="file:" + part)
        os.rename(part, file)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.remove(part)
        raise


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipe")
    parser.add_argument("file")
    args = parser.parse_args()
    try:
        dump(args.pipe, args.file)
    except (EOFError, OSError, RuntimeError, ValueError) as error:
        sys.exit(f"dump.py: no memory in {args.file}: {error}")


if __name__ == "__main__":
    main()
