#!/usr/bin/env bash
# Compiled programs kept from one process to the next, and `anemone cache`; skipped where there is no emulator.
source "$(dirname "$0")/lib.sh"
cd "$folder" || exit 1
export OMP_WAIT_POLICY=passive ANEMONE_CACHE=$folder/cache

succeeds cache
prints "programs       0, 0.0 MB of at most 1024.0 MB"
prints "$folder/cache/programs"
[ ! -e cache ] || fail "looking at the cache made it"
ANEMONE_CACHE_SIZE=lots fails 1 'expected a size like 500M or 2G, found "lots"' cache
fails 2 "expected a size" cache --max-size lots
succeeds cache clear --json
[ "$(number removed)" = 0 ] || fail "something was removed from nothing"

anemone emulator >/dev/null 2>&1
[ "$status" -eq 0 ] || { echo "skipped: no emulator here"; exit 0; }

for i in $(seq 200); do echo "the sea and the wind and the old man in line $i went to the shore"; done >text.txt
train() { # NAME OPTIONS: two steps, with device OPTIONS
  succeeds train --model stories260k --data text.txt --out "$1" --steps 2 --batch 1 --seq 32 --eval-every 0 \
    --save-every 0 --log-every 1 --seed 3 --device "ane:emulator,threads=1$2" "${@:3}"
}
losses() { sed -n 's/.*"type":"step","step":\([0-9]*\),"loss":\([0-9.]*\),.*/\1 \2/p' "$1/log.jsonl"; }
kept() {
  succeeds cache --json
  find cache/programs -name '*.entry' 2>/dev/null | wc -l
}

# not kept by default on the emulator, nor with cache=off
train plain ,selftest=off
[ "$(kept)" = 0 ] || fail "programs were kept"
# kept: a process in which nothing can be compiled finds all of them
train first ,cache=on,selftest=off
programs=$(kept)
[ "$programs" -gt 0 ] || fail "no programs were kept"
train again ,cache=on,fault=compile:1+,selftest=off
[ "$(kept)" = "$programs" ] || fail "the number of programs changed"
for run in first again; do [ "$(losses $run)" = "$(losses plain)" ] || fail "$run: the losses differ"; done
fails 1 "compile" train --model stories260k --data text.txt --out failed --steps 2 --batch 1 --seq 32 \
  --device ane:emulator,threads=1,cache=off,fault=compile:1+,selftest=off

# another machine's are others
train m5 ,cache=on,chip=m5,selftest=off
[ "$(kept)" = $((2 * programs)) ] || fail "another chip has the same programs"
[ "$(losses m5)" = "$(losses plain)" ] || fail "m5: the losses differ"

# damaged ones, and ones that the framework does not load, are compiled anew
for file in cache/programs/*.entry; do printf x | dd of="$file" bs=1 seek=300 conv=notrunc 2>/dev/null; done
train damaged ,cache=on,selftest=off
[ "$(losses damaged)" = "$(losses plain)" ] || fail "damaged: the losses differ"
train unloaded ,cache=on,selftest=off,fault=load:1,fault=load:2
[ "$(losses unloaded)" = "$(losses plain)" ] || fail "unloaded: the losses differ"

# weights that change are not kept, unless that is asked for
succeeds cache clear
train baked ,cache=on --weights baked
[ "$(kept)" -lt 20 ] || fail "programs with baked weights were kept"
shared=$(kept)
train all ,cache=all --weights baked
[ "$(kept)" -gt "$shared" ] || fail "programs with baked weights were not kept"
[ "$(losses all)" = "$(losses baked)" ] || fail "all: the losses differ"

# no more than asked for, while running and when pruned; none at all with 0
bytes=$(du -sb cache/programs | cut -f1)
succeeds cache --max-size $((bytes / 2)) --json
less "$(number bytes)" $((bytes / 2 + 1)) || fail "it is larger than asked for"
less 0 "$(number removed)" || fail "nothing was removed"
succeeds cache clear
prints "removed"
[ "$(kept)" = 0 ] || fail "something was left"
ANEMONE_CACHE_SIZE=0 train none ,cache=on
[ "$(kept)" = 0 ] || fail "something was kept in no room"

# a cache that cannot be written is none
touch blocked
ANEMONE_CACHE=$folder/blocked train blocked-run ,cache=on,selftest=off

# two processes at once
(train one ,cache=on) &
(train two ,cache=on) &
wait %1 || exit 1
wait %2 || exit 1
train three ,cache=on
for run in one two three; do [ "$(losses $run)" = "$(losses plain)" ] || fail "$run: the losses differ"; done
