#!/usr/bin/env bash
# info and bench: what programs read from them.
source "$(dirname "$0")/lib.sh"

succeeds info
prints "device"
prints "vectors"
succeeds info --peak --json --threads 1 --precision fp16
prints '"device":"cpu"'
prints '"precision":"fp16"'
[ "$(number threads)" = 1 ] || fail "--threads 1"
less 0.01 "$(number peak_gflops)" || fail "no peak"
less 0.01 "$(number product_gflops)" || fail "no rate of products"
for key in peak_bf16_gflops update_gbs read_gbs; do less 0.01 "$(number $key)" || fail "no $key"; done
prints '"peak_tile_gflops":'
fails 1 "tpu" info --device tpu
fails 1 "speed" info --device cpu:speed=3

succeeds bench train --model stories260k --batch 1 --seq 32 --steps 3 --threads 1 --json
for key in batch seq threads parameters steps median min max tokens_per_second gflops peak_rss_mib final_loss lnV; do
  less 0 "$(number $key)" || fail "\"$key\" is missing"
done
for key in system model precision step_ms forward_ms backward_ms optimizer_ms; do prints "\"$key\":"; done
succeeds bench train --model stories260k --batch 1 --seq 32 --steps 1
prints "step_ms"
succeeds bench train --model stories260k --batch 1 --seq 32 --steps 1 --profile
prints "lost ms"
prints "weight gradients"
succeeds bench train --model stories260k --batch 1 --seq 32 --steps 1 --profile --json
for key in bandwidth_gbs bound_ms timed_ms rows gbs kind; do prints "\"$key\":"; done
fails 1 "only the device cpu has plans to profile" bench train --model stories260k --profile --device ane

succeeds bench gemm --model stories260k --columns 16 --time 0 --threads 1
prints "of peak"
prints "d weight"
succeeds bench gemm --model stories260k --columns 16 --time 0 --precision bf16 --products library --json
for key in m n k ms gflops peak_gflops of_peak; do less 0 "$(number $key)" || fail "\"$key\" is missing"; done
for key in weight product precision kernel transpose_a transpose_b; do prints "\"$key\":"; done
succeeds bench generate --model stories260k --prompt 40 --tokens 3 --repeat 2 --precision int8
prints "of weights"
succeeds bench generate --model stories260k --prompt 40 --tokens 3 --repeat 2 --precision bf16 --profile
prints "per prompt"
prints "per token"
succeeds bench generate --model stories260k --prompt 40 --tokens 3 --repeat 2 --profile --json
for key in prompt token rows bound_ms; do prints "\"$key\":"; done
succeeds bench generate --model stories260k --prompt 2 --tokens 2 --repeat 1 --threads 1 --json
for key in prompt_tokens new_tokens median tokens_per_second prompt_tokens_per_second peak_gflops read_gbs weight_gbs \
  decode_of_bandwidth decode_of_plain_reading prompt_of_peak load_ms first_ms; do
  less 0 "$(number $key)" || fail "\"$key\" is missing"
done
fails 1 "no_such_model" bench generate --model no_such_model
fails 1 "int8 is for generating" bench train --model stories260k --precision int8
fails 1 "avx512bf16 cannot be had here in fp32" bench gemm --precision fp32 --products avx512bf16
fails 2 "expected one of" bench gemm --model gpt2

# Threads that wait for each other sleep soon (cli/spin.c): GNU's OpenMP says what it was told.
if ldd "$program" | grep -q libgomp; then
  spin() { env -u OMP_WAIT_POLICY OMP_DISPLAY_ENV=verbose "$@" "$program" version 2>&1 | sed -n "s/.*GOMP_SPINCOUNT = '\(.*\)'/\1/p" | tail -n 1; }
  [ "$(spin)" = 20000 ] || fail "OpenMP's threads spin $(spin) rounds, expected 20000"
  [ "$(spin GOMP_SPINCOUNT=77)" = 77 ] || fail "GOMP_SPINCOUNT=77 is not what OpenMP was told"
  [ "$(spin OMP_WAIT_POLICY=active)" != 20000 ] || fail "OMP_WAIT_POLICY=active was overruled"
fi
echo fine
