#!/usr/bin/env bash
# A process that can compile no more is followed by another one only where that gets anywhere: never for ever, and nothing
# of a step is lost, wherever it strikes. Skipped where there is no emulator.
source "$(dirname "$0")/lib.sh"
cd "$folder" || exit 1
export OMP_WAIT_POLICY=passive

anemone emulator >/dev/null 2>&1
[ "$status" -eq 0 ] || { echo "skipped: no emulator here"; exit 77; }

for i in $(seq 400); do echo "the sea and the wind and the old man in line $i went to the shore"; done >text.txt
train() { # RUN DEVICE-OPTION...
  anemone train --model stories260k --data text.txt --out "$1" --steps 4 --batch 1 --seq 32 --eval-every 2 \
    --eval-batches 1 --sample-every 4 --save-every 0 --seed 3 --quiet --weights baked \
    --device "ane:emulator,threads=1$(printf ',%s' "${@:2}")"
}
# What a run gives: losses of steps and evaluations, and samples, each once.
given() { sed -nE 's/^\{"type":"(step|eval|sample)","step":([0-9]*),("loss":[0-9.e-]*|"text":.*).*/\1 \2 \3/p' "$1/log.jsonl"; }
resumes() { grep -c '"type":"resume"' "$1/log.jsonl"; }

train whole selftest=off
[ "$status" -eq 0 ] || fail "the run without a limit failed"
[ "$(given whole | wc -l)" -eq 7 ] || fail "expected 4 steps, 2 evaluations and a sample: $(given whole)"

# the self-test of every new process uses up what it gets: no process follows
for limit in 25 5; do
  train "self$limit" selftest=fresh "quirk=max-compiles:$limit"
  [ "$status" -eq 1 ] || fail "limit $limit: expected a refusal"
  [ ! -e "self$limit/log.jsonl" ] || [ "$(resumes "self$limit")" -eq 0 ] || fail "limit $limit: a process without a step was followed"
done
train none selftest=off quirk=max-compiles:5
[ "$status" -eq 1 ] || fail "expected a refusal"
warns "Not even one step could be made"

# wherever the limit strikes, in steps, evaluations or samples: at most one process for each of them, and nothing is lost
for limit in 12 17; do
  train "run$limit" selftest=off "quirk=max-compiles:$limit"
  [ "$status" -eq 0 ] || fail "limit $limit: the run failed"
  n=$(resumes "run$limit")
  [ "$n" -ge 1 ] && [ "$n" -lt 7 ] || fail "limit $limit: $n processes followed"
  [ "$(given "run$limit")" = "$(given whole)" ] || fail "limit $limit: $(diff <(given whole) <(given "run$limit"))"
done
