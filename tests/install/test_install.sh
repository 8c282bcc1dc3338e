#!/usr/bin/env bash
# Installs into a fresh prefix and builds a program with it: by pkg-config (shared, static) and by find_package (both).
set -euo pipefail
program=$1
build=$(dirname "$program")
here=$(cd "$(dirname "$0")" && pwd)

if grep -q '^ANEMONE_SANITIZE:[A-Z]*=..*' "$build/CMakeCache.txt"; then
  echo "skipped: a library with sanitizers is not for others to link"
  exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
prefix=$folder/prefix
fail() { echo "FAIL: $*" >&2; exit 1; }

cmake --install "$build" --prefix "$prefix" >"$folder/log" 2>&1 || { cat "$folder/log"; fail "cmake --install"; }
for path in bin/anemone include/anemone/mil.h share/man/man1/anemone.1 share/bash-completion/completions/anemone \
  share/zsh/site-functions/_anemone; do
  [ -s "$prefix/$path" ] || fail "$path is not installed"
done
"$prefix/bin/anemone" version | grep -q '^anemone [0-9]' || fail "the installed program does not run"

expect_program() { # PROGRAM: it prints a MIL program
  "$1" >"$folder/out" || fail "$1 failed"
  grep -q 'silu' "$folder/out" || fail "$1 printed no program"
}

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name anemone.pc)")
export PKG_CONFIG_PATH
libraries=$(pkg-config --variable=libdir anemone)
export LD_LIBRARY_PATH=$libraries DYLD_LIBRARY_PATH=$libraries
# shellcheck disable=SC2046
cc $(pkg-config --cflags anemone) "$here/consumer.c" -o "$folder/shared" $(pkg-config --libs anemone)
expect_program "$folder/shared"
# shellcheck disable=SC2046
cc $(pkg-config --cflags anemone) "$here/consumer.c" -o "$folder/static" "$libraries/libanemone.a" \
  $(pkg-config --static --libs anemone)
expect_program "$folder/static"

cat >"$folder/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(consumer C)
find_package(anemone 0.1 REQUIRED)
add_executable(with_shared $here/consumer.c)
target_link_libraries(with_shared anemone::shared)
add_executable(with_static $here/consumer.c)
target_link_libraries(with_static anemone::static)
END
cmake -S "$folder" -B "$folder/cmake" -DCMAKE_PREFIX_PATH="$prefix" >"$folder/log" 2>&1 &&
  cmake --build "$folder/cmake" >>"$folder/log" 2>&1 || { cat "$folder/log"; fail "find_package(anemone)"; }
expect_program "$folder/cmake/with_shared"
expect_program "$folder/cmake/with_static"
echo "installed, found and used"
