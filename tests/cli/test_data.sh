#!/usr/bin/env bash
# data synth, data info: what they write and print, and bad files.
source "$(dirname "$0")/lib.sh"
cd "$folder" || exit 1

succeeds data synth --out a.txt --size 100K --seed 7
prints "entropy:"
size=$(wc -c <a.txt)
[ "$size" -ge 102400 ] && [ "$size" -lt 110000 ] || fail "asked for 100K, got $size bytes"
succeeds data synth --out b.txt --size 100K --seed 7 --json
entropy=$(number entropy_nats_per_byte)
less 0 "$entropy" && less "$entropy" 2 || fail "an entropy of \"$entropy\""
cmp -s a.txt b.txt || fail "equal seeds, different stories"
succeeds data synth --out c.txt --size 100K --seed 8
cmp -s a.txt c.txt && fail "different seeds, equal stories"
fails 1 "no/where" data synth --out no/where/a.txt --size 1K

# Stopped while they write: the new file is not there, and nothing else either.
if [ "$(uname)" = Linux ]; then
  for signal in TERM HUP; do
    mkdir "stop-$signal"
    (cd "stop-$signal" && exec "$program" data synth --out big.txt --size 100G >/dev/null 2>&1) &
    pid=$!
    sleep 0.2
    kill "-$signal" $pid 2>/dev/null || fail "$signal: gone before it was stopped"
    { wait $pid && fail "$signal: it went on to its end"; } 2>/dev/null
    [ -z "$(ls -A "stop-$signal")" ] || fail "$signal: left $(ls -A "stop-$signal")"
  done
fi

succeeds data info a.txt --validation 0.1
prints "held out"
[ -s a.txt.tokens ] || fail "the tokens are not kept beside the text"
succeeds data info a.txt --validation 0.1 --json
train=$(number train_tokens)
held=$(number validation_tokens)
less 0 "$held" && less "$held" "$train" || fail "$train tokens for training, $held held out"
[ "$(number train_bytes)" -gt 0 ] || fail "text has bytes"
checksum=$(number checksum)
succeeds data info c.txt --json
[ "$(number checksum)" != "$checksum" ] || fail "other data, equal checksum"

# Token files.
printf '\001\000\002\000\003\000\004\000\005\000\006\000\007\000\010\000' >tokens.bin
succeeds data info tokens.bin --vocab 9 --seq 4 --validation 0 --json
[ "$(number train_tokens)" = 8 ] || fail "eight tokens, found $(number train_tokens)"
fails 1 "tokens.bin" data info tokens.bin --vocab 8 --seq 4
fails 1 "missing.txt" data info missing.txt
: >empty.txt
fails 1 "empty.txt" data info empty.txt
printf 'x' >odd.u32
fails 1 "odd.u32" data info odd.u32
fails 1 "missing.model" data info a.txt --tokenizer missing.model
head -c 100 a.txt >text.model
fails 1 "text.model" data info a.txt --tokenizer text.model
echo fine
