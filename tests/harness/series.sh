#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The patches of make series make the tree that is tested here, and are complete
# mails.

set -uo pipefail
# shellcheck source=tests/harness/ktap.bash
. "$(dirname "$0")/ktap.bash"
# what the options below do not say is not to come from the caller
unset GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL

# check NAME PATTERN FAILS COMMAND...: the command fails (or not), and its messages
# match; one that fails says it in one line
check()
{
	local name=$1 pattern=$2 fails=$3 status=0
	shift 3
	"$@" >"$work/out" 2>"$work/err" || status=$?
	if { [[ $fails == fails && $status != 0 && $(wc -l <"$work/err") == 1 ]] ||
	     [[ $fails == works && $status == 0 ]]; } &&
	   grep -qE -- "$pattern" "$work/err" "$work/out"; then
		pass "$name"
	else
		sed 's/^/# /' "$work/out" "$work/err"
		echo "# exit status $status, wanted: $fails, /$pattern/"
		fail "$name"
	fi
}

# has FILE PATTERN / lacks FILE PATTERN: whether a line matches
has() { grep -qE -- "$2" "$1"; }
lacks() { ! grep -E -- "$2" "$1"; }

echo "KTAP version 1"
check "git am makes the assembled tree" "patches for Linux .*, checked with git am" works \
	"$TOP/tools/export-series" --draft --output "$work/draft"
