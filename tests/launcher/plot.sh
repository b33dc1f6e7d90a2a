#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# plot.sh [BUILD]: `daxsync plot` draws what `run --stats` and `crashtest --json` write; what is no such file is one clear line,
# and no text in one is a command or a break in the picture.
set -eu

# shellcheck source=tests/launcher/lib.sh
. "${0%/*}/lib.sh"
launcher_begin plot "$@"
need gnuplot gnuplot-nox
need python3 python3
cd "$scratch"

# Well-formed, and shows each text.
shows() { # FILE.svg TEXT...
	python3 - "$@" <<'PYTHON' || fail "$1 is no picture with these texts"
import sys
import xml.etree.ElementTree as tree

root = tree.parse(sys.argv[1]).getroot()
if root.tag != "{http://www.w3.org/2000/svg}svg":
    sys.exit("no SVG")
texts = ["".join(text.itertext()).strip() for text in root.iter("{http://www.w3.org/2000/svg}text")]
missing = [text for text in sys.argv[2:] if not any(text in shown for shown in texts)]
if missing:
    sys.exit(f"missing: {missing} in {texts}")
PYTHON
}

# Statistics, of a real run: of each cause there is one sync.
compile "$source/tests/launcher/sites.c" sites
run 0 "$daxsync" run --emulate --stats=stats.json --report=report -- ./sites mapped
run 0 "$daxsync" plot stats.json
says_nothing
shows stats.svg "sites, process $(sed 's/.*"pid":\([0-9]*\).*/\1/' stats.json)" 'in user space alone' 23 \
	'fsync, fdatasync' 'after write(2)' 'after a resize' 'write faults' 40 '(26 timed)' 'half up to' '99 of 100' \
	'/mapped' 'emulated, 256 KiB, 1 mapping'
run 0 "$daxsync" plot -o - stats.json
cmp -s out stats.svg || fail 'what is printed is another picture'
run 0 "$daxsync" plot --output=other.svg stats.json
cmp -s other.svg stats.svg || fail 'the other file has another picture'

