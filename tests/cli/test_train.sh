#!/usr/bin/env bash
# train, then generate, eval and convert with what came out; resuming; and everything that can be wrong.
source "$(dirname "$0")/lib.sh"
cd "$folder" || exit 1

cat >config.json <<'END'
{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 48,
 "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 258,
 "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true,
 "hidden_act": "silu"}
END
succeeds data synth --out stories.txt --size 40K
small=(--model config.json --data stories.txt --batch 2 --seq 16 --threads 1)

# A run, its lines and its log.
succeeds train "${small[@]}" --out run --steps 12 --eval-every 6 --eval-batches 2 --save-every 4 --sample-every 12 \
  --sample-prompt Once --log-every 5 --keep 2
prints "step 1/12  loss 5."
prints "step 5/12  "
prints "step 12/12  "
prints "tokens/s"
prints "held-out loss"
prints "---- sample after step 12"
prints "done: run"
grep -q '^step 7/12' out && fail "--log-every 5 printed step 7"
[ "$(grep -c '"type":"step"' run/log.jsonl)" = 12 ] || fail "log.jsonl has not one line per step"
[ "$(ls run/checkpoints)" = "step-12
step-8" ] || fail "--keep 2 kept $(ls run/checkpoints)"
cp run/checkpoints/step-12/model.safetensors whole.safetensors

# Standard streams that are closed: nothing that would be printed ends up in a file of the run.
"$program" train "${small[@]}" --out closed --steps 3 --log-every 1 >&- 2>err
[ $? -eq 1 ] || fail "what could not be printed is no error"
grep -qv '^{' closed/log.jsonl && fail "the log has printed lines: $(grep -v '^{' closed/log.jsonl)"
succeeds generate --model closed --tokens 3

# On a terminal: a bar, cut off at its edge; none on one that cannot draw, no colours where they are not wanted.
if script --version 2>/dev/null | grep -q util-linux; then
  on_terminal() { # TERM COMMAND
    TERM=$1 script -qec "$2" /dev/null </dev/null >out 2>err
  }
  train="'$program' train --model config.json --data stories.txt --batch 1 --seq 16 --threads 1 --steps 2 --eval-every 0"
  on_terminal xterm "$train --out drawn"
  grep -qF $'\033[K\033[?7l[========================] 2/2  loss' out || fail "no bar on a terminal"
  on_terminal dumb "$train --out plain"
  grep -q $'\033' out && fail "a dumb terminal got escape sequences"
  prints "step 2/2  loss"
  on_terminal dumb "NO_COLOR= '$program' train"
  grep -q $'\033' out && fail "a dumb terminal got colours"
  on_terminal xterm "NO_COLOR= '$program' train"
  grep -qF $'\033[1;31manemone' out || fail "a terminal got no colours"
  on_terminal xterm "'$program' train"
  grep -q $'\033' out && fail "NO_COLOR was overlooked"
fi

# The same in parts: stopped after step 5, then continued, is the same to the bit.
succeeds train "${small[@]}" --out parts --steps 12 --eval-every 6 --eval-batches 2 --save-every 4 --sample-every 12 \
  --sample-prompt Once --log-every 5 --keep 2 --stop-after 5
prints "stopped after step 5 of 12; to continue: anemone train --resume parts"
succeeds train --resume parts --quiet
[ ! -s out ] || fail "--quiet printed something"
cmp -s parts/checkpoints/step-12/model.safetensors whole.safetensors || fail "resumed weights differ"
values() { grep '"type":"step"' "$1/log.jsonl" | sed 's/,"ms":.*//'; }
[ "$(values parts)" = "$(values run)" ] || fail "the values in the logs differ"

# So it is with gradients that are not kept; without clipping, which sums their squares up in another order, to the bit.
succeeds train "${small[@]}" --out kept --steps 6 --eval-every 0 --clip 0 --quiet
succeeds train "${small[@]}" --out again --steps 6 --eval-every 0 --clip 0 --save-every 2 --stop-after 4 --recompute gradients
prints "recomputed: gradients"
succeeds train --resume again --quiet
cmp -s {kept,again}/checkpoints/step-6/model.safetensors || fail "weights differ where gradients are not kept"
fails 1 "none are kept" train "${small[@]}" --out new --recompute gradients --accumulate 2
warns "--recompute block"

# Ctrl-C, or a terminal that is gone: the step is finished, the run saved, and it goes on.
wait_for_step() { # RUN
  for ((i = 0; i < 100; i++)); do
    [ -f "$1/log.jsonl" ] && grep -q '"step":2,' "$1/log.jsonl" && break
    sleep 0.1
  done
}
for signal in INT HUP; do
  "$program" train "${small[@]}" --out cut-$signal --steps 100000 --save-every 0 --eval-every 0 >out 2>err &
  pid=$!
  wait_for_step cut-$signal
  kill -$signal $pid
  wait $pid
  status=$?
  [ $status -eq 130 ] || fail "$signal: exit status $status, expected 130"
  warns "finishing this step, then saving"
  prints "to continue: anemone train --resume cut-$signal"
done
succeeds train --resume cut-INT --stop-after 3 --json
prints '"type":"end"'
# So does a reader that is gone; and nohup lets a run outlive its terminal.
"$program" train "${small[@]}" --out piped --steps 100000 --save-every 0 --eval-every 0 --log-every 1 2>err | head -n 1 >out
[ "${PIPESTATUS[0]}" -eq 130 ] || fail "| head: exit status ${PIPESTATUS[0]}, expected 130"
[ "$(ls piped/checkpoints)" != "" ] || fail "| head: nothing was saved"
(trap '' HUP && exec "$program" train "${small[@]}" --out nohup --steps 100000 --save-every 0 --eval-every 0 >out 2>err) &
pid=$!
wait_for_step nohup
kill -HUP $pid
sleep 0.2
kill -TERM $pid || fail "nohup: gone with the terminal"
wait $pid
[ $? -eq 130 ] || fail "nohup: not ended by SIGTERM as by Ctrl-C"
# Damage to the newest checkpoint is told, and the one before is taken.
succeeds train "${small[@]}" --out hurt --steps 8 --save-every 4 --eval-every 0 --quiet --stop-after 8
head -c 5000 hurt/checkpoints/step-8/model.safetensors >x && cp x hurt/checkpoints/step-8/model.safetensors
succeeds train --resume hurt --json
warns "step-8"
prints '"step":8'

# Another model, other data, a run that is none.
fails 1 "goes on as it began" train --resume run --model stories15m
fails 1 "goes on as it began" train --resume run --data config.json
fails 1 "nothere" train --resume nothere
fails 1 "run" train "${small[@]}" --out run --steps 2
fails 2 "cannot be given with --resume" train --resume run --steps 20
sed 's/"hidden_size": 32/"hidden_size": 64/' run/checkpoints/step-12/config.json >x
cmp -s x run/checkpoints/step-12/config.json && fail "the checkpoint's config has no hidden_size"
# What cannot be trained.
fails 1 "nopreset" train --model nopreset --data stories.txt --out new
fails 1 "missing.txt" train --model config.json --data missing.txt --out new
[ ! -e new ] || fail "a training that could not begin left its folder"
mkdir mine
fails 1 "missing.txt" train --model config.json --data missing.txt --out mine
fails 1 "too long" train --model config.json --data stories.txt --out "mine$(printf '/%.0s' {1..5000})x"
[ -d mine ] || fail "a training that could not begin took away a folder that had been there"
: >empty.txt
fails 1 "empty.txt" train --model config.json --data empty.txt --out new
printf 'too short' >short.txt
fails 1 "short.txt" train --model config.json --data short.txt --out new --seq 64
sed 's/"num_attention_heads": 4/"num_attention_heads": 5/' config.json >odd.json
fails 1 "5" train --model odd.json --data stories.txt --out new
sed 's/"num_hidden_layers": 2/"num_hidden_layers": -2/' config.json >odd.json
fails 1 "-2" train --model odd.json --data stories.txt --out new
head -c 50 config.json >odd.json
fails 1 "odd.json" train --model odd.json --data stories.txt --out new
printf '\377\377\377\377' >big.bin
fails 1 "big.bin" train --model config.json --data big.bin --out new --seq 1
fails 1 "gpu" train "${small[@]}" --out new --device gpu
if [ "$(id -u)" -ne 0 ]; then
  mkdir locked && chmod 555 locked
  fails 1 "locked" train "${small[@]}" --out locked/run
fi
: >file
fails 1 "file" train "${small[@]}" --out file/run
[ ! -e new/checkpoints ] || fail "a failed start left checkpoints"

# What came out is a model.
succeeds generate --model run --prompt Once --tokens 12 --temperature 0
cp out first
warns "tokens/s"
grep -q '^Once' out || fail "the text does not begin with the prompt"
succeeds generate --model run/checkpoints/step-12 --prompt Once --tokens 12 --temperature 0 --quiet
cmp -s out first || fail "a run and its newest checkpoint differ"
[ ! -s err ] || fail "--quiet wrote to standard error"
succeeds generate --model run --prompt Once --samples 2 --tokens 12 --seed 5
prints "---- sample 2"
succeeds generate --model run --prompt-ids 0,81 --print-ids --tokens 4 --no-stop --temperature 1 --top-k 40 --top-p 0.9
[ "$(tr ',' '\n' <out | grep -c .)" = 6 ] && grep -q '^0,81,' out || fail "--print-ids: $(cat out)"
fails 1 "not below the model's 258" generate --model run --prompt-ids 0,258 --print-ids
fails 1 'expected numbers with commas' generate --model run --prompt-ids 0,,2 --print-ids
fails 1 'expected numbers with commas' generate --model run --prompt-ids -3 --print-ids
fails 1 "more than the model's 64 positions" generate --model run --prompt Once --tokens 100
fails 1 "64 tokens leave no room" generate --model run --print-ids --prompt-ids "$(printf '1,%.0s' {1..63})1"
warns "shorten the prompt"
fails 1 "nothere" generate --model nothere
fails 1 "Not a llama2.c checkpoint" generate --model run/checkpoints/step-12/model.safetensors
warns "Give its folder"
fails 1 "Not a llama2.c checkpoint" generate --model stories.txt
warns "Weights are a Hugging Face folder"
succeeds eval --model run --data stories.txt --validation 0.1 --seq 16 --json
loss=$(number loss)
less 0 "$loss" && less "$loss" 6 || fail "a loss of $loss"
less 0 "$(number bits_per_byte)" || fail "bits per byte"
succeeds eval --model run --data stories.txt --seq 16 --batches 2
prints "perplexity"

# To llama2.c's format, to Hugging Face's, and back: the same bits.
succeeds convert run model.bin
succeeds convert model.bin hf
cmp -s hf/model.safetensors whole.safetensors || [ -f hf/model.safetensors ] || fail "no weights"
succeeds convert hf again.bin
cmp -s model.bin again.bin || fail "converting there and back changes something"
# Ctrl-C: what is being written is finished first. A pipe makes it wait.
mkfifo slow.bin
"$program" convert run slow.bin >out 2>err &
pid=$!
exec 3<slow.bin # opens when the other end does: from then on interrupts are caught
kill -INT $pid
for ((i = 0; i < 50; i++)); do
  grep -q finishing err && break
  sleep 0.1
done
cat <&3 >whole.bin
exec 3<&-
wait $pid
[ $? -eq 130 ] || fail "convert: not ended by Ctrl-C"
warns "finishing what is being written"
cmp -s model.bin whole.bin || fail "convert: Ctrl-C cut the file short"
fails 1 "it is a run" convert model.bin run
fails 1 "it is a checkpoint" convert model.bin "run/checkpoints/$(ls run/checkpoints | head -n 1)"
succeeds convert run half --dtype bf16
[ "$(wc -c <half/model.safetensors)" -lt "$(wc -c <whole.safetensors)" ] || fail "bf16 is not smaller"
succeeds generate --model half --prompt Once --tokens 4 --quiet
head -c 1000 model.bin >cut.bin
fails 1 "cut.bin" convert cut.bin x
: >empty.bin
fails 1 "empty.bin" generate --model empty.bin
fails 1 "nothere.bin" convert nothere.bin x
mkdir -p bad && cp hf/config.json bad/
head -c 100 hf/model.safetensors >bad/model.safetensors
fails 1 "bad" convert bad x.bin
fails 1 "no/where" convert run no/where/model.bin
echo fine
