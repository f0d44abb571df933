#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What parses is tested by itself: tests/harness/unit.

set -euo pipefail
. "$(dirname "$0")/../../tools/lib.sh"
exec "$TOP/tests/harness/unit/run.py"
