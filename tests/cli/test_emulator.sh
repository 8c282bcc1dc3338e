#!/usr/bin/env bash
# anemone emulator: what there is to choose from, and the time model beside the record.
source "$(dirname "$0")/lib.sh"

anemone emulator
if grep -q "cannot be loaded" "$folder/err"; then
  echo "the emulator is not built: GNUstep was not found"
  exit 77
fi
succeeds emulator
prints "M5 Max"
prints "order:alphabetical|declared|size  [alphabetical]"
prints "eval-hang:N:SECONDS"
ANEMONE_EMULATOR="chip=m4max,quirk=order:size" succeeds emulator
prints "order:alphabetical|declared|size  [size]"
prints "as set now for the M4 Max"
ANEMONE_EMULATOR="chip=m9" fails 1 '"m9" is no chip' emulator
ANEMONE_EMULATOR="fault=evil:1" fails 1 "eval-stale" emulator
ANEMONE_EMULATOR_LIBRARY=/nowhere.so fails 1 "scripts/setup --emulator" emulator
succeeds emulator --json
prints '"quirks":'
fails 2 "emulator" emulator calibrated

succeeds emulator calibrate
prints "sram_probe"
prints "checked, not fitted"
prints "modelled ms"
prints "not met by more than half:"
prints "records of this program:"
prints "median error:"
succeeds emulator calibrate --json
less "$(number single_median_error)" 0.15 || fail "the time model misses the record"
echo fine
