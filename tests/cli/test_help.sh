#!/usr/bin/env bash
# --help of every command, the man page and the completions: all from the same tables, so each names every option.
source "$(dirname "$0")/lib.sh"

"$program" help | sed -n '/^Usage:/,/^To begin:/p' | sed -n 's/^  \([a-z]\+\( [a-z]\+\)\?\)  *[a-z].*/\1/p' >"$folder/commands"
[ "$(wc -l <"$folder/commands")" -ge 14 ] || fail "the overview lists too few commands"
"$program" help --man >"$folder/man"
"$program" help --completion bash >"$folder/bash"
"$program" help --completion zsh >"$folder/zsh"
bash -n "$folder/bash" || fail "the completions for bash are no bash"
command -v zsh >/dev/null && { zsh -n "$folder/zsh" || fail "the completions for zsh are no zsh"; }
grep -q '^\.TH ANEMONE 1' "$folder/man" || fail "the man page has no title"

while read -r command; do
  # shellcheck disable=SC2086
  succeeds $command --help
  prints "Usage: anemone $command"
  prints "Examples:"
  cp "$folder/out" "$folder/help"
  # shellcheck disable=SC2086
  succeeds help $command
  cmp -s "$folder/out" "$folder/help" || fail "help $command and $command --help differ"
  grep -q "^  anemone " "$folder/help" || fail "$command --help has no example"
  for option in $(grep -oE '^ +(-[a-z], )?--[a-z0-9-]+' "$folder/help" | grep -oE -- '--[a-z0-9-]+'); do
    grep -qF -- "$option" "$folder/bash" || fail "$option of $command is not completed by bash"
    grep -qF -- "$option" "$folder/zsh" || fail "$option of $command is not completed by zsh"
    [ "$option" = --help ] || grep -qF -- "${option//-/\\-}" "$folder/man" || fail "$option of $command is not in the man page"
  done
done <"$folder/commands"

# A group: its commands.
for group in data emulator; do
  succeeds help $group
  prints "$group "
done
succeeds data --help
prints "  data synth "
succeeds --help
prints "To begin:"
succeeds --version
prints "anemone "
succeeds version
anemone
[ "$status" -eq 2 ] || fail "no command: exit status $status, expected 2"

# What bash makes of the completions.
complete_words() { # WORD...: completions of the last one
  # shellcheck disable=SC1091
  source "$folder/bash"
  COMP_WORDS=("$@")
  COMP_CWORD=$(($# - 1))
  _anemone
  echo "${COMPREPLY[*]}"
}
[ "$(complete_words anemone gen)" = generate ] || fail "completing a command"
[ "$(complete_words anemone data s)" = synth ] || fail "completing a second word"
[ "$(complete_words anemone train --sched)" = --schedule ] || fail "completing an option"
[ "$(complete_words anemone train --schedule w)" = wsd ] || fail "completing a choice"
[ "$(complete_words anemone data synth --si)" = --size ] || fail "completing an option behind two words"
touch "$folder/weights.bin"
[ "$(complete_words anemone generate --model "$folder/wei")" = "$folder/weights.bin" ] || fail "completing a file"
echo fine
