#!/usr/bin/env bash
# `anemone probe`: names, what is printed and written, exit status.
. "$(dirname "$0")/lib.sh"
cd "$folder" || exit 1
shows() { grep -q -- "$1" out || fail "\"$1\" was not printed"; }

succeeds probe list
shows "^  weight-reload  *Does a program .*? \*$"
shows "^  rmsnorm-backward  *Is RMSNorm's derivative right?$"
shows "^  all  *every one of them"
fails 2 'there is no probe "chianing"' probe chianing
warns 'Did you mean "chaining"?'
fails 2 'there is no probe "xyzzyxyzzy"' probe numerics xyzzyxyzzy
warns 'anemone probe list'
fails 2 "" probe
fails 1 "gpu" probe numerics --device gpu

# a CPU: arithmetic is answered, the rest is skipped, and neither is wrong
succeeds probe chaining rmsnorm-backward numerics --device cpu:threads=1 --output cpu.json
shows "^rmsnorm-backward: Is RMSNorm's derivative right?$"
shows "^  answer    agrees$"
shows "^  recorded  equal: agrees$"
shows "^chaining  *skipped  .*needs the Neural Engine$"
shows "^numerics  *answered  NaN: NaN;"
shows "^1 equal, 1 answered, 1 skipped$"
grep -q '"schema": "anemone-results/1"' cpu.json || fail "cpu.json is no results document"
[ "$(grep -c '"probe": ' cpu.json)" -eq 3 ] || fail "cpu.json has not three probes"
fails 1 "nowhere" probe numerics --output nowhere/cpu.json

anemone emulator --json
[ "$status" -eq 0 ] || { echo "no emulator: skipped"; exit 77; }

# everything, as recorded
succeeds probe all --device ane:emulator,chip=m5 --output m5.json
shows "^26 equal$"
shows "^weight-reload  *equal  *unchanged$"
shows "^chaining  *equal  .*Code=15$"
[ "$(grep -c '"equal": true' m5.json)" -eq 26 ] || fail "m5.json has not 26 equal answers"

# one alone is told in full; its document is what is printed
succeeds probe qos --device ane:emulator,chip=m4-max
shows "qos 63, compile_ms "
succeeds probe classes --device ane:emulator
shows "^    _ANEInMemoryModel : NSObject$"
shows "^        +inMemoryModelWithDescriptor:  "
shows "^        -compileWithQoS:options:error:  "
succeeds probe classes weight-reload --device ane:emulator,chip=m5 --json
prints '"selector":"inMemoryModelWithDescriptor:"'
prints '"answer":"unchanged"'

# what differs, and what fails
anemone probe weight-reload order --device ane:emulator,chip=m5,quirk=reload:new-weights
[ "$status" -eq 1 ] || fail "exit status $status, expected 1"
shows "^weight-reload  *differs  *new weights$"
shows "^  *recorded  *unchanged$"
shows "^1 equal, 1 differs$"
anemone probe all --device ane:emulator,chip=m5,selftest=off,fault=eval-zero:1+ --output broken.json
[ "$status" -eq 1 ] || fail "exit status $status, expected 1"
shows "^26 failed$"
[ "$(grep -c '"answer": ""' broken.json)" -eq 26 ] || fail "broken.json has answers"
fails 1 "" probe all --device ane:emulator,fault=compile:1+

# a process that has compiled all it may: what is left is asked in new ones
anemone probe weight-reload qos sdpa-mask alignment order compile-limit --device ane:emulator,chip=m5,quirk=max-compiles:60
[ "$status" -eq 1 ] || fail "exit status $status, expected 1"
shows "^5 equal, 1 differs$"
shows "^compile-limit  *differs  *at once: 60; in turn: refused after 59$"
