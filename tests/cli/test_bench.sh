#!/usr/bin/env bash
# anemone bench: tables, results files, going on, names.
. "$(dirname "$0")/lib.sh"

succeeds bench
for name in peak dispatch sram sram-fine int8 quant dynamic pipeline all quick train; do prints "  $name "; done
fails 2 'there is no benchmark "paek"' bench paek
warns 'did you mean "anemone bench peak"'
fails 2 'there is no benchmark "trian"' bench trian
warns 'did you mean "anemone bench train"'

# A table, and a file; once more: nothing is measured again.
succeeds bench quant --quick --time 0.01 --threads 1 -o "$folder/a.json"
prints 'quant (quant_probe)'
prints '5 measured, 0 failed, 0 skipped'
grep -q '"schema": "anemone-results/1"' "$folder/a.json" || fail "no results file"
grep -v '"created"' "$folder/a.json" >"$folder/before"
succeeds bench quant --quick --time 0.01 --threads 1 -o "$folder/a.json"
grep -v '"created"' "$folder/a.json" | cmp -s - "$folder/before" || fail "rows were measured again"
succeeds bench quant --case int8 --quick --time 0.01 --threads 1 --json
prints '"case":"256x256-int8"'
grep -q fp16 <(grep -o '"case":"[^"]*"' "$folder/out") && fail "--case let others through"

# Another device's file is not mixed with this one's.
fails 1 'the earlier results are of cpu' bench quant --quick --threads 2 -o "$folder/a.json"
echo '{"schema": "anemone-results/1"}' >"$folder/b.json"
fails 1 'expected a string, found nothing' bench quant --quick -o "$folder/b.json"
echo 'x' >"$folder/b.json"
fails 1 'expected JSON' bench quant --quick -o "$folder/b.json"
fails 1 'no case' bench quant --case nothing

# Commands that time one thing of their own kind, too: their own options ask for it.
succeeds bench generate --quick --time 0.01
prints '1 measured, 0 failed, 0 skipped'
succeeds bench generate --model stories260k --prompt 2 --tokens 2 --repeat 1
prints 'decode'
fails 2 '--model times one, --quick is for the benchmark' bench generate --model stories260k --quick
fails 2 '--steps times one, --out is for the benchmark' bench train --steps 1 -o "$folder/d.json"

# Each precision is compared with itself: 6 layers make of bf16's roundings more than fp32 would forgive.
for precision in bf16 int8; do
  succeeds bench generate --case stories15m-64 --time 0.001 --precision $precision
done

# Ctrl-C, anywhere in a product: what was measured is kept.
for delay in 0.4 0.5 0.6; do
  "$program" bench peak --time 0.2 --ci 0.001 -o "$folder/e.json" >"$folder/out" 2>"$folder/err" &
  pid=$!
  sleep $delay
  kill -INT $pid
  wait $pid
  status=$?
  [ $status -eq 130 ] || fail "Ctrl-C: exit status $status, expected 130"
  warns 'finishing this case'
  prints '0 failed'
done

# The emulated engine: modelled, and on in a new process when one is used up.
anemone info --device ane:emulator,selftest=off
[ "$status" -eq 0 ] || exit 0
device=ane:emulator,chip=m4-max,selftest=off
succeeds bench quant --quick --device "$device,quirk=max-compiles:3" -o "$folder/c.json"
prints 'MODELLED'
prints '5 measured, 0 failed, 0 skipped'
[ "$(grep -c 'device times are MODELLED' "$folder/out")" -eq 1 ] || fail "the table was printed twice"
fails 1 'can compile and load no more' bench quant --quick --device "$device,quirk=max-compiles:3"
warns 'Give -o FILE'
anemone bench quant --quick --device "$device,fault=eval:1+"
[ "$status" -eq 1 ] || fail "an engine that fails: exit status $status"
prints '0 measured, 5 failed, 0 skipped'
exit 0
