# SPDX-License-Identifier: GPL-2.0-only
#
# Read KTAP and print one line for each test that has no subtests:
#	pass<TAB>NAME    skip<TAB>NAME<TAB>REASON    fail<TAB>NAME<TAB>WHY
# after the diagnostic lines of a failure, as "# ...". A plan that is missing
# or does not match the results is a failure too; names start with -v prefix.

function emit(kind, name, why)
{
	print kind "\t" prefix name (why != "" ? "\t" why : "")
}

function diagnostics(    i)
{
	for (i = 1; i <= notes; i++)
		print "# " note[i]
}

# the name of a result at that level, below those of the levels above it
function path(level, name,    i, p)
{
	for (i = 0; i < level; i++)
		if (subtest[i + 1] != "" && subtest[i + 1] != name)
			p = p subtest[i + 1] "."
	return p name
}

# the results below a level are complete: does their number match the plan?
function close_level(level, name)
{
	if (plan[level] != "" && plan[level] != count[level]) {
		emit("fail", path(level, name != "" ? name : "plan"),
		     "plan is " plan[level] ", results are " count[level] + 0)
		bad[level]++
	}
	delete plan[level]
	delete count[level]
	delete subtest[level]
}

BEGIN { depth = 0; notes = 0 }

{
	sub(/\r$/, "")
	match($0, /^ */)
	level = int(RLENGTH / 4)
	text = substr($0, RLENGTH + 1)
}

text ~ /^(K?TAP version [0-9]+)$/ {
	started = 1
	# a second document at the same level
	if (level > depth)
		depth = level
	next
}

text ~ /^# Subtest: / {
	subtest[level] = substr(text, 12)
	if (level > depth)
		depth = level
	next
}

text ~ /^[0-9]+\.\.[0-9]+/ {
	split(text, range, /\.\./)
	plan[level] = range[2] + 0
	if (level > depth)
		depth = level
	notes = 0
	next
}

text ~ /^(not )?ok [0-9]+/ {
	ok = text !~ /^not /
	sub(/^(not )?ok /, "", text)
	number = text + 0
	sub(/^[0-9]+ */, "", text)
	sub(/^- /, "", text)
	reason = ""
	skipped = 0
	if (match(text, / *# *(SKIP|skip).*$/)) {
		skipped = 1
		reason = substr(text, RSTART)
		sub(/^ *# *(SKIP|skip) */, "", reason)
		text = substr(text, 1, RSTART - 1)
	}
	sub(/ *#.*$/, "", text)
	parent = 0
	below = 0
	while (depth > level) {
		parent = parent || count[depth]
		# plan 0 below is an empty group, which proves nothing
		close_level(depth, text)
		below += bad[depth]
		delete bad[depth]
		depth--
	}
	depth = level
	count[level]++
	if (number != count[level]) {
		emit("fail", path(level, text), "number " number ", expected " count[level])
		bad[level]++
	}
	name = path(level, text)
	if (parent) {
		# its subtests have been counted; a failure of its own is not
		if (!ok && !below) {
			diagnostics()
			emit("fail", name, "failed, though its subtests passed")
		} else if (ok && below) {
			emit("fail", name, "reported ok, though subtests failed")
		}
		bad[level] += !ok || below
	} else if (!ok) {
		diagnostics()
		emit("fail", name)
		bad[level]++
	} else if (skipped) {
		emit("skip", name, reason)
	} else {
		emit("pass", name)
	}
	results++
	notes = 0
	next
}

# what stands before a result tells why it failed
text != "" {
	if (notes >= 40) {
		for (i = 1; i < notes; i++)
			note[i] = note[i + 1]
		notes--
	}
	sub(/^# */, "", text)
	note[++notes] = text
}

END {
	while (depth > 0) {
		close_level(depth, "")
		depth--
	}
	if (!started && !results && plan[0] == "") {
		diagnostics()
		emit("fail", "output", "reports nothing")
	} else if (plan[0] == "") {
		diagnostics()
		emit("fail", "plan", "there is none")
	} else if (plan[0] != count[0]) {
		diagnostics()
		emit("fail", "plan", "plan is " plan[0] ", results are " count[0] + 0)
	} else if (plan[0] == 0) {
		emit("fail", "plan", "it is empty")
	}
}
