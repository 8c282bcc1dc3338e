#!/usr/bin/env bash
# Training and generating through the emulated Neural Engine, as users call it; skipped where there is no emulator.
source "$(dirname "$0")/lib.sh"
cd "$folder" || exit 1
export OMP_WAIT_POLICY=passive

fails 2 "reads weights where they lie" train --model stories260k --data x --out y --weights packed
warns "--device ane"
fails 2 "is not the Neural Engine" train --model stories260k --data x --out y --recipe static
fails 2 "expected one of baked|baked-async|packed|input|reload" train --model stories260k --data x --out y --weights other
fails 2 "expected one of cpu|device" train --model stories260k --data x --out y --head gpu

anemone emulator >/dev/null 2>&1
[ "$status" -eq 0 ] || { echo "skipped: no emulator here"; exit 0; }

for i in $(seq 400); do echo "the sea and the wind and the old man in line $i went to the shore"; done >text.txt
run() { # NAME OPTION...
  succeeds train --model stories260k --data text.txt --out "$1" --steps 6 --batch 1 --seq 32 --eval-every 0 \
    --save-every 0 --log-every 2 --seed 3 "${@:2}"
}
losses() { sed -n 's/.*"type":"step","step":\([0-9]*\),"loss":\([0-9.]*\),.*/\1 \2/p' "$1/log.jsonl"; }
# near NAME NAME: as many steps, every loss within 0.5 %
near() {
  paste -d' ' <(losses "$1") <(losses "$2") | awk '{ d = $4 / $2 - 1; if (d < 0) d = -d; if (d > 0.005 || NF != 4) bad = 1 }
    END { exit bad || NR != 6 }' || fail "$2 differs from $1: $(losses "$2" | tr '\n' ' ') and $(losses "$1" | tr '\n' ' ')"
}

# every weight mode and recipe: the CPU's fp16 losses
run cpu --device cpu:threads=1,precision=fp16
for mode in packed input baked; do
  run $mode --device ane:emulator,threads=1 --weights $mode
  prints "weights $mode"
  near cpu $mode
done
run reload --device ane:emulator,threads=1,quirk=reload:new-weights --weights reload
near cpu reload
fails 1 "ignores new weight files" train --model stories260k --data text.txt --out no --device ane:emulator --weights reload
for recipe in static static-ane packed inputs; do
  run recipe-$recipe --device ane:emulator,threads=1 --recipe $recipe
  near cpu recipe-$recipe
done
run double --device ane:emulator,threads=1 --recipe double-buffer
prints "weights baked-async"
run own --device ane:emulator,threads=1 --recipe static --head device --dw device --weights packed
prints "weights packed, fp16; head on the device, norms back on the cpu, weight gradients on the device"
near cpu own

# a process that can compile no more is followed by another one, from any folder, and nothing changes
mkdir elsewhere && cd elsewhere || exit 1
# the self-test compiles, too: what it found is kept
ANEMONE_EMULATOR=quirk=max-compiles:45 succeeds doctor --device ane:emulator
ANEMONE_EMULATOR=quirk=max-compiles:45 succeeds train --model stories260k --data ../text.txt --out ../limited --steps 6 \
  --batch 1 --seq 32 --eval-every 0 --save-every 0 --log-every 2 --seed 3 --device ane:emulator,threads=1 --weights baked
warns "can compile and load no more"
warns "going on in a new process"
cd .. || exit 1
grep -q '"type":"resume"' limited/log.jsonl || fail "the run was not resumed"
[ "$(losses limited)" = "$(losses baked)" ] || fail "the losses differ: $(losses limited | tr '\n' ' ')"

# a trained model speaks the same on both
for mode in packed input baked; do
  for sampling in "--temperature 0" "--temperature 0.9 --seed 5"; do
    succeeds generate --model cpu --tokens 40 $sampling --device cpu:threads=1,precision=fp16 --prompt "the sea"
    cp out expected
    succeeds generate --model cpu --tokens 40 $sampling --device ane:emulator,threads=1 --weights $mode --prompt "the sea"
    cmp -s out expected || fail "$mode $sampling: other tokens"
  done
done
