#!/usr/bin/env bash
# `anemone doctor`: what it tells, writes and ends with.
. "$(dirname "$0")/lib.sh"
cd "$folder" || exit 1
shows() { grep -q "$1" out || fail "\"$1\" was not printed"; }

# without a Neural Engine it says so, and examines the CPU
if [ "$(uname)" != Darwin ]; then
  succeeds doctor
  prints "no Neural Engine: there is no Neural Engine here"
  prints "Use --device cpu"
  prints "CPU: right ("
  succeeds doctor --json
  prints '"absent":true'
  prints '"facts":null'
fi
fails 2 "expected ane or ane:OPTIONS" doctor --device cpu
fails 2 "" doctor --nothing

anemone emulator --json
[ "$status" -eq 0 ] || { echo "no emulator: skipped"; exit 77; }

# every chip profile
for chip in "M1" "M1 Max" "M2" "M3 Pro" "M3 Ultra" "M4" "M4 Pro" "M4 Max" "M5" "M5 Max"; do
  succeeds doctor --device "ane:emulator,chip=$chip" --json
  prints "\"chip\":\"$chip\""
  prints '"works":true'
  prints '"broken":false'
done
succeeds doctor --device ane:emulator,chip=m1
prints "emulated: chip M1, "
shows "Which header does the compiler take?  *program(1.0) ios16"
shows "In which order are several inputs and outputs bound?  *size"
prints "reports: "
prints "anemone will use: emulated Neural Engine of M1, weights input"

# the file is what is printed, and replaces what was there
echo old >doctor.json
succeeds doctor --device ane:emulator --output doctor.json --json
prints '"questions":['
grep -q '"name": "reload"' doctor.json || fail "doctor.json has no question reload"
grep -q '"outcome": "careful"' doctor.json || fail "doctor.json has no careful answer"
fails 1 "nowhere" doctor --device ane:emulator --output nowhere/doctor.json

# several at once: each writes what it found, whole
export ANEMONE_CACHE=$folder/cache
for i in 1 2 3 4; do "$program" doctor --device ane:emulator,chip=m5 --output "at_once.$i" >/dev/null 2>&1 & done
wait
for i in 2 3 4; do
  cmp -s <(sed -n '/"facts"/,/}/p' at_once.1) <(sed -n '/"facts"/,/}/p' "at_once.$i") || fail "the facts differ"
done
[ "$(ls cache/facts | wc -l)" -eq 1 ] || fail "one machine, but these facts: $(ls -a cache/facts)"
grep -q '"schema": 1' cache/facts/*.json || fail "the cache is not whole"

# what is broken is said, and what to send
ANEMONE_EMULATOR=fault=compile:1+ anemone doctor --device ane:emulator
[ "$status" -eq 1 ] || fail "exit status $status, expected 1"
prints "the device does not open: "
prints "doctor.json"
ANEMONE_EMULATOR=quirk=colour:red fails 1 "is no quirk" doctor --device ane:emulator
fails 1 "is no chip" doctor --device ane:emulator,chip=m9
anemone doctor --device ane:emulator,weights=reload --json
[ "$status" -eq 1 ] || fail "exit status $status, expected 1"
prints "ignores new weight files"
