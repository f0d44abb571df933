# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# Tables (Markdown) and data for the plots from bench.json: jq -f, with $want
# the name of one.

def modes: ["pristine", "copy", "insert"];
def caching: ["cached", "wc"];
def title: {cached: "cached", wc: "WC", resident: "resident",
	swapcache: "swap cache", zram: "zram", disk: "disk", file: "swap file", zswap: "zswap",
	pristine: "upstream", copy: "zero_copy=0", insert: "zero_copy=1",
	native: "native", kept: "native, kept", movable: "native, movable"}[.] // .;

# 1234567 -> "1.23 M"
def digits(d): if d == 0 then round | tostring
	else pow(10; d) as $p | (. * $p | round) as $n |
	"\($n / $p | floor).\(($n % $p | tostring) as $s | ("000" + $s)[-d:])" end;
def count: if . == null then "–" elif . >= 1e6 then (. / 1e6 | digits(2)) + " M"
	elif . >= 1e4 then (. / 1e3 | digits(1)) + " k" else digits(0) end;
def times: if . == null then "–" elif . >= 100 then digits(0) + " ×"
	elif . >= 10 then digits(1) + " ×" else digits(2) + " ×" end;
def ratio(a; b): if a == null or b == null or b == 0 then null else a / b end;
def mib: . / 1048576 | digits(1);
def seconds: . / 1e9 | digits(1);
def percent_of($all): if $all > 0 then 100 * . / $all | digits(1) else "–" end;
def restored: .restored_adopted_pages + .restored_extracted_pages + .restored_merged_pages + .restored_copied_pages;
def row: "| " + join(" | ") + " |";
def table(head): (head | row), (head | map("---") | row), .[];

def cost(mode; op; state; c; o): first(.results[] | select(.part == "cost" and
	.name != "words" and .name != "split" and .name != "swapout" and .run == 1 and .mode == mode and .op == op and .state == state and
	.caching == c and .order == o)) // null;
def ins(mode; op; state; c; o): cost(mode; op; state; c; o).instructions;
def alloc(mode; op; state; c; o): cost(mode; op; state; c; o).pages_allocated |
	if . == null then "–" else digits(1) end;
def words(mode; op; c): first(.results[] | select(.name == "words" and .run == 1 and
	.mode == mode and .op == op and .caching == c)).instructions // null;
def wordsnet(mode; op; c): words(mode; op; c) as $a | words(mode; "fault"; c) as $f |
	if $a == null then null elif op == "restore" then $a - $f else $a end;
def swapout_in(mode; op; state; c; o): first(.results[] | select(.name == "swapout" and .run == 1 and
	.mode == mode and .op == op and .state == state and .caching == c and .order == o)) // null;
def swapout_net_in(mode; op; state; c; o): swapout_in(mode; op; state; c; o).instructions as $a |
	swapout_in(mode; "fault"; "resident"; c; o).instructions as $f |
	if $a == null then null elif op == "restore" then ([$a - $f, 1] | max) else $a end;
def swapout(mode; op; c; o): swapout_in(mode; op; "resident"; c; o);
def swapout_net(mode; op; c; o): swapout_net_in(mode; op; "resident"; c; o);
def swapout_orders: [.results[] | select(.name == "swapout") | .order] | unique;
def orders: [.results[] | select(.part == "cost") | .order] | unique;
def swaps: ["disk", "file", "disk, huge pages off", "zram, huge pages off"];
def sweep_on(swap): {"disk": "sweep", "file": "sweep-file", "disk, huge pages off": "sweep-off",
	"zram, huge pages off": "sweep-zram"}[swap];
def part(name; mode): [.results[] | select(.name == name and .mode == mode)];

# restore without the fault that it takes place in
def net(mode; state; c; o): ins(mode; "restore"; state; c; o) as $r |
	ins(mode; "fault"; "resident"; c; o) as $f |
	if $r == null or $f == null then null else ([$r - $f, 1] | max) end;

# slope of ln(y) over ln(x)
def exponent: map([(.[0] | log), (.[1] | log)]) | length as $n |
	(map(.[0]) | add / $n) as $mx | (map(.[1]) | add / $n) as $my |
	(map((.[0] - $mx) * (.[1] - $my)) | add) /
	(map((.[0] - $mx) * (.[0] - $mx)) | add);

# all buffers, beside a process that never stops
def spun(mode; unfair): first(.results[] | select(.part == "spinner" and .mode == mode and
	.unfair == unfair)).total_ns // null;

# "hibernate-RAM:VRAM:USED:LIMIT", in MiB, in the order of the commands
def hibernations: reduce (.commands[].name | select(startswith("hibernate-"))) as $n ([];
	if index([$n]) then . else . + [$n] end) | if . == [] then error("no hibernation") else . end;
def hibernated(name; m): part(name; m)[0] // error("no \(name) with \(m)");

def sizes: [.results[] | select(.part == "growth") | .bytes] | unique;
def growth(mode; c): [.results[] | select(.part == "growth" and .mode == mode and
	.caching == c)];

# the figures of a mode for a value; none is an error, or columns would move
def at(name; m; p): [part(name; m)[] | select(.percent == p)] |
	.[0] // error("no \(name) of \(p) % with \(m)");
# the longest reading of more than there is RAM for, against upstream
def longest(name): . as $b | [part(name; "insert")[] | select(.percent >= 100) | .percent as $p |
	ratio(.read_ns; $b | at(name; "pristine"; $p).read_ns)] | max;
def grown(m; c; s): [growth(m; c)[] | select(.bytes == s)] |
	.[0] // error("no growth of \(s) with \(m)");

# alternatives.json: a figure of each way, "–" where a way has no such part
def ways: ["pristine", "insert", "native", "kept"];
def figure(name; mode; p): .results[] | select(.name == name and .mode == mode and .part == p);
def each($ways; name; p; f; text): [$ways[] as $m | first(figure(name; $m; p) | f) // null |
	if . == null then "–" else text end];
