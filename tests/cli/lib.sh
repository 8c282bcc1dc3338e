# lib.sh - what the tests of the program share. $1 is the program; $folder is fresh and removed at the end.
set -uo pipefail
program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export NO_COLOR=1

fail() {
  printf 'FAIL: %s\n' "$1" >&2
  for file in out err; do [ -s "$folder/$file" ] && sed "s/^/  $file: /" "$folder/$file" | head -n 20 >&2; done
  exit 1
}

# anemone ARGUMENT...: output in $folder/out and $folder/err, exit status in $status
anemone() {
  "$program" "$@" >"$folder/out" 2>"$folder/err" </dev/null
  status=$?
}

# succeeds ARGUMENT...: exit status 0
succeeds() {
  anemone "$@"
  [ "$status" -eq 0 ] || fail "anemone $*: exit status $status, expected 0"
}

# fails STATUS TEXT ARGUMENT...: exit status, a text in standard error, which begins with the program's name
fails() {
  local expected=$1 text=$2
  shift 2
  anemone "$@"
  [ "$status" -eq "$expected" ] || fail "anemone $*: exit status $status, expected $expected"
  grep -qF -- "$text" "$folder/err" || fail "anemone $*: \"$text\" is not in the message"
  head -n 1 "$folder/err" | grep -q '^anemone: ' || fail "anemone $*: the message does not begin with \"anemone: \""
}

# prints TEXT: the last command did, on standard output
prints() { grep -qF -- "$1" "$folder/out" || fail "\"$1\" was not printed"; }
warns() { grep -qF -- "$1" "$folder/err" || fail "\"$1\" is not on standard error"; }

# number KEY: its value in the JSON that was printed last
number() { sed -n "s/.*\"$1\": *\(-\{0,1\}[0-9][0-9.e+-]*\).*/\1/p" "$folder/out" | tail -n 1; }
less() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'; }
