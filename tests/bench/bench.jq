# SPDX-License-Identifier: BSD-3-Clause
# bench.jq: what bench.sh, here and in tests/guest, and plot.sh make of the measurements.

def measured: map(select(. != null));
def median: measured | sort | if length == 0 then null else (.[(length - 1) / 2 | floor] + .[length / 2 | floor]) / 2 end;
def spread: measured | {median: median, lowest: min, highest: max};
def round_to($digits): . * pow(10; $digits) | round / pow(10; $digits);

# Each value once, where it comes first.
def in_order: reduce .[] as $value ([]; if index([$value]) then . else . + [$value] end);

# A cell's name, as an object. In the guest the file system stands behind it.
def parts: split(":") | {workload: .[0], pages: (.[1] | tonumber), size: .[2], step: .[3], threads: (.[4] | tonumber)}
	+ (if .[5] then {fs: .[5]} else {} end);

# Of input lines TURN WAY CELL VALUE...
def lines: [inputs | split("\t") | {turn: (.[0] | tonumber - 1), way: .[1], cell: .[2], values: (.[3:] | map(tonumber))}];

# Of such lines, whose values are called $names: an array of cells, in which each way has the turns of a value in order, null
# where it was not measured. The number of rounds is always the same.
def results($names):
	. as $lines
	| [$lines[].cell] | in_order
	| map(. as $cell | {cell: $cell} + parts + {ways: ([$lines[] | select(.cell == $cell)]
		| reduce .[] as $l ({}; .[$l.way] |= reduce range($names | length) as $i (.; if $names[$i] == "rounds"
			then .rounds = $l.values[$i] else .[$names[$i]][$l.turn] = $l.values[$i] end)))});

# Of one cell: what a round of each turn took, stores and sync; [] if it was not measured.
def totals($way): .ways[$way] // {} | [.store_ns // [], .sync_ns // []] | transpose | map(add);
def rates($way): .ways[$way].syncs_per_s // [];

# Turn by turn.
def ratios($a; $b): [$a, $b] | transpose | map(select(.[0] != null and .[1] != null and .[1] > 0) | .[0] / .[1]);

def cell($name): first(.results[] | select(.cell == $name)) // {ways: {}};

def best_fixed($fixed):
	[$fixed[] as $way | {way: $way, median: (totals($way) | median)} | select(.median != null)] | min_by(.median).way;

# Of which the median is worst.
def default_to_best: .fixed_policies as $fixed
	| [.results[] | best_fixed($fixed) as $best | select($best)
		| {cell: .cell, best: $best, ratios: ratios(totals("daxsync"); totals($best))} | select(.ratios | length > 0)]
	| max_by(.ratios | median) // {ratios: []};

def bar($what; $ratios; $bar; $at_least): $ratios | spread
	| {what: $what, bar: (if $at_least then ">= " else "<= " end + ($bar | tostring))} + .
	+ {verdict: (if .median == null then "not measured"
		elif (if $at_least then .median >= $bar else .median <= $bar end) then "met" else "MISSED" end)};

def to_oracle($cell): cell($cell) | ratios(totals("daxsync"); totals("oracle"));

def bars: . as $all | default_to_best as $worst | [
	bar("hot, 1 page: daxsync / oracle"; to_oracle("hot:1:16M:in:1"); 2.5; false),
	bar("hot, 16 pages: daxsync / oracle"; to_oracle("hot:16:16M:in:1"); 1.5; false),
	bar("hot, 256 pages: daxsync / oracle"; to_oracle("hot:256:16M:in:1"); 1.25; false),
	bar("worst workload (\($worst.cell // "none")): default / best fixed policy (\($worst.best // "none"))";
		$worst.ratios; 1.2; false),
	bar("small exact ranges: daxsync / libpmem2 persist"; to_oracle("ranges:1:16M:in:1"); 2; false),
	bar("10 cold pages: in 16 GiB / in 16 MiB";
		ratios(cell("cold:10:16G:in:1") | totals("daxsync"); $all | cell("cold:10:16M:in:1") | totals("daxsync"));
		1.2; false),
	bar("100 dirty pages in 1 GiB: blind / daxsync";
		cell("hot:100:1G:in:1") | ratios(totals("blind"); totals("daxsync")); 100; true),
	bar("syncs a second of one file: two threads, each of its part / one";
		ratios(cell("own:16:16M:in:2") | rates("daxsync"); $all | cell("own:16:16M:in:1") | rates("daxsync"));
		1.6; true),
	bar("syncs a second of one file: two threads, both of all of it / one";
		ratios(cell("hot:16:16M:in:2") | rates("daxsync"); $all | cell("hot:16:16M:in:1") | rates("daxsync"));
		1.6; true)];

def figure: if . == null then "-" else round_to(2) | tostring end;

# Tab-separated, the heads first.
def bars_table(bars): ["", "median", "lowest", "highest", "bar", ""],
	(bars[] | [.what, (.median | figure), (.lowest | figure), (.highest | figure), .bar, .verdict]) | @tsv;

def against($way; $other): ratios(totals($way); totals($other)) | spread
	| if .median == null then "-" else "\(.median | figure) (\(.lowest | figure)-\(.highest | figure))" end;

def results_table: ["cell", "way", "ns a round", "stores", "sync", "lowest", "highest", "/ oracle", "/ native", "syncs/s"],
	(.results[] | . as $cell | .ways | keys_unsorted[] | . as $way | $cell | totals($way) as $t
		| [.cell, $way, ($t | median | round), (.ways[$way].store_ns | median | round),
			(.ways[$way].sync_ns | median | round), ($t | min), ($t | max), against($way; "oracle"),
			against($way; "native"), (rates($way) | median | round)]) | @tsv;