is "a draft is for nobody" lacks <(sed '/^$/q' "$work"/draft/core/*0001-*) '^(To|Cc): '
is "nobody maintains its driver" lacks "$(ls "$work"/draft/vttm/0001-*)" '^\+M:'
is "and says so in its subject" has "$(ls "$work"/draft/core/*0001-*)" '^Subject: \[DRAFT PATCH'

# The rest on a copy of the project with the first hook, one with a new file and the
# last, on the files that these touch
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
real=$("$TOP/tools/fetch-source") || exit 1
copy=$work/copy kernel=$work/kernel hooks=$work/copy/hooks/$KSERIES
mkdir -p "$hooks" "$copy/docs" "$copy/kernel/mm" "$kernel/scripts"
cp -r "$TOP"/{tools,vm} "$copy/"
cp "$TOP"/hooks/"$KSERIES"/{cover-vttm.txt,recipients} "$hooks/"
# fresh_letter: that of the series, which has no headings here
fresh_letter()
{
	sed 's/{{patches | [^}]*}}/1/' "$TOP/hooks/$KSERIES/cover-core.txt" >"$hooks/cover-core.txt"
}
fresh_letter
cp "$TOP/docs/results.md" "$copy/docs/"
cp "$real"/{Makefile,Kbuild,MAINTAINERS} "$kernel/"
cp "$real/scripts/get_maintainer.pl" "$kernel/scripts/"
mkdir "$kernel/mm"
for file in vmstat shmem vmscan; do
	printf 'int %s;\n' "$file" >"$kernel/mm/$file.c"
done

# hook NAME FILE TAGS: a hook that changes a file, with lines after the diffstat's "---"
hook()
{
	printf 'Subject: mm: %s\n\nThis line is why.\n---\n%s' "$1" "${3:-}"
	printf -- '\ndiff --git a/mm/%s.c b/mm/%s.c\n--- a/mm/%s.c\n+++ b/mm/%s.c\n' "$2" "$2" "$2" "$2"
	printf '@@ -1 +1,2 @@\n int %s;\n+int more;\n' "$2"
}
long="write a subject that is so long that git would fold it in two"
hook "$long" vmscan >"$hooks/first.patch"
hook "add a file" shmem $'New-file: mm/shmem_insert.c\n' >"$hooks/second.patch"
hook "add a driver" vmstat >"$hooks/third.patch"
printf '\nDRM DRIVER FOR VIRTUAL TTM DEVICES (VTTM)\nS:\tMaintained\n' |
	cat "$kernel/MAINTAINERS" - >"$work/maintainers"
diff -u --label a/MAINTAINERS --label b/MAINTAINERS "$kernel/MAINTAINERS" "$work/maintainers" \
	>>"$hooks/third.patch" || true
sed -i 's/^This line is why.$/&\n\nFixes: 84798514db50 ("mm: Remove swap_writepage() and shmem_writepage()")/' \
	"$hooks/first.patch"
printf 'first.patch\nsecond.patch\n\nthird.patch vttm\n' >"$hooks/series"
echo 'int insert;' >"$copy/kernel/mm/shmem_insert.c"
export KERNEL_SRC=$kernel
series=$copy/tools/export-series

check "without a name, nothing is signed off" "cannot sign off" fails "$series"
export GIT_AUTHOR_NAME='Ada Byron'
for email in root@localhost ada@example.org ada@mail.invalid ada noreply@github.com; do
	GIT_AUTHOR_EMAIL=$email check "nor with the address $email" "cannot sign off" fails "$series"
done
export GIT_AUTHOR_EMAIL=ada@kernel.org
base=0123456789abcdef0123456789abcdef01234567
check "a version that the letter does not know" "no 'Changes in v7'" fails "$series" -v 7
check "a version that is none" "not a number" fails "$series" --version two
check "a base that is none" "not a commit" fails "$series" --base v9.9
check "two series are written" "^build/series/vttm: 1 patches" works "$series" --rfc --base $base
core=$copy/build/series/core vttm=$copy/build/series/vttm
letter=$core/0000-cover-letter.patch
first=$(ls "$core"/0001-*) second=$(ls "$core"/0002-*)
is "the letter has a subject" has "$letter" '^Subject: \[RFC PATCH 0/2\] mm/shmem'
is "a list of the patches" has "$letter" '^Ada Byron \(2\):'
is "the commit that it is based on" has "$letter" "^base-commit: $base$"
is "the attempt before" has "$letter" '^Link: https://lore.kernel.org/r/'
is "and no figure to be filled in" lacks "$letter" '\{\{|\*\*\*'
is "the other series is version 1" has "$vttm/0000-cover-letter.patch" '^Subject: \[RFC PATCH 0/1\] drm'
is "who sends a driver maintains it" has "$(ls "$vttm"/0001-*)" '^\+M:	Ada Byron <ada@kernel.org>$'
is "a long subject is in one line" has "$first" "^Subject: .*$long\$"
is "no header is folded" lacks <(sed '/^$/q' "$first" "$letter") '^[[:space:]]'
is "a patch is signed off behind its other tags" \
	awk '/^Fixes: / { fixes = NR } /^Signed-off-by: Ada Byron <ada@kernel.org>$/ { found = NR == fixes + 1 }
	     END { exit !found }' "$first"
is "it goes to the maintainers" has "$second" '^To: .*Hugh Dickins'
is "with a copy to others" has "$second" '^Cc: .*linux-mm@kvack.org'
is "a new file comes with its patch" has "$second" '^\+int insert;'
is "the mails are a thread" has "$second" "^In-Reply-To: $(sed -n 's/^Message-ID: //p' "$letter")"
cp -r "$core" "$work/keep"
"$series" --rfc --base $base >"$work/out" 2>&1
is "the same state makes the same mails" diff -r "$work/keep" "$core"
is "dated by SOURCE_DATE_EPOCH" has <(SOURCE_DATE_EPOCH=1700000000 "$series" --rfc --base $base >&2 &&
	cat "$core"/0001-*) '^Date: Tue, 14 Nov 2023 22:13:20 \+0000$'
SOURCE_DATE_EPOCH=today check "which is a number" "'today' is not a number of seconds" fails "$series"
# as a tarball has it: no repository here, nor above
find "$copy/kernel" "$hooks" -type f -exec touch -d @1600000000 {} +
touch -d @1650000000 "$hooks/second.patch"
is "or by the newest file where there is no repository" \
	has <(GIT_CEILING_DIRECTORIES=$work "$series" --rfc --base $base >&2 && cat "$core"/0001-*) \
	'^Date: Fri, 15 Apr 2022 05:20:00 \+0000$'
# as in a container, where root finds a checkout of somebody else
git init -q "$work/others"
git -C "$work/others" -c user.name=a -c user.email=a commit -q --allow-empty -m a \
	--date=@1500000000
others() { TOP=$work/others GIT_TEST_ASSUME_DIFFERENT_OWNER=1 "$@" log -1 --format=%at; }
is "a repository of somebody else is none to git" test -z "$(others git -C "$work/others" 2>/dev/null)"
is "and is one here" test "$(others project_git)" == 1500000000

sed -i 's/{{[^|]*|/{{No such section |/' "$hooks/cover-core.txt"
check "a figure that the results do not have" "have 0 figures for 'No such section" fails "$series"
fresh_letter
sed -i '1i # Fixes of bugs, and more' "$hooks/series"
check "patches that the letter does not name" "does not name the patches under 'Fixes of bugs'" fails "$series"
echo '{{patches | Fixes of bugs}}' >>"$hooks/cover-core.txt"
check "a fix of a bug that nothing introduced" "second.patch: no 'Fixes:'" fails "$series"
sed -i 's/^This line is why.$/& Nothing introduced it./' "$hooks/second.patch"
check "patches that the letter names" "^build/series/core: 2 patches" works "$series"
is "by their numbers" has "$core/0000-cover-letter.patch" '^1-2$'
echo '{{patches | Other}}' >>"$hooks/cover-core.txt"
check "patches that the series does not have" "no patches under 'Other'" fails "$series"
fresh_letter
sed -i 1d "$hooks/series"
echo 'Bcc: someone@kernel.org' >>"$hooks/recipients"
check "a recipient of another kind" "is not 'To: ' or 'Cc: '" fails "$series"
cp "$TOP/hooks/$KSERIES/recipients" "$hooks/"
sed -i 's/^Subject: //' "$hooks/second.patch"
check "a hook without a subject" "second.patch does not begin with" fails "$series"
is "--help tells how it is used" grep -q '^usage: ' <("$series" --help)

# What mailers make of all of it, where they are
unset KERNEL_SRC
if command -v b4 >/dev/null; then
	mkdir "$work/b4"
	cat "$work"/draft/core/*.patch >"$work/mbox"
	# it ends without a word where git has no name
	printf '[user]\n\tname = Ada Byron\n\temail = ada@kernel.org\n' >"$work/.gitconfig"
	is "b4 reads it" env -u GIT_CONFIG_GLOBAL HOME="$work" b4 --offline-mode -n am -m "$work/mbox" -o "$work/b4"
	count=$(find "$work/draft/core" -name '*.patch' ! -name '*0000-*' | wc -l)
	is "and misses no patch" test "$(grep -c "^Total patches: $count\$" "$work/out")" == 1
else
	echo "# b4 is not installed: not tried"
fi
if git send-email --help >/dev/null 2>&1 && perl -e 'use Mail::Address' 2>/dev/null; then
	is "git send-email reads it" git send-email --dry-run --confirm=never --suppress-cc=all \
		--from 'Ada Byron <ada@kernel.org>' --smtp-server=/bin/true "$work"/keep/*.patch
	is "and misses no mail" test "$(grep -c '^Result: OK' "$work/out")" == 3
else
	echo "# git send-email is not installed: not tried"
fi
finish
