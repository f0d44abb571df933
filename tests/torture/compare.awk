# SPDX-License-Identifier: GPL-2.0-only
#
# Compare what the same tests gave on two kernels, over one or more runs:
#	awk -f compare.awk PATCHED PRISTINE
# Both files have lines RUN<TAB>CASE<TAB>RESULT; a result is "ok", "not ok", "skip"
# or, for what is no test, any text. Prints a line for each case:
#	same<TAB>CASE<TAB>RESULTS           as it should be
#	fails<TAB>CASE<TAB>RESULTS          the same, and never ok
#	flaky<TAB>CASE<TAB>RESULTS          the same, and not always so
#	differ<TAB>CASE<TAB>RESULTS<TAB>RESULTS    on the first kernel and the second
# RESULTS is the set of what the runs gave, as "not ok, ok". A case that another
# run or the other kernel has, and this one has not, is "missing" there.

BEGIN { FS = OFS = "\t" }

{
	# by name, not by number: an empty file must not make the other one the first
	kernel = FILENAME == ARGV[1] ? 1 : 2
	if (!($2 in known)) {
		known[$2]
		name[++names] = $2
	}
	if (!((kernel, $1) in run)) {
		run[kernel, $1]
		number[kernel, ++runs[kernel]] = $1
	}
	result[kernel, $1, $2] = $3
}

# the set of results of a case on a kernel, sorted
function results(kernel, name,    i, j, n, r, value, seen, text)
{
	for (i = 1; i <= runs[kernel]; i++) {
		r = number[kernel, i]
		value = (kernel, r, name) in result ? result[kernel, r, name] : "missing"
		if (value in seen)
			continue
		seen[value]
		for (j = ++n; j > 1 && list[j - 1] > value; j--)
			list[j] = list[j - 1]
		list[j] = value
	}
	for (i = 1; i <= n; i++)
		text = text (i > 1 ? ", " : "") list[i]
	return n ? text : "missing"
}

END {
	for (k = 1; k <= names; k++) {
		a = results(1, name[k])
		b = results(2, name[k])
		if (a != b)
			print "differ", name[k], a, b
		else if (a ~ /, /)
			print "flaky", name[k], a
		else if (a == "not ok")
			print "fails", name[k], a
		else
			print "same", name[k], a
	}
}
