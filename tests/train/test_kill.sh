#!/usr/bin/env bash
# A run that is killed at ten random moments, and resumed each time, ends with the same bits as one that never stopped:
# weights, optimizer, and every logged value but the times.
#     tests/train/test_kill.sh path/to/anemone
set -eu
anemone=$1
# In memory where that can be had: a killed process leaves nothing to the disk's mercy, and syncing takes most of the time.
place=${TMPDIR:-/tmp}
if [ -w /dev/shm ]; then place=/dev/shm; fi
folder=$(mktemp -d "$place/anemone-kill-XXXXXX")
trap 'rm -rf "$folder"' EXIT
steps=40

cat > "$folder/tiny.json" <<'JSON'
{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": 32,
 "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
 "vocab_size": 258, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000,
 "tie_word_embeddings": true}
JSON
"$anemone" data synth --out "$folder/stories.txt" --size 60K --seed 3 > /dev/null

start() { # start RUN: begin it, or go on with it once it has begun
    if [ -f "$1/config.json" ]; then
        "$anemone" train --resume "$1" --quiet
    else
        "$anemone" train --model "$folder/tiny.json" --data "$folder/stories.txt" --out "$1" --steps $steps --batch 4 \
            --seq 64 --threads 1 --seed 11 --lr 3e-3 --warmup 5 --eval-every 7 --sample-every 11 --save-every 3 --keep 2 --quiet
    fi
}

begin=$(date +%s%N)
start "$folder/straight"
milliseconds=$((($(date +%s%N) - begin) / 1000000))

# Ten kills, at moments spread at random over what a tenth of the run takes, start-up included.
RANDOM=${SEED:-$$}
kills=0
while [ $kills -lt 10 ]; do
    start "$folder/killed" 2> "$folder/messages" &
    pid=$!
    wait_ms=$((RANDOM % (milliseconds / 3 + 50) + 20))
    sleep "$(printf '%d.%03d' $((wait_ms / 1000)) $((wait_ms % 1000)))"
    # `start` is a function of a subshell: the program is its child.
    child=$(pgrep -P $pid || true)
    kill -9 ${child:-$pid} 2> /dev/null || true
    status=0
    wait $pid || status=$?
    if [ $status -ne 137 ] && [ $status -ne 0 ]; then
        echo "after $kills kills, anemone ended with status $status:"
        cat "$folder/messages"
        exit 1
    fi
    kills=$((kills + 1))
done
start "$folder/killed"

values() { # what a run has logged of steps, evaluations and samples, times apart
    grep -E '^\{"type":"(step|eval|sample)"' "$1/log.jsonl" |
        sed -E 's/"(ms|beside_ms|tokens_per_second|mfu)":[^,}]*,?//g; s/"(timers|device)":\{[^}]*\},?//g'
}
for run in straight killed; do values "$folder/$run" > "$folder/$run.values"; done
[ "$(grep -c '"type":"step"' "$folder/straight.values")" = $steps ]
diff "$folder/straight.values" "$folder/killed.values" > "$folder/difference" ||
    { echo "the logs differ:"; head -5 "$folder/difference"; exit 1; }
for file in model.safetensors optimizer.safetensors; do
    cmp "$folder/straight/checkpoints/step-$steps/$file" "$folder/killed/checkpoints/step-$steps/$file"
done
leftovers=$(find "$folder/killed/checkpoints" -mindepth 1 -maxdepth 1 -name '.*')
[ -z "$leftovers" ] || { echo "left behind: $leftovers"; exit 1; }
echo "10 kills, $(grep -c '"type":"resume"' "$folder/killed/log.jsonl") of them survived by resuming: the same bits"