# For gnuplot: of cells in the order of `x`, that, and for each way the median, lowest and highest of `figures`, which has
# the turns of each way; "-" where there is nothing. The head names the way of each column.
def curves(x; figures): sort_by(x) | ([.[].ways | keys_unsorted[]] | in_order) as $ways
	| ["x", ($ways[] | ., ., .)],
	(.[] | figures as $figures | [x] + [$ways[] as $way | $figures[$way] // [] | spread | (.median, .lowest, .highest)
		| if . == null then "-" else . end])
	| @tsv;

# Which plot a cell is in: WORKLOAD, where it is in step; WORKLOAD-FILE-SYSTEM-STEP in the guest.
def plot: if .fs then "\(.workload)-\(.fs)-\(.step)" elif .step == "in" then .workload else empty end;
def plots: [.results[] | plot] | unique[];

# ns of a round and a page by pages, with one thread; of several sizes of a mapping the smallest.
def by_pages($name):
	def mib: capture("(?<n>[0-9]+)(?<unit>.)") | (.n | tonumber) * (if .unit == "G" then 1024 else 1 end);
	[.results[] | select(.threads == 1 and plot == $name)]
	| group_by(.pages) | map(min_by(.size | mib))
	| curves(.pages; . as $cell | .ways
		| with_entries(.key as $way | .value = ($cell | totals($way) | map(. / $cell.pages))));

# Syncs a second by threads, of 16 pages of 16 MiB.
def by_threads($name):
	[.results[] | select(plot == $name and .pages == 16 and .size == "16M")]
	| curves(.threads; .ways | map_values(.syncs_per_s));

# The guest's.

def thousands: . / 1000 | . * 10 | round | "\(. / 10 | floor).\(. % 10)";

# Stores and a sync together, and of several turns how far they were from the median; then each of the two.
def cost($way): totals($way) as $t | ($t | median) as $median | .ways[$way]
	| if $median == null then "-" else ($median | thousands)
		+ (if $t | length > 1 then " ±" + ([($t | max) - $median, $median - ($t | min)] | max | thousands) else "" end)
		+ " (\(.store_ns | median | thousands) + \(.sync_ns | median | thousands))" end;
def to_kernel($way): ratios(totals("kernel"); totals($way));
def commits_to_kernel($way): ratios(.ways[$way].commits_per_s // []; .ways.kernel.commits_per_s // []);

def guest_table: ["on", "step", "workload", "pages", "kernel", "daxsync", "kernel / daxsync", "never-close", "kernel / never-close",
		"traps", "flushed", "kernel syncs"],
	(.results[] | [.fs, .step, .workload, .pages, cost("kernel"), cost("daxsync"), (to_kernel("daxsync") | median | figure),
		cost("never-close"), (to_kernel("never-close") | median | figure),
		(.ways.daxsync | .traps, .pages_flushed, .kernel_syncs | median | figure)]) | @tsv;

def commits_table: ["on", "stores", "kernel", "daxsync", "daxsync / kernel", "never-close", "never-close / kernel"],
	(.commits[] | [.fs, {"lmdb-holes": "into holes", "lmdb-over": "over what is there"}[.workload],
		(.ways.kernel.commits_per_s | median | round), (.ways.daxsync.commits_per_s | median | round),
		(commits_to_kernel("daxsync") | median | figure), (.ways["never-close"].commits_per_s | median | round),
		(commits_to_kernel("never-close") | median | figure)]) | @tsv;

# The worst of the cells has to reach it.
def guest_bar($what; cells; ratios; $bar): [cells | {cell: .cell, ratios: ratios} | select(.ratios | length > 0)]
	| min_by(.ratios | median) // {ratios: []}
	| bar($what + (if .cell then ", worst: " + .cell else "" end); .ratios; $bar; true);

def guest_bars:
	def of($workload; $step; $pages): .results[]
		| select(.workload == $workload and .step == $step and ([.pages] | inside($pages)));
	def both($workload; $pages): of($workload; "in", "out"; $pages);
	def faster($what; cells; $bar): guest_bar($what + ": kernel / daxsync"; cells; to_kernel("daxsync"); $bar);
	def more($what; $workload; $bar): guest_bar($what + ": daxsync / kernel";
		.commits[] | select(.workload == $workload); commits_to_kernel("daxsync"); $bar);
	[faster("in step, hot, 1 and 16"; of("hot"; "in"; [1, 16]); 100),
	faster("in step, cold, 1 and 16"; of("cold"; "in"; [1, 16]); 4),
	faster("in step, cold, 256"; of("cold"; "in"; [256]); 1),
	faster("in step, a whole entry"; of("entry"; "in"; [512]); 1),
	faster("out of step, hot"; of("hot"; "out"; [1, 16, 256]); 10),
	faster("out of step, cold"; of("cold"; "out"; [1, 16, 256]); 0.9),
	faster("zipf, 1 and 16"; both("zipf"; [1, 16]); 1),
	faster("zipf, 256"; both("zipf"; [256]); 1.3),
	faster("fill"; both("fill"; [1, 16, 256]); 1),
	faster("refill"; both("refill"; [1, 16, 256]); 1),
	faster("append"; both("append"; [1, 16, 256]); 1),
	more("LMDB over what is there"; "lmdb-over"; 2),
	more("LMDB into holes"; "lmdb-holes"; 1.2)];
