#!/usr/bin/env bash
# The folders of programs below the system's temporary one: private, no two processes' the same, gone with the process,
# or, when that was killed, at the next start. Skipped where there is no emulator.
source "$(dirname "$0")/lib.sh"
cd "$folder" || exit 1
mkdir temporary
export OMP_WAIT_POLICY=passive ANEMONE_CACHE=$folder/cache TEMP=$folder/temporary

anemone emulator >/dev/null 2>&1
[ "$status" -eq 0 ] || { echo "skipped: no emulator here"; exit 0; }
for i in $(seq 200); do echo "the sea and the wind and the old man in line $i went to the shore"; done >text.txt

# owner PID: how many folders belong to it
owners() { find "$TEMP" -name anemone.owner -exec cat {} + 2>/dev/null; }
owned() { owners | grep -cx "$1"; }
begin() { # NAME: a long run in the background; its folders are there when this returns
  "$program" train --model stories260k --data text.txt --out "$1" --steps 100000 --batch 1 --seq 32 --eval-every 0 \
    --save-every 0 --quiet --device ane:emulator,threads=1,selftest=off,weights=packed >"$1.out" 2>&1 </dev/null &
  local pid=$! wait
  for wait in $(seq 200); do
    grep -q '"type":"step"' "$1/log.jsonl" 2>/dev/null && break
    sleep 0.05
  done
  [ "$(owned $pid)" -gt 0 ] || fail "$1 has no folder: $(head -n 3 "$1.out")"
  began=$pid
}

# two processes at once, with the same programs
begin one
first=$began
begin two
second=$began
[ "$(owned "$first")" = "$(owned "$second")" ] || fail "the processes have not as many folders: $(owners | sort | uniq -c)"
[ "$(owned "$first")" = "$(find "$TEMP" -name anemone.owner | wc -l | awk '{ print $1 / 2 }')" ] || fail "folders of nobody"
open=$(find "$TEMP" -mindepth 1 -type d -perm /o+w)
[ -z "$open" ] || fail "others may write to $open"

# what is not ours is not touched, whatever its name
alien=$(dirname "$(dirname "$(find "$TEMP" -name anemone.owner | head -n 1)")")/$(printf 'a%.0s' $(seq 194))
mkdir "$alien" && touch "$alien/net.plist"

# one is killed: its folders stay, until another process starts; those of the one that lives do not go
lives=$(owned "$second")
kill -9 "$first"
wait "$first" 2>/dev/null
[ "$(owned "$first")" -gt 0 ] || fail "nothing was left by the killed process"
succeeds train --model stories260k --data text.txt --out three --steps 1 --batch 1 --seq 32 --quiet \
  --device ane:emulator,threads=1,selftest=off
[ "$(owned "$first")" = 0 ] || fail "the killed process's folders are still there"
[ "$(owned "$second")" = "$lives" ] || fail "a living process lost its folders"

# one ends by itself (Ctrl-C): nothing is left
kill -INT "$second"
wait "$second" 2>/dev/null
[ -e "$alien/net.plist" ] || fail "a folder of another program was removed"
[ -z "$(owners)" ] || fail "folders were left: $(owners)"
