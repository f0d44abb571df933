# SPDX-License-Identifier: GPL-2.0-only
"""The description for syzkaller has what the header for user space has."""

import pathlib
import re
import unittest

TOP = pathlib.Path(__file__).resolve().parents[3]
HEADER = TOP / "kernel/include/uapi/drm/vttm_drm.h"
DESCRIPTION = TOP / "tests/syzkaller/dev_vttm.txt"
SIZES = {"__u32": "int32", "__s64": "int64", "__u64": "int64"}
# resources and pointers, by the integers that they are
KINDS = {"vttm_handle": "int32", "vttm_syncobj": "int32", "fd_vttm_dmabuf": "int32",
         "vttm_offset": "int64", "ptr64": "int64"}


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def structs_of_header():
    text = without_comments(HEADER.read_text())
    return {name: [(field, SIZES[kind]) for kind, field in re.findall(r"(__[us]\d+) (\w+);", body)]
            for name, body in re.findall(r"^struct (\w+) \{(.*?)^\};", text, re.S | re.M)}


def structs_of_description():
    found = {}
    for name, body in re.findall(r"^(\w+) \{\n(.*?)^\}", DESCRIPTION.read_text(), re.S | re.M):
        found[name] = []
        for line in body.splitlines():
            field, kind = line.split("\t(")[0].split(None, 1)
            size = re.search(r"int(?:32|64)", kind)
            found[name].append((field, size[0] if size else KINDS[re.match(r"\w+", kind)[0]]))
    return found


class Syzkaller(unittest.TestCase):
    def test_every_struct_has_the_fields_in_order(self):
        described = structs_of_description()
        structs = structs_of_header()
        self.assertGreater(len(structs), 5)
        for name, fields in structs.items():
            self.assertEqual(described.get(name), fields, name)

    def test_every_ioctl_and_flag_is_there(self):
        text = without_comments(HEADER.read_text())
        names = set(re.findall(r"^#define (DRM_IOCTL_VTTM_\w+)", text, re.M))
        names |= set(re.findall(r"^\t(DRM_VTTM_\w+) = ", text, re.M))
        names |= set(re.findall(r"^#define (DRM_VTTM_CREATE_\w+)", text, re.M))
        self.assertGreater(len(names), 10)
        words = set(re.findall(r"\w+", DESCRIPTION.read_text()))
        self.assertEqual(names - words, set())