def costs(op; state; c; o): [ways[] as $m | ins($m; op; state; c; o) | count];
def nets(state; c; o): [ways[] as $m | net($m; state; c; o) | count];
def mib0: . / 1048576 | round | tostring;
def grouplimited: first(figure("alone"; "insert"; "group") | select(.limit_bytes < .bytes)) |
	"\(.bytes | mib0) MiB in a group that may have \(.limit_bytes | mib0)";
def grouped($ms): [$ms[] as $m | first(figure("alone"; $m; "group") | select(.limit_bytes < .bytes)) // null |
	if . == null then "–" elif .signal == 0 then "not killed, \(.charged_backed_up_bytes | mib0) MiB charged"
	elif .signal == 9 then "killed after \(.made_bytes | mib0) MiB" else error("signal \(.signal)") end];
def cycled: first(figure("fragmentation"; "insert"; "cycle")) |
	"\(.percent) % of RAM \(if .rounds == 1 then "once" else "\(.rounds) times" end)";
def thpasked: first(figure("fragmentation"; "insert"; "cycle")) | "2 MiB pages that a process gets afterwards, of \(.thp_asked), %";
def cpus(name): first(figure(name; "insert"; "flush").cpus);
def percent_of_blocks(f): .page_blocks as $b | ($b | add) as $all | ($b | f) | percent_of($all);

# parts that came later are in no table of a bench without them, and are named there
def met: if . == null then "not run" elif . then "yes" else "**no**" end;

# Each table behind a line that names it
. as $b | $ARGS.positional[] as $want | "@\($want)@",
if $want == "machine" then ([
	["kernel, upstream", "Linux \($b.kernels.pristine.release) and vttm, nothing else; .config \($b.kernels.pristine.config_sha256)"],
	["kernel, ours", "Linux \($b.kernels.linux.release) and this project at \($b.commit); .config \($b.kernels.linux.config_sha256)"],
	["compiler", $b.host.compiler],
	["emulator", "QEMU \($b.host.qemu), TCG"],
	["host", "\($b.host.cpu), \($b.host.cpus) processors"],
	["took", "\($b.seconds / 60 | digits(1)) minutes"]
	] | map(row) | table(["what", "which"]))

