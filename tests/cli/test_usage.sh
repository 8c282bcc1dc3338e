#!/usr/bin/env bash
# Wrong usage: exit status 2, and a message that says what was expected, what was found, and what may have been meant.
source "$(dirname "$0")/lib.sh"

fails 2 'there is no command "trian"' trian
warns 'did you mean "anemone train"?'
fails 2 'there is no command "xyzzy"' xyzzy
warns '"anemone help" lists the commands'
fails 2 'expected one of synth, info, found nothing' data
fails 2 'expected one of synth, info, found "synht"' data synht
warns 'did you mean "anemone data synth"?'
fails 2 'there is no command "bogus"' help bogus

fails 2 'unknown option --stpes' train --stpes 3
warns 'did you mean --steps?'
fails 2 'unknown option --qqqqqqqqqqqq' train --qqqqqqqqqqqq
warns '"anemone train --help" lists the options'
fails 2 'unknown option -z' train -z
fails 2 '--steps needs a value' train --steps
warns '--steps: optimizer steps'
fails 2 '--steps needs a value' train --steps --batch 3
fails 2 '--json takes no value' train --json=yes
fails 2 'unexpected argument "extra"' train extra
fails 2 'something is missing' format
fails 2 'unexpected argument "c"' convert a b c

for value in 0 -1 x 1.5 99999999999999999999 ''; do
  fails 2 "--steps: expected a whole number of at least 1, found \"$value\"" train --steps "$value"
  fails 2 "--batch: expected a whole number of at least 1, found \"$value\"" train --batch="$value"
done
fails 2 '--batch: expected a whole number of at least 1, found "3000000000"' train -b 3000000000
fails 2 '--lr: expected a number from 0 to 1e+06, found "nan"' train --lr nan
fails 2 '--lr: expected a number from 0 to 1e+06, found "-1"' train --lr -1
fails 2 '--validation: expected a number from 0 to 0.9, found "1"' train --validation 1
fails 2 '--schedule: expected one of cosine|constant|wsd, found "linear"' train --schedule linear
fails 2 '--precision: expected one of fp32|bf16|int8|fp16, found "fp64"' info --precision fp64
fails 2 'expected a size like 500K, 2M or 1G of at least 1, found "2X"' data synth --size 2X
fails 2 'found "0"' data synth --size 0
fails 2 'found "-2M"' data synth --size -2M
fails 2 'found "99999999999G"' data synth --size 99999999999G
fails 2 '--threads: expected a whole number from 1 to 1024, found "0"' info --threads 0
fails 2 '--model: expected one of' bench train --model gpt2

fails 2 '--model MODEL is missing' train
fails 2 '--data FILE is missing' train --model stories260k
fails 2 '--out RUN is missing' train --model stories260k --data x
fails 2 '--model MODEL is missing' generate
fails 2 '--data FILE is missing' eval --model x
fails 2 '--out FILE is missing' data synth
fails 2 'cannot be given with --resume' train --resume x --lr 3
fails 2 'fp32 alone' convert a b.bin --dtype bf16

fails 2 '--model: expected a path, found ""' train --model "" --data x --out y
fails 2 '--data: expected a path, found ""' train --model x --data "" --out y
fails 2 'found an empty argument' check ""
fails 2 '--prompt and --prompt-ids' generate --model x --prompt a --prompt-ids 1
fails 1 'There is no such file' generate --model x --seed 9223372036854775807
fails 1 'must be between 1 and 16777216' bench train --model stories260k --seq 2000000000

# Help wins over whatever else is wrong, unless "--" ends the options.
succeeds train --steps nonsense --help
fails 1 'No such file' check -- --help

# What cannot be printed is an error.
if [ -w /dev/full ]; then
  "$program" help >/dev/full 2>"$folder/err"
  status=$?
  [ "$status" -eq 1 ] || fail "a full disk: exit status $status, expected 1"
  warns 'standard output: could not be written'
  fails 1 '/dev/full: cannot write the file: No space left on device' data synth --size 1K --out /dev/full
  [ -c /dev/full ] || fail "the device was replaced by a file"
fi
echo fine