# A crash test, its JSON and its own picture.
log=$build/bin/examples/crashtest
if [ -x "$log/log_mistake" ]; then
	mkdir files
	# shellcheck disable=SC2016 # for the checker's shell
	run 1 env PATH="$log:$PATH" "$daxsync" crashtest --dir=files --model=disk --json=cuts.json --svg=own.svg \
		--check='log log.data $(tail -n 1 %o)' -- log_mistake files/log.data add 5
	run 0 "$daxsync" plot cuts.json
	title=$(sed 's/"verdict": "broke".*"moments": \([0-9]*\), "draws": \([0-9]*\), "failed": \([0-9]*\),.*/\1 power cuts, in \3 of \2/
		s/^{//; q' cuts.json)
	shows cuts.svg "broke: the check failed after $(grep -c '"moment": .*"units": .*"failed": [1-9]' cuts.json) of " \
		"$title draws of what arrives" 'the smallest failure' fine failed uncertain 'moment of the power cut'
	cmp -s own.svg cuts.svg || fail '--svg draws another picture than plot'
else
	echo "$name: left out: a crash test ($log was not built)"
fi

# One cut; none; more than have a column each.
cuts() { # NR
	awk -v nr="$1" 'BEGIN {
		printf "{\"verdict\": \"survived\", \"model\": \"pmem\", \"moments\": %d, \"draws\": 0, \"failed\": 0, \"cuts\": [", nr
		for (i = 1; i <= nr; i++)
			printf "%s{\"moment\": %d, \"fence\": %d, \"units\": %d, \"draws\": 5, \"failed\": 0}\n", (i > 1 ? ", " : ""), i, i, i % 7
		print "]}"
	}'
}
for nr in 0 1 5000; do
	cuts $nr >many.json
	run 0 "$daxsync" plot many.json
	says_nothing
	shows many.svg "survived: $nr power cut" 'lines of 64 bytes'
	[ "$(wc -c <many.svg)" -lt 200000 ] || fail "$nr cuts are a picture of $(wc -c <many.svg) bytes"
done
cuts 1 >many.json
run 0 "$daxsync" plot many.json
shows many.svg 'survived: 1 power cut, 5 draws of what arrives'

# Foreign texts are shown as they are, without control characters, and cut where they are long.
python3 - <<'PYTHON' || fail 'nothing is hostile'
import json

stats = json.load(open("stats.json"))
stats["program"] = r"""'; system('touch ran') # \n `touch ran` <&> @x \' %s {/Bold b}""" + "\n\x1b"
stats["mappings"][0].update(mode="`touch ran`", path="a long path, long, long, long, '\nend")
json.dump(stats, open("hostile.json", "w"))
PYTHON
run 0 "$daxsync" plot hostile.json
says_nothing
[ ! -e ran ] || fail 'a text was executed'
shows hostile.svg "'; system('touch ran') # \\n \`touch ran\` <&> @x \\' %s {/Bold b}??, process" \
	"…th, long, long, long, '?end" "\`touch ran\`, 256 KiB"

# What cannot be drawn is one line that names the file, the place and the cause; a picture that was there stays.
refused() { # STATUS TEXT ARGUMENT...
	status=$1 text=$2
	shift 2
	echo before >bad.svg
	run "$status" "$daxsync" plot "$@"
	says "$text"
	[ "$(cat bad.svg)" = before ] || fail 'the picture that was there is gone'
}
bad() { # TEXT: of bad.json
	refused 1 "$1" bad.json
}
printf '{"cuts": [\n {"moment": 1,}' >bad.json
bad 'bad.json: line 2, byte 15: a key is expected'
: >bad.json
bad 'bad.json: line 1, byte 1: a value is expected'
awk 'BEGIN { while (i++ < 100000) printf "[" }' >bad.json
bad 'bad.json: line 1, byte 34: too many arrays and objects in one another'
cat stats.json stats.json >bad.json
bad 'bad.json: line 2, byte 1: something follows the value'
head -c 200 stats.json >bad.json
bad 'bad.json: line 1, byte 201: '
printf '{"cuts": "\377"}' >bad.json
bad 'the string is no UTF-8'
echo '[1]' >bad.json
bad 'bad.json: neither a crash test'
sed 's/"pages_flushed":[0-9]*/"pages_flushed":"many"/' stats.json >bad.json
bad 'bad.json: "pages_flushed" is no number, or is missing'
sed 's/"syncs":/"sinks":/' stats.json >bad.json
bad 'bad.json: "syncs" is no number, or is missing'
sed 's/"traps":/"traps":-/' stats.json >bad.json
bad 'bad.json: "traps" is below 0'
sed 's/"moment": 1/"moment": 2/' many.json >bad.json
bad 'bad.json: a cut is outside of the moments'
sed 's/"cuts": \[/&7, /' many.json >bad.json
bad 'bad.json: "moment" is no number'
truncate -s 100M bad.json
refused 125 'bad.json: File too large' bad.json
rm bad.json
refused 125 'bad.json: No such file' bad.json
mkdir bad.json
refused 125 'bad.json: Is a directory' bad.json
rmdir bad.json
mkfifo bad.json
refused 125 'bad.json: not a regular file' bad.json
refused 125 '/none/x.svg cannot be written: No such file' stats.json -o /none/x.svg
# shellcheck disable=SC2016 # for that shell
run 125 sh -c '"$0" plot stats.json -o - >/dev/full' "$daxsync"
says 'standard output cannot be written: No space'
refused 125 'no file is given'
refused 125 'one file is drawn, and b.json is another' a.json b.json
refused 125 '--wide is no option' --wide stats.json
refused 125 '-o is no option of "daxsync plot", or lacks its value' stats.json -o

# Without gnuplot, and with one that fails.
mkdir bin
without() { # PATH TEXT
	echo before >bad.svg
	run 125 env PATH="$1" "$daxsync" plot stats.json -o bad.svg
	says "$2"
	[ "$(cat bad.svg)" = before ] || fail 'the picture that was there is gone'
}
without "$scratch/bin" 'gnuplot is missing, which draws: install the package gnuplot-nox'
cat >bin/gnuplot <<'END'
#!/bin/sh
echo "<svg"
echo 'plot nothing' >&2
echo '     ^' >&2
echo 'line 3: invalid command' >&2
exit 3
END
chmod +x bin/gnuplot
without "$scratch/bin:$PATH" 'gnuplot has failed, with status 3: line 3: invalid command'
printf '#!/bin/sh\nkill -KILL $$\n' >bin/gnuplot
without "$scratch/bin:$PATH" 'gnuplot has failed, with status 137'
printf '#!/bin/sh\n' >bin/gnuplot
without "$scratch/bin:$PATH" 'gnuplot has drawn nothing'
run 0 "$daxsync" plot --help
prints 'Usage: daxsync plot'
passed
