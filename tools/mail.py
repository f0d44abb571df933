#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Make mails of what git format-patch writes.

    tools/mail.py cover [--version N] --results FILE --series FILE [--mark MARK] LETTER
        Print a cover letter: a subject, an empty line and the text, without the
        head of LETTER ("Version: N" and "Subject: TEXT"), and with the figures in
        place of {{SECTION | ROW | COLUMN}}, where ROW is the cells that a row of
        a table of the results begins with, separated by commas; and the numbers of
        the patches under a heading of the series in place of {{patches | HEADING}}.
        The letter must name all headings. MARK is that of the patches which the
        letter is for. Each patch under a heading "Fixes ..." must have a line
        "Fixes:", say what introduced the bug, or belong to the next or previous one.

    tools/mail.py headers --id NAME [--base COMMIT]
                          [--recipients FILE --kernel DIR] SERIES
        Complete the mails in the directory SERIES: headers in one line each, To
        and Cc, message ids that make a thread, and base-commit.

Bad input gets one line and exit status 1.
"""

import argparse
import email.header
import email.utils
import hashlib
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


class Wrong(Exception):
    """What is wrong with the input, in one line"""


def tables(text):
    """Yield (section, header, row) for each row of a Markdown table"""
    section, header = "", None
    for line in text.splitlines():
        if line.startswith("#"):
            section, header = line.lstrip("#").strip(), None
        elif not line.startswith("|"):
            header = None
        else:
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if header is None:
                header = cells
            elif not all(re.fullmatch(r":?-+:?", cell) for cell in cells):
                yield section, header, cells


def figure(rows, reference):
    """The figure that "SECTION | ROW | COLUMN" stands for"""
    parts = [" ".join(part.split()) for part in reference.split("|")]
    if len(parts) != 3:
        raise Wrong(f"{{{{{reference}}}}} is not SECTION | ROW | COLUMN")
    section, row, column = parts
    found = set()
    for name, header, cells in rows:
        if name != section or column not in header:
            continue
        for count in range(1, len(cells)):
            if ", ".join(cells[:count]) == row:
                found.add(cells[header.index(column)])
    if len(found) != 1:
        raise Wrong(f"the results have {len(found)} figures for '{reference}'")
    # a letter of ASCII is read everywhere
    text = found.pop().replace("\u00d7", "x").replace("\u2013", "-").replace("\u00b5", "u")
    return text.replace("\u00a0", " ").replace(" x", "x")


def headings(text, mark):
    """Yield (heading, patches, numbers) for each block of a series. A heading is the
    line above the patches, up to a comma or a full stop."""
    number, heading, patches = 0, None, []
    for line in text.splitlines() + [""]:
        words = line.split()
        if line.startswith("#"):
            heading = re.split(r"[.,]", line.lstrip("# "))[0] if not heading else heading
        elif not words:
            if patches and heading:
                first = number - len(patches) + 1
                yield heading, patches, f"{first}-{number}" if first < number else f"{number}"
            heading, patches = None, []
        elif (words[1:] or ["core"])[0] == mark:
            number += 1
            patches.append(words[0])


def check_fix(path):
    """A fix names the commit that it fixes, or says what introduced the bug"""
    message = path.read_text().partition("\n---\n")[0]
    if not re.search(r"^Fixes: [0-9a-f]{12} \(\"|\bintroduced\b|\b(next|previous) patch\b",
                     message.replace("next\npatch", "next patch"), re.M):
        raise Wrong(f"{path.name}: no 'Fixes:', and not a word of what introduced the bug")


def cover(args):
    text = Path(args.letter).read_text()
    head, _, body = text.partition("\n\n")
    fields = dict(re.findall(r"^([A-Za-z]+): *(.+)$", head, re.M))
    if "Subject" not in fields or not body.strip():
        raise Wrong(f"{args.letter}: no 'Subject: ', empty line and text")
    if args.version > 1 and not re.search(rf"^Changes in v{args.version}\b", body, re.M):
        raise Wrong(f"{args.letter} has no 'Changes in v{args.version}'")
    numbers = {}
    for heading, patches, numbered in headings(Path(args.series).read_text(), args.mark):
        numbers[heading] = numbered
        if f"{{{{patches | {heading}}}}}" not in body:
            raise Wrong(f"{args.letter} does not name the patches under '{heading}'")
        if heading.startswith("Fixes"):
            for name in patches:
                check_fix(Path(args.series).parent / name)
    for heading in re.findall(r"\{\{patches \| (.*?)\}\}", body):
        if heading not in numbers:
            raise Wrong(f"the series has no patches under '{heading}'")
    body = re.sub(r"\{\{patches \| (.*?)\}\}", lambda match: numbers[match[1]], body)
    rows = list(tables(Path(args.results).read_text()))
    body = re.sub(r"\{\{(.*?)\}\}", lambda match: figure(rows, match[1]), body, flags=re.S)
    for line in body.splitlines():
        if len(line) > 76 and not line.startswith("Link: "):
            raise Wrong(f"{args.letter}: longer than 76: {line}")
    print(fields["Subject"] + "\n\n" + body.rstrip())


def address(text):
    """A name and an address of "NAME <ADDRESS>" or "ADDRESS", ready for a header"""
    name, mail = email.utils.parseaddr(text)
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", mail):
        raise Wrong(f"not an address: {text}")
    return mail.lower(), email.utils.formataddr((name, mail))


def fixed(path):
    """The recipients of everything: those of lines "To: " and "Cc: " of a file"""
    found = {"To": {}, "Cc": {}}
    for line in Path(path).read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        kind, _, text = line.partition(": ")
        if kind not in found:
            raise Wrong(f"{path}: '{line}' is not 'To: ' or 'Cc: ' and an address")
        key, value = address(text)
        found[kind][key] = value
    return found


def maintainers(kernel, patch):
    """Who get_maintainer.pl names for a patch: maintainers, and all others"""
    run = subprocess.run(
        ["perl", "scripts/get_maintainer.pl", "--nogit", "--nogit-fallback", "--nofixes",
         "--roles", "--no-rolestats", "--no-tree", str(patch.resolve())],
        cwd=kernel, capture_output=True, text=True, check=False)
    if run.returncode:
        raise Wrong(f"get_maintainer.pl fails for {patch.name}: {run.stderr.strip()[:200]}")
    found = {"To": {}, "Cc": {}}
    for line in run.stdout.splitlines():
        who, _, role = line.partition(" (")
        key, value = address(who)
        kind = "To" if role.startswith(("maintainer", "supporter")) else "Cc"
        found[kind][key] = value
    return found


def header_lines(to, cc):
    """Lines for a head; who is in To is not in Cc as well"""
    lines = []
    rest = {key: value for key, value in cc.items() if key not in to}
    for kind, people in ("To", to), ("Cc", rest):
        if people:
            lines.append(f"{kind}: {', '.join(people[key] for key in sorted(people))}")
    return lines


def unfold(head):
    """A header in one line each; encoded words that follow each other become one text"""
    lines = []
    for line in re.sub(r"\n[ \t]+", " ", head).splitlines():
        name, colon, value = line.partition(": ")
        if colon and value.count("=?") > 1:
            text = str(email.header.make_header(email.header.decode_header(value)))
            if name in ("From", "To", "Cc"):
                value = ", ".join(map(email.utils.formataddr, email.utils.getaddresses([text])))
            else:
                value = email.header.Header(text, maxlinelen=sys.maxsize).encode()
        lines.append(name + colon + value)
    return lines


def headers(args):
    series = Path(args.series)
    mails = sorted(series.glob("*.patch"))
    if not mails or not mails[0].name.endswith("0000-cover-letter.patch"):
        raise Wrong(f"{series}: no mails of git format-patch --cover-letter")
    people = {mail: {"To": {}, "Cc": {}} for mail in mails}
    if args.recipients:
        everyone = fixed(args.recipients)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = pool.map(lambda mail: maintainers(args.kernel, mail), mails[1:])
            for mail, named in zip(mails[1:], found):
                people[mail] = {
                    "To": named["To"],
                    "Cc": {**everyone["To"], **everyone["Cc"], **named["Cc"]}}
        # the letter: to those who decide on all of it, a copy to all others
        people[mails[0]] = {
            "To": everyone["To"],
            "Cc": {key: value for mail in people.values() for kind in mail.values()
                   for key, value in kind.items()}}
    # Ids that tell the same mail from another one, and are the same each time
    digest = hashlib.sha256(b"".join(mail.read_bytes() for mail in mails)).hexdigest()[:12]
    domain = re.search(r"^From: .*?@([\w.-]+)", mails[0].read_text(), re.M)
    if not domain:
        raise Wrong(f"{mails[0]} is from nobody")
    for number, mail in enumerate(mails):
        head, _, body = mail.read_text().partition("\n\n")
        lines = unfold(head)
        name = f"{args.id}-{{}}-{digest}@{domain[1]}"
        lines.append(f"Message-ID: <{name.format(number)}>")
        if number:
            lines.append(f"In-Reply-To: <{name.format(0)}>")
            lines.append(f"References: <{name.format(0)}>")
        lines += header_lines(people[mail]["To"], people[mail]["Cc"])
        body = body.rstrip("\n") + "\n"
        if not body.isascii() and not any(line.startswith("Content-Type:") for line in lines):
            lines += ["MIME-Version: 1.0", "Content-Type: text/plain; charset=UTF-8",
                      "Content-Transfer-Encoding: 8bit"]
        if not number and args.base:
            body += f"\nbase-commit: {args.base}\n"
        # what git format-patch ends a mail with, without its own version
        mail.write_text("\n".join(lines) + "\n\n" + body + "-- \n" + args.id + "\n\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("cover", help="print a cover letter")
    command.add_argument("--version", type=int, default=1)
    command.add_argument("--results", required=True)
    command.add_argument("--series", required=True)
    command.add_argument("--mark", default="core")
    command.add_argument("letter")
    command.set_defaults(run=cover)
    command = commands.add_parser("headers", help="complete the mails of a series")
    command.add_argument("--id", required=True)
    command.add_argument("--base")
    command.add_argument("--recipients")
    command.add_argument("--kernel")
    command.add_argument("series")
    command.set_defaults(run=headers)
    args = parser.parse_args()
    try:
        args.run(args)
    except (Wrong, OSError) as wrong:
        sys.exit(f"mail.py: {wrong}")


if __name__ == "__main__":
    main()
