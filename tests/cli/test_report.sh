#!/usr/bin/env bash
# anemone report, and what anemone bench puts beside its results.
source "$(dirname "$0")/lib.sh"
cd "$folder" || exit 1

# A page must be well-formed and need nothing else; where Python is, by its parser.
check_page() {
  [ -s "$1" ] || fail "$1 is empty"
  if grep -nE 'https?:|src=|url\(|@import|<script' "$1"; then fail "$1 needs more than itself"; fi
  command -v python3 >/dev/null || return 0
  python3 -c 'import sys, xml.etree.ElementTree as tree; tree.parse(sys.argv[1])' "$1" 2>"$folder/err" || fail "$1 is not well-formed"
}

succeeds bench peak --case 256x64x64 --time 0.02 -o mine.json
succeeds report mine.json -o mine.html
check_page mine.html
grep -q "256x64x64" mine.html || fail "the case is not on the page"
grep -q "M4 Max #1" mine.html || fail "the recorded machines are not on the page"
grep -q MODELLED mine.html && fail "a CPU's times are no model"
succeeds report mine.json --alone -o alone.html
grep -q "M4 Max #1" alone.html && fail "--alone has recorded machines"
succeeds report -o recorded.html
check_page recorded.html
grep -q "suspect" recorded.html || fail "suspect numbers are not marked"
succeeds report mine.json
prints "## Throughput"
succeeds report mine.json --alone -o mine.csv
grep -q ',peak,256x64x64,ok,measured,' mine.csv || fail "the row is not in the CSV"
succeeds report mine.json -o mine.community.json
grep -q '"schema_version": 1' mine.community.json || fail "no community benchmark"
succeeds report mine.community.json --alone -o again.csv
grep -q ',peak,256x64x64,ok,measured,' again.csv || fail "the community benchmark is not read"

# One's own beside others, and since last time.
succeeds bench peak --case 256x64x64 --time 0.02 --recorded --compare mine.json
prints "ours beside recorded (TFLOPS)"
prints "M4 Max (seed 000)"
prints "since the earlier results"

# What is wrong is refused, with its place.
fails 2 "ends in none of .html" report mine.json -o mine.pdf
fails 1 "nowhere.json" report nowhere.json
fails 2 "found none" report --alone
sed 's/"median": *[0-9.]*/"median": "fast"/' mine.json >bad.json
fails 1 'rows[0].device_ms.median: expected a number, found "fast"' report bad.json -o x.html
[ -e x.html ] && fail "a page of a broken file was written"
head -c 300 mine.json >torn.json
fails 1 "torn.json:" report torn.json
fails 1 "torn.json:" bench peak --case 256x64x64 --compare torn.json
echo '{"a": 1}' >other.json
fails 1 "expected a results file" report other.json
fails 1 "of one machine" report mine.json mine.json --format community

if "$program" emulator >/dev/null 2>&1; then
  succeeds bench peak --case 512x512x8 -d ane:emulator,chip=m4-max -o emulated.json
  succeeds report mine.json emulated.json -o both.html
  check_page both.html
  grep -q MODELLED both.html || fail "the plot does not say that it is modelled"
  grep -q 'tag modelled' both.html || fail "the row does not say that it is modelled"
  succeeds report emulated.json -o emulated.community.json
  grep -q 'modelled by anemone' emulated.community.json || fail "a submission of modelled times does not say so"
  succeeds bench peak --case 512x512x8 -d ane:emulator,chip=m4-max --compare mine.json
  prints "not of the same: chip was"
fi
echo fine