elif $want == "expected" then ($b | [
	(ratio(ins("pristine"; "backup"; "resident"; "cached"; 9); ins("insert"; "backup"; "resident"; "cached"; 9)) as $v |
		["backup, order 9, cached", "≥ 500 ×", ($v | times), (if $v then $v >= 500 else null end | met)]),
	(ratio(ins("pristine"; "backup"; "resident"; "cached"; 4); ins("insert"; "backup"; "resident"; "cached"; 4)) as $v |
		["backup, order 4, cached", "≥ 20 ×", ($v | times), (if $v then $v >= 20 else null end | met)]),
	(ratio(ins("pristine"; "backup"; "resident"; "cached"; 0); ins("insert"; "backup"; "resident"; "cached"; 0)) as $v |
		["backup, order 0, cached", "≥ 5 ×", ($v | times), (if $v then $v >= 5 else null end | met)]),
	(ratio(net("pristine"; "resident"; "cached"; 9); net("insert"; "resident"; "cached"; 9)) as $v |
		["resident restore, order 9, cached", "≥ 500 ×", ($v | times), (if $v then $v >= 500 else null end | met)]),
	(ratio(net("pristine"; "resident"; "cached"; 4); net("insert"; "resident"; "cached"; 4)) as $v |
		["resident restore, order 4, cached", "≥ 20 ×", ($v | times), (if $v then $v >= 20 else null end | met)]),
	(ratio(net("pristine"; "resident"; "cached"; 0); net("insert"; "resident"; "cached"; 0)) as $v |
		["resident restore, order 0, cached", "≥ 5 ×", ($v | times), (if $v then $v >= 5 else null end | met)]),
	(([orders[] as $o | caching[] as $c | cost("insert"; "backup"; "resident"; $c; $o).pages_allocated | values] | max) as $v |
		["pages allocated to back up 2 MiB, at most", "0", ($v // 0 | digits(2)), ($v == 0 | met)]),
	(([orders[] as $o | caching[] as $c | cost("insert"; "restore"; "resident"; $c; $o).pages_allocated | values] | max) as $v |
		["pages allocated to restore 2 MiB that are resident, at most", "0", ($v // 0 | digits(2)), ($v == 0 | met)]),
	(ratio(ins("insert"; "backup"; "resident"; "wc"; 9); ins("insert"; "purge"; "resident"; "wc"; 9)) as $v |
		["backup of WC against purge, order 9", "≤ 1.3 ×", ($v | times), (if $v then $v <= 1.3 else null end | met)]),
	(ratio(ins("insert"; "backup"; "resident"; "cached"; 0); ins("insert"; "purge"; "resident"; "cached"; 0)) as $v |
		["backup against purge, order 0, cached", "≤ 2.2 ×", ($v | times), (if $v then $v <= 2.2 else null end | met)]),
	(ratio(ins("pristine"; "restore"; "disk"; "cached"; 9); ins("insert"; "restore"; "disk"; "cached"; 9)) as $v |
		["restore from disk, order 9, cached", "≥ 45 ×", ($v | times), (if $v then $v >= 45 else null end | met)]),
	(ins("insert"; "restore"; "disk"; "wc"; 9) as $v |
		["restore from disk, order 9, WC, instructions", "≤ 620 k", ($v | count), (if $v then $v <= 620000 else null end | met)]),
	(("ssd", "hdd") as $d | ratio(part("readback-\($d)"; "insert")[0].read_ns; part("readback-\($d)"; "pristine")[0].read_ns) as $v |
		["time to read back from \({ssd: "an SSD", hdd: "a hard disk"}[$d]), against upstream", "≤ 0.3 ×", ($v | times), (if $v then $v <= 0.3 else null end | met)]),
	(([("fragmentation", "sweep", "sweep-file", "sweep-off", "swap-disk", "swap-file", "swap-zram", "swap-zswap") as $n | part($n; "insert")[] |
		restored as $back | select($back > 0) | .restored_copied_pages / $back] | max) as $v |
		["restored by a copy, merging aside, on any kind of swap, at most", "≤ 3 %", ($v // 0 | "\(. * 100 | digits(1)) %"), (if $v then $v <= 0.03 else null end | met)]),
	(("sweep", "sweep-off") as $n | longest($n) as $v |
		[{"sweep": "more buffers than memory on a disk: time to read, against upstream, at most",
		  "sweep-off": "the same with huge pages off"}[$n], "≤ 0.12 ×", ($v | times),
		 (if $v then $v <= 0.12 else null end | met)]),
	([swaps[] as $s | {s: $s, kills: ([part(sweep_on($s); "insert")[].oom_kill] | add)} | select(.kills != null)] as $v |
		["OOM kills then, on \($v | map(.s) | join("; "))", "0", "\($v | map(.kills) | add // 0)", ($v | map(.kills) | add == 0 | met)]),
	([.results[] | select(.name | startswith("kills-"))] as $v | ($v | map(.kills // 0) | add) as $kills |
		["page faults that have to wait, \(if $v == [] then "" else "\($v | length) runs, " end)swap on zram: OOM kills", "0",
		 ($kills // "–" | tostring), (if $kills == null then null else $kills == 0 end | met)]),
	([(false, true) as $u | ratio(spun("insert"; $u); spun("copy"; $u))] as $v |
		(if $v | any(. == null) then null else $v | max end) as $v |
		["beside a process that never stops, against zero_copy=0, at most", "≤ 3 ×", ($v | times), (if $v then $v <= 3 else null end | met)]),
	(("file", "zswap") as $s | ([orders[] as $o | caching[] as $c |
			ratio(net("pristine"; $s; $c; $o); net("insert"; $s; $c; $o)) | values] | min) as $v |
		["restore from \({file: "a swap file", zswap: "zswap"}[$s]), any order, at least", "≥ 1 ×", ($v | times), (if $v then $v >= 1 else null end | met)]),
	(part("fragmentation"; "insert")[0] as $i | part("fragmentation"; "pristine")[0] as $p | ratio($i.read_ns; $p.read_ns) as $v |
		["buffers of 1.5 times RAM read ten times: time, against upstream", "≤ 0.5 ×", ($v | times), (if $v then $v <= 0.5 else null end | met)],
		["free blocks of 2 MiB after that", "≥ 52", "\($i.after.free_order9), upstream \($p.after.free_order9)", ($i.after.free_order9 >= 52 | met)],
		["buffers in chunks of 2 MiB then", "≥ upstream", ([$i, $p] | map(.pages_by_order[9:] | add / 10 | digits(1) + " %") | "\(.[0]), upstream \(.[1])"),
		 (($i.pages_by_order[9:] | add) >= ($p.pages_by_order[9:] | add) | met)],
		["buffers in chunks of 64 KiB and more then", "≥ upstream", ([$i, $p] | map(.pages_by_order[4:] | add / 10 | digits(1) + " %") | "\(.[0]), upstream \(.[1])"),
		 (($i.pages_by_order[4:] | add) >= ($p.pages_by_order[4:] | add) | met)]),
	(([part("peak"; "insert")[] | .peak_bytes / .bytes] | max) as $v |
		["memory taken at most by a backup, of the buffer", "≤ 0.1 %", "\($v // 0 | . * 100 | digits(3)) %", (if $v then $v <= 0.001 else null end | met)]),
	(ratio(swapout_net("pristine"; "backup"; "cached"; 9); swapout_net("insert"; "backup"; "cached"; 9)) as $v |
		["swapout by TTM itself, order 9, cached", "≥ 300 ×", ($v | times), (if $v then $v >= 300 else null end | met)]),
	(ratio(swapout_net("pristine"; "backup"; "cached"; 4); swapout_net("insert"; "backup"; "cached"; 4)) as $v |
		["swapout by TTM itself, order 4, cached", "≥ 15 ×", ($v | times), (if $v then $v >= 15 else null end | met)]),
	(([swapout_orders[] as $o | caching[] as $c | swapout("insert"; "backup"; $c; $o).pages_allocated | values] | max) as $v |
		["pages allocated to swap out 2 MiB, at most", "0", ($v // 0 | digits(2)), ($v == 0 | met)]),
	(([part("swapout-peak"; "insert")[] | .peak_bytes / .bytes] | max) as $v |
		["memory taken at most by a swapout, of the buffer", "≤ 0.1 %", "\($v // 0 | . * 100 | digits(3)) %", (if $v then $v <= 0.001 else null end | met)]),
	(([part("reserve"; "insert")[] | select(.backed_up_bytes) | .backed_up_bytes / .bytes] | min) as $v |
		([part("reserve"; "pristine")[] | select(.backed_up_bytes) | .backed_up_bytes / .bytes] | min) as $p |
		([part("reserve"; "insert")[].oom_kills] | add) as $kills |
		["backed up with the least memory free", "100 % where upstream fails",
		 ([$v, $p] | map(if . then . * 100 | digits(0) + " %" else "–" end) | "\(.[0]), upstream \(.[1])"),
		 (if $v and $p then $v == 1 and $p < 1 and $kills == 0 else null end | met)]),
	(([part("reserve-disk"; "insert")[] | select(.backed_up_bytes) | .backed_up_bytes / .bytes] | min) as $v |
		([part("reserve-disk"; "insert")[].oom_kills] | add) as $kills |
		["the same with swap on a disk", "100 %", (if $v then "\($v * 100 | digits(0)) %" else "–" end),
		 (if $v then $v == 1 and $kills == 0 else null end | met)]),
	([hibernations[] as $h | hibernated($h; "insert").error] as $v |
		[hibernations[] as $h | hibernated($h; "pristine").error] as $p |
		["hibernation with VRAM in use", "goes well where upstream's ends in ENOMEM",
		 ([$v, $p] | map("\(map(select(. == 0)) | length) of \(length)") | "\(.[0]), upstream \(.[1])"),
		 (($v | all(. == 0)) and ($p | any(. == 12)) | met)])
	] | map(row) | table(["what", "expected", "measured", "as expected"]))

elif $want == "backup" then ($b | [caching[] as $c | orders[] as $o |
	ins("insert"; "backup"; "resident"; $c; $o) as $i |
	ins("pristine"; "backup"; "resident"; $c; $o) as $p |
	ins("insert"; "purge"; "resident"; $c; $o) as $l |
	[($c | title), "\($o)", ($p | count), (ins("copy"; "backup"; "resident"; $c; $o) | count),
	 ($i | count), (ratio($p; $i) | times), ($l | count), (ratio($i; $l) | times),
	 (ins("pristine"; "purge"; "resident"; $c; $o) | count)]] |
	map(row) | table(["caching", "order", "upstream", "zero_copy=0", "zero_copy=1",
		"upstream / zero_copy=1", "purge", "zero_copy=1 / purge", "upstream: purge"]))

elif $want == "swapout" then ($b | [(["out", "backup", "resident"], ["in", "restore", "drained"],
		["in, from the pools", "restore", "resident"]) as [$what, $op, $state] |
	caching[] as $c | swapout_orders[] as $o |
	swapout_net_in("pristine"; $op; $state; $c; $o) as $p | swapout_net_in("insert"; $op; $state; $c; $o) as $i |
	[$what, ($c | title), "\($o)", ($p | count), ($i | count), (ratio($p; $i) | times),
	 (swapout_in("pristine"; $op; $state; $c; $o).pages_allocated | if . == null then "–" else digits(1) end),
	 (swapout_in("insert"; $op; $state; $c; $o).pages_allocated | if . == null then "–" else digits(1) end)]] |
	map(row) | table(["swap", "caching", "order", "upstream", "zero_copy=1", "upstream / zero_copy=1",
		"pages allocated, upstream", "pages allocated, zero_copy=1"]))

elif $want == "swapoutpeak" then ($b | [([part("swapout-peak"; "insert")[].percent] | unique[]) as $p |
	at("swapout-peak"; "pristine"; $p) as $u | at("swapout-peak"; "insert"; $p) as $i |
	["\($p) %", ($u.bytes | mib), ($u.peak_bytes | mib), ($i.peak_bytes | mib),
	 "\(100 * $i.peak_bytes / $i.bytes | digits(3)) %"]] |
	map(row) | table(["buffer, of RAM", "MiB", "peak, upstream, MiB", "peak, zero_copy=1, MiB", "of the buffer"]))

elif $want == "writeback" then ($b | [caching[] as $c | orders[] as $o |
	ins("insert"; "backup"; "swapcache"; $c; $o) as $i |
	ins("pristine"; "backup"; "swapcache"; $c; $o) as $p |
	select($p) |
	[($c | title), "\($o)", ($p | count), (ins("copy"; "backup"; "swapcache"; $c; $o) | count),
	 ($i | count), (ratio($p; $i) | times)]] |
	map(row) | table(["caching", "order", "upstream", "zero_copy=0", "zero_copy=1",
		"upstream / zero_copy=1"]))

elif $want == "restore" then ($b | [("resident", "swapcache", "zram", "disk", "file", "zswap") as $s | caching[] as $c | orders[] as $o |
	net("pristine"; $s; $c; $o) as $p | net("insert"; $s; $c; $o) as $i | select($p) |
	[($s | title), ($c | title), "\($o)", ($p | count), (net("copy"; $s; $c; $o) | count), ($i | count),
	 (ratio($p; $i) | times), (ins("insert"; "fault"; "resident"; $c; $o) | count)]] |
	map(row) | table(["from", "caching", "order", "upstream", "zero_copy=0", "zero_copy=1",
		"upstream / zero_copy=1", "the fault itself"]))

elif $want == "words" then ($b | [caching[] as $c | ("backup", "restore") as $op |
	wordsnet("pristine"; $op; $c) as $p | wordsnet("insert"; $op; $c) as $i |
	[$op, ($c | title), ($p | count), ($i | count), (ratio($p; $i) | times)]] |
	map(row) | table(["what", "caching", "upstream", "zero_copy=1", "upstream / zero_copy=1"]))

elif $want == "thirds" then ($b | [.results[] | select(.part == "cost" and (.run == 2 or .apart))] |
	if length == 0 then "* This run was a quick one: nothing ran twice."
	else "* Of \(length) figures, \(map(select(.of > 2)) | length) are of parts that ran more than twice, since not all of them agreed. \(
		map(select(.apart)) | if length == 0 then "None was left that did not." else
		"The lowest of all runs stands where none did: " + (map("\(.mode | title), \(.op), \(
			.state | title), \(.caching | title), order \(.order) (\(.apart | map(count) | join(", ")))") |
			join("; ")) + "." end)" end)

elif $want == "split" then ($b | [("backup", "purge", "restore") as $op |
	first(.results[] | select(.name == "split" and .run == 1 and .op == $op and
		.caching == "wc" and .order == 9)).instructions as $s |
	first(.results[] | select(.name == "split" and .run == 1 and .op == "fault" and
		.caching == "wc" and .order == 9)).instructions as $f |
	(if $op == "restore" then net("insert"; "resident"; "wc"; 9) else ins("insert"; $op; "resident"; "wc"; 9) end) as $w |
	(if $op == "restore" then $s - $f else $s end) as $s |
	[$op, ($w | count), ($s | count)]] |
	map(row) | table(["what", "one entry of 2 MiB", "512 of 4 KiB"]))

elif $want == "drop" then ($b | [("resident", "zram", "disk", "file", "zswap") as $s | caching[] as $c | orders[] as $o |
	ins("pristine"; "drop"; $s; $c; $o) as $p | ins("insert"; "drop"; $s; $c; $o) as $i | select($p) |
	[($s | title), ($c | title), "\($o)", ($p | count), (ins("copy"; "drop"; $s; $c; $o) | count), ($i | count),
	 (ratio($p; $i) | times)]] |
	map(row) | table(["from", "caching", "order", "upstream", "zero_copy=0", "zero_copy=1",
		"upstream / zero_copy=1"]))

elif $want == "pages" then ($b | [(["backup", "resident"], ["backup", "swapcache"], ["restore", "resident"],
	 ["restore", "swapcache"], ["restore", "zram"], ["restore", "disk"], ["restore", "file"], ["restore", "zswap"]) as $x |
	orders[] as $o | select(cost("pristine"; $x[0]; $x[1]; "cached"; $o)) |
	[(if $x == ["backup", "swapcache"] then "backup and write to zram"
	  elif $x[0] == "backup" then "backup" else "restore, \($x[1] | title)" end), "\($o)"] +
	 [modes[] as $m | alloc($m; $x[0]; $x[1]; "cached"; $o)]] |
	map(row) | table(["what", "order", "upstream", "zero_copy=0", "zero_copy=1"]))

elif $want == "peak" then ($b | [part("peak"; "pristine")[].percent as $p |
	["\($p) %"] + [modes[] as $m | (at("peak"; $m; $p)) |
		"\(.peak_bytes / 1024 | digits(0)) KiB (\(.peak_bytes / .bytes * 100 | digits(2)) %)",
		"\(.allocated_bytes | mib) MiB"]] |
	map(row) | table(["buffer, of RAM", "upstream: most", "in all", "zero_copy=0: most", "in all",
		"zero_copy=1: most", "in all"]))

elif $want == "reserve" then ($b | [("reserve", "reserve-disk") as $n | part($n; "pristine")[].percent as $p |
	[(if $n == "reserve" then "zram" else "disk" end), "\($p) %"] + [modes[] as $m | (at($n; $m; $p)) |
		"\(if .backed_up_bytes then .backed_up_bytes / .bytes * 100 | digits(0) + " %" else "–" end)\(
		if .oom_kills > 0 then ", OOM kills: \(.oom_kills)" else "" end)"]] |
	map(row) | table(["swap", "free memory, of the min watermark", "upstream", "zero_copy=0", "zero_copy=1"]))

elif $want == "fragmentation" then ($b | [("before", "full", "after") as $w | modes[] as $m | part("fragmentation"; $m)[] |
	[{before: "before", full: "buffers full", after: "after, all freed"}[$w], ($m | title)] +
	(.[$w] // null | if . == null then ["–", "–", "–", "–", "–"] else
	["\(.free_bytes | mib)", "\(.free_order9)", "\(.unusable_index_order9 | digits(3))",
	 "\(if .extfrag_index_order9 < 0 then "–1 (free)" else .extfrag_index_order9 | digits(3) end)",
	 (.direct_map_4k_bytes | if . then mib else "–" end)] end)] |
	map(row) | table(["when", "kernel", "free MiB", "free blocks of 2 MiB", "unusable index, order 9",
		"extfrag index, order 9", "direct map in 4 KiB, MiB"]))

elif $want == "pieces" then ($b | [modes[] as $m | part("fragmentation"; $m)[] |
	[($m | title)] + (.pages_by_order | [.[9:], .[8:9], .[7:8], .[6:7], .[5:6], .[4:5], .[1:4], .[0:1]] |
		map(add / 10 | digits(1)))] |
	map(row) | table(["kernel", "2 MiB, %", "1 MiB", "512 KiB", "256 KiB", "128 KiB", "64 KiB",
		"8 – 32 KiB", "4 KiB"]))

elif $want == "blocks" then ($b | [("before", "full", "after") as $w | modes[] as $m | part("fragmentation"; $m)[] |
	[{before: "before", full: "buffers full", after: "after, all freed"}[$w], ($m | title)] +
	(.[$w].page_blocks // {} | [(.Unmovable, .Reclaimable, .Movable, .HighAtomic) | . // "–" | tostring])] |
	map(row) | table(["when", "kernel", "unmovable", "reclaimable", "movable", "high atomic"]))

elif $want == "sweep" then ($b | [swaps[] as $s | sweep_on($s) as $n |
	([part($n; "pristine")[].percent] | unique[]) as $p | modes[] as $m |
	(part($n; $m)[] | select(.percent == $p)) |
	[$s, "\($p / 100) ×", ($m | title), (if .completed then .fill_ns | seconds else "–" end),
	 (if .completed then .read_ns | seconds else "not completed" end), "\(.oom_kill)",
	 "\(.thp_swpout)", "\(.pswpout - 512 * .thp_swpout)", "\(.thp_swpout_fallback)",
	 (if .restored_extracted_pages then restored as $back |
		.restored_copied_pages | percent_of($back) else "–" end)]] |
	map(row) | table(["swap", "buffers, of RAM", "kernel", "fill, s", "read once, s", "OOM kills",
		"2 MiB swap entries", "4 KiB swap entries", "2 MiB that were split", "restored by a copy, %"]))

elif $want == "latency" then ($b | [modes[] as $m | [.results[] | select(.part == "latency" and .mode == $m and (.name | startswith("latency-")))] | select(length > 0) |
	def span(f): map(f / 1000) | "\(min | digits(1)) – \(max | digits(1))";
	[($m | title), span(.p50_ns), span(.p99_ns), span(.p999_ns), span(.max_ns), span(.total_ns / 1000),
		(map(.kills // 0) | add | tostring)]] |
	map(row) | table(["kernel", "p50, µs", "p99, µs", "p99.9, µs", "longest, µs", "all, ms", "killed"]))

elif $want == "kills" then ($b | [.results[] | select(.name | startswith("kills-"))] |
	if . == [] then "This part was not run." else
	group_by(.name | ltrimstr("kills-") | rtrimstr("M") | tonumber) | map(
	["\(.[0].name | ltrimstr("kills-") | rtrimstr("M")) MiB", "\(length)", "\(map(.kills // 0) | add)",
	 "\(map(.max_ns) | min / 1e6 | digits(1)) – \(map(.max_ns) | max / 1e6 | digits(1))",
	 "\(map(.total_ns) | min | seconds) – \(map(.total_ns) | max | seconds)"] | row) |
	table(["RAM", "runs", "killed", "longest, ms", "all, s"]) end)

elif $want == "limit" then ($b | [.results[] | select(.part == "limit")] as $all |
	if $all == [] then "This part was not run." else
	[caching[] as $c | ([$all[].cpus] | unique[]) as $n |
	[($c | title), "\($n)"] + [modes[] as $m | [$all[] | select(.mode == $m and .caching == $c and .cpus == $n)] |
		if . == [] then "–", "–", "–" else .[0] |
		(if $n == 1 then "\(.ns | count) instructions" else "\(.ns / 1e6 | digits(2)) ms" end),
		(.ipis, .pages_allocated | digits(1)) end]] |
	map(row) | table(["caching", "processors"] + [modes[] | title | "\(.): cost", "interrupts", "pages allocated"]) end)

elif $want == "oom" then ($b | def mib: .name | ltrimstr("oom-") | rtrimstr("M") | tonumber;
	[([.results[] | select(.part == "oom")] | group_by([.contents, mib])[]) as $cell |
	["\($cell[0] | mib) MiB", ($cell[0].contents | if . == "half" then "to a half" else "not at all" end)] +
	[modes[] as $m | [$cell[] | select(.mode == $m)] | select(length > 0) |
	"\(map(.killed) | add) of \(length)",
	(map(select(.killed == 0).total_ns) | if length > 0 then "\(min | seconds) – \(max | seconds)" else "–" end),
	(map(.max_ns) | max | seconds)]] |
	map(row) | table(["RAM", "compresses", "upstream: killed", "took, s", "longest fault, s",
		"zero_copy=0: killed", "took, s", "longest fault, s",
		"zero_copy=1: killed", "took, s", "longest fault, s"]))

elif $want == "spinner" then ($b | [modes[] as $m | [(false, true) as $u |
	first(.results[] | select(.part == "spinner" and .mode == $m and .unfair == $u))] | select(length == 2) |
	[($m | title)] + map((.longest_ns, .total_ns) / 1e6 | digits(1))] |
	map(row) | table(["kernel", "longest, ms", "all, ms", "without the server: longest, ms", "all, ms"]))

elif $want == "swapkinds" then ($b | [("disk", "file", "zram", "zswap") as $s | modes[] as $m | part("swap-\($s)"; $m)[] |
	restored as $back |
	[({disk: "a disk", file: "a file", zram: "zram", zswap: "zswap before a disk"}[$s]), ($m | title),
	 (if .completed then .read_ns | seconds else "not completed" end), "\(.oom_kill)",
	 "\(.thp_swpout)", "\(.thp_swpout_fallback)"] +
	(if .restored_extracted_pages then
		([.restored_extracted_pages, .restored_merged_pages, .restored_copied_pages] | map(percent_of($back)))
	 else ["–", "–", "–"] end) +
	(if .pages_by_order then [.pages_by_order[9:], .pages_by_order[4:9], .pages_by_order[0:4] |
		add / 10 | digits(0)] else ["–", "–", "–"] end)] |
	map(row) | table(["swap", "kernel", "read, s", "OOM kills", "2 MiB swap entries", "2 MiB that were split",
		"extracted, %", "merged, %", "copied, %", "in chunks of 2 MiB, %", "64 KiB – 1 MiB, %", "less, %"]))

elif $want == "readback" then ($b | [("ssd", "hdd") as $d | modes[] as $m | part("readback-\($d)"; $m)[] |
	[({ssd: "SSD at SATA", hdd: "hard disk"}[$d]), ($m | title), "\(.bytes / 1048576)",
	 (.read_ns / 1e9 | digits(2)), "\(.bytes / 1048576 / (.read_ns / 1e9) | digits(0))"]] |
	map(row) | table(["disk", "kernel", "MiB", "read, s", "MiB/s"]))

elif $want == "flush" then ($b | [caching[] as $c | ([.results[] | select(.part == "flush") | .cpus] | unique[]) as $n |
	[($c | title), "\($n)"] + [modes[] as $m | first(part("flush"; $m)[] | select(.caching == $c and .cpus == $n)) |
		(.backup_ipis, .restore_ipis) * 1073741824 / .bytes | digits(0)]] |
	map(row) | table(["caching", "processors", "upstream: backup", "restore", "zero_copy=0: backup", "restore",
		"zero_copy=1: backup", "restore"]))

elif $want == "hibernation" then ($b | [hibernations[] as $h | modes[] as $m | hibernated($h; $m) |
	($h | ltrimstr("hibernate-") | split(":")) + [($m | title),
	 (if .error == 0 then "yes" elif .error == 12 then "**no**, ENOMEM" else "**no**, error \(.error)" end),
	 (.peak_bytes | mib), (.allocated_bytes | mib), (.prepare_ns | seconds)] +
	(if .error == 0 then [(.swapped_bytes | mib), (.image_bytes | mib), (.image_ns | seconds)] else ["–", "–", "–"] end)] |
	map(row) | table(["RAM, MiB", "VRAM", "in use", "pages_limit", "kernel", "hibernates", "most memory taken, MiB", "allocated in all, MiB",
		"devices prepared, s", "swapped out, MiB", "image, MiB", "written after, s"]))

elif $want == "growth" then ($b | [caching[] as $c | sizes[] as $s |
	[($c | title), "\($s / 1048576) MiB"] + [("pristine", "insert") as $m | (grown($m; $c; $s)) |
		(.backup_ns | count), (.restore_ns | count)]] |
	map(row) | table(["caching", "size", "upstream: backup", "restore", "zero_copy=1: backup", "restore"]))

elif $want == "exponents" then ($b | [caching[] as $c | modes[] as $m | growth($m; $c) | select(length > 1) |
	[($c | title), ($m | title), (map([.bytes, .backup_ns]) | exponent | digits(3)),
	 (map([.bytes, .restore_ns]) | exponent | digits(3))]] |
	map(row) | table(["caching", "kernel", "backup", "restore"]))

elif $want == "altsummary" then ($b | ways as $ms |
	first(figure("churn"; "insert"; "churn").bytes | mib0) as $frame |
	def churned(name; c): each($ms; name; "churn"; select(.caching == c).ns; count);
	def read(f; text): each($ms; "fragmentation"; "cycle"; f; text);
	[
	["create and destroy a buffer of \($frame) MiB, cached"] + churned("churn"; "cached"),
	["WC"] + churned("churn"; "wc"),
	["WC, after single pages have been WC"] + churned("counted"; "wc")] +
	[(9, 0) as $o | caching[] as $c | ["backup of 2 MiB, order \($o), \($c | title)"] + costs("backup"; "resident"; $c; $o)] +
	[(9, 0) as $o | caching[] as $c | ["restore, order \($o), \($c | title)"] + nets("resident"; $c; $o)] +
	[["\(grouplimited)"] + grouped($ms),
	["reading \(cycled), from a disk, s"] + read(if .completed then .read_ns else null end; seconds),
	["buffers then in chunks of 64 KiB and more, %"] + read(.pages_by_order // [] | if . == [] then null else .[4:] | add / 10 end; digits(0)),
	["\(thpasked)"] + read(100 * .thp_fault_alloc / .thp_asked; digits(0)),
	["code, bytes"] + [$b.sizes.pristine, $b.sizes.insert, $b.sizes.native, $b.sizes.native | tostring]
	] | map(row) | table(["what", "upstream", "this series", "native", "native, kept"]))

elif $want == "altchurn" then ($b | first(figure("churn"; "insert"; "churn").bytes | mib0) as $frame | [
	(caching[] as $c | ["create and destroy \($frame) MiB, \($c | title)"] +
		each(ways; "churn"; "churn"; select(.caching == $c).ns; count)),
	["WC, after single pages have been WC"] + each(ways; "counted"; "churn"; select(.caching == "wc").ns; count),
	(caching[] as $c | ["pages allocated for that, \($c | title)"] +
		each(ways; "churn"; "churn"; select(.caching == $c).pages_allocated; digits(0))),
	(caching[] as $c | ["interrupts for that, 4 processors, \($c | title)"] +
		each(ways; "alone"; "churn"; select(.caching == $c).ipis; digits(1)))
	] | map(row) | table(["what", "upstream", "this series", "native", "native, kept"]))

elif $want == "altcost" then ($b | [caching[] as $c | orders[] as $o |
	[($c | title), "\($o)"] + costs("backup"; "resident"; $c; $o)[:3] + nets("resident"; $c; $o)[:3]] |
	map(row) | table(["caching", "order", "backup: upstream", "this series", "native",
		"restore: upstream", "this series", "native"]))

elif $want == "altcaching" then ($b |
	def more(op): [(9, 0) as $o | if op == "restore"
		then net("native"; "resident"; "wc"; $o) - net("native"; "resident"; "cached"; $o)
		else ins("native"; op; "resident"; "wc"; $o) - ins("native"; op; "resident"; "cached"; $o) end | count];
	[["to write-combined"] + more("restore"), ["back to write-back"] + more("backup")] |
	map(row) | table(["native, 2 MiB", "one entry of the direct map", "512 single pages"]))

elif $want == "altdrop" then ($b | [caching[] as $c | orders[] as $o |
	[($c | title), "\($o)"] + costs("drop"; "resident"; $c; $o)[:3] + costs("purge"; "resident"; $c; $o)[:3]] |
	map(row) | table(["caching", "order", "destroy what is backed up: upstream", "this series", "native",
		"purge: upstream", "this series", "native"]))

elif $want == "altrest" then ($b | ["pristine", "insert", "native"] as $ms |
	first(figure("flush"; "insert"; "flush").bytes | mib0) as $flushed | [
	(caching[] as $c | ["interrupts for the backup of \($flushed) MiB, \(cpus("flush")) processors, \($c | title)"] +
		each($ms; "flush"; "flush"; select(.caching == $c) | .backup_ipis; tostring)),
	(caching[] as $c | ["for the restore, \($c | title)"] +
		each($ms; "flush"; "flush"; select(.caching == $c) | .restore_ipis; tostring)),
	["what is resident and charged to the group of its owner, %"] +
		each($ms; "alone"; "group"; select(.limit_bytes > .bytes) | 100 * .charged_resident_bytes / .bytes; digits(0)),
	["backed up, and charged to the group of who did it, %"] +
		each($ms; "alone"; "group"; select(.limit_bytes > .bytes) | 100 * .charged_backed_up_bytes / .bytes; digits(0)),
	["\(grouplimited)"] + grouped($ms),
	["code, bytes"] + [$b.sizes.pristine, $b.sizes.insert, $b.sizes.native | tostring],
	["more than upstream in all of the kernel, bytes", "0", ($b.sizes.kernel.insert - $b.sizes.kernel.pristine | tostring), "(a part of this series' kernel)"]
	] | map(row) | table(["what", "upstream", "this series", "native"]))

elif $want == "data-alternatives" then ($b | [orders[] as $o |
	[$o] + [("pristine", "insert", "native") as $m | ins($m; "backup"; "resident"; "wc"; $o)] +
	[("pristine", "insert", "native") as $m | net($m; "resident"; "wc"; $o)] |
	if any(. == null) then error("no cost of order \($o)") else . end | map(tostring) | join(" ")] | .[])

elif $want == "altmemory" then ($b | ["pristine", "insert", "native", "movable"] as $ms |
	def cycle(f; text): each($ms; "fragmentation"; "cycle"; f; text);
	def chunks(order): cycle(.pages_by_order // [] | if . == [] then null else .[order:] | add / 10 end; digits(0));
	[
	["free blocks of 2 MiB before the first pin"] + each($ms; "alone"; "pins"; .free_order9_before; tostring),
	["with \(first(figure("alone"; "insert"; "pins").pinned_bytes | mib)) MiB pinned in single pages, after compaction"] + each($ms; "alone"; "pins"; .free_order9; tostring),
	["after they have gone"] + each($ms; "alone"; "pins"; .free_order9_after; tostring),
	["\(cycled) read: completed"] + cycle(if .completed then "yes" else "**no**" end; .),
	["OOM kills meanwhile"] + cycle(.oom_kill; tostring),
	["read, s"] + cycle(if .completed then .read_ns else null end; seconds),
	["pages in chunks of 2 MiB at the end, %"] + chunks(9),
	["pages in chunks of 64 KiB and more, %"] + chunks(4),
	["2 MiB swapped out whole"] + cycle(.thp_swpout; tostring),
	["2 MiB that were split for swap"] + cycle(.thp_swpout_fallback; tostring),
	["page blocks then: unmovable"] + cycle(.full.page_blocks.Unmovable; tostring),
	["reclaimable"] + cycle(.full.page_blocks.Reclaimable; tostring),
	["movable"] + cycle(.full.page_blocks.Movable; tostring),
	["unusable index, order 9, all freed"] + cycle(.after.unusable_index_order9; digits(3)),
	["direct map in 4 KiB, MiB"] + cycle(.full.direct_map_4k_bytes; mib),
	["pages that were merged by a copy"] + cycle(.restored_merged_pages // 0; tostring),
	["\(thpasked)"] + cycle(100 * .thp_fault_alloc / .thp_asked; digits(0))
	] | map(row) | table(["what", "upstream", "this series", "native", "native, movable"]))

elif $want == "altdirect" then ($b | [[figure("counted"; "direct"; "direct")] | group_by(.order) | reverse[] |
	(map(select(.way == "swap")) | first) as $s | (map(select(.way == "shmem")) | first) as $f |
	["\($s.order)", ($f.put_ns | count), ($s.put_ns | count), ($f.take_ns | count), ($s.take_ns | count),
	 ($f.slots | digits(0)), ($s.slots | digits(0)), ($f.pages_allocated | digits(1)), ($s.pages_allocated | digits(1))]] |
	map(row) | table(["order", "in: file", "in: swap cache", "out: file", "out: swap cache",
		"slots: file", "slots: swap cache", "pages allocated: file", "pages allocated: swap cache"]))

elif $want == "altheld" then ($b | [[figure("alone"; "direct"; "held")] | group_by(.order) | reverse[][] |
	["\(.order)", (.bytes | mib0), "\(.slots)", "\(.written_pages)",
	 (if .swapoff == -4 then "no end in \(.swapoff_s) s" else "\(.swapoff)" end),
	 "\(.reclaimed_pages)", "\(.swapcached_after_pages) of \(.swapcached_pages)", "\(.read_folios)",
	 (if .swapoff_after == 0 then "ended" else "\(.swapoff_after)" end)]] |
	map(row) | table(["order", "MiB", "slots taken", "pages written for that", "swapoff",
		"pages written by reclaim of all memory", "left in the swap cache", "folios read back", "swapoff after that"]))

elif $want == "altmachine" then ([
	["kernel, upstream", "Linux \($b.kernels.pristine.release) and vttm, nothing else; .config \($b.kernels.pristine.config_sha256)"],
	["kernel, this series", "Linux \($b.kernels.linux.release) and this project at \($b.commit); .config \($b.kernels.linux.config_sha256)"],
	["kernel, native", "the same and hooks/alternatives; .config \($b.kernels.alternatives.config_sha256)"],
	["emulator, compiler", "QEMU \($b.host.qemu), TCG; \($b.host.compiler)"],
	["took", "\($b.seconds / 60 | digits(1)) minutes"],
	(if [ways[] as $m | select([.results[] | select(.mode == $m)] == [])] == [] then empty
	 else ["cells with a dash", "not measured in this run, which was not of all parts"] end)
	] | map(row) | table(["what", "which"]))

elif $want == "data-cost" then ($b | orders[] as $o |
	[$o, ins("pristine"; "backup"; "resident"; "cached"; $o), ins("insert"; "backup"; "resident"; "cached"; $o),
	 ins("insert"; "purge"; "resident"; "cached"; $o),
	 net("pristine"; "resident"; "cached"; $o), net("insert"; "resident"; "cached"; $o),
	 ins("pristine"; "backup"; "resident"; "wc"; $o), ins("insert"; "backup"; "resident"; "wc"; $o),
	 ins("insert"; "purge"; "resident"; "wc"; $o),
	 net("pristine"; "resident"; "wc"; $o), net("insert"; "resident"; "wc"; $o)] |
	map(. // "NaN" | tostring) | join(" "))
elif $want == "data-reserve" then ($b | part("reserve"; "pristine")[].percent as $p |
	[$p] + [modes[] as $m | (at("reserve"; $m; $p)) |
		if .backed_up_bytes then .backed_up_bytes / .bytes * 100 else "NaN" end] | map(tostring) | join(" "))
elif $want == "data-sweep" then ($b | ([part("sweep"; "pristine")[].percent] | unique[]) as $p |
	[$p / 100] + [("pristine", "insert") as $m | at("sweep"; $m; $p) |
		if .completed then .read_ns / 1e9 else "NaN" end] | map(tostring) | join(" "))
elif $want == "data-growth" then ($b | sizes[] as $s |
	[$s / 1048576] + [("pristine", "insert") as $m | (grown($m; "cached"; $s)) |
		.backup_ns, .restore_ns] | map(tostring) | join(" "))
else error("no table \"\($want)\"") end
