#!/usr/bin/env bash
# Beside coremltools and PyTorch themselves, where they are installed: nets with weights that are in no golden file run as
# PyTorch has them, and what anemone writes loads in coremltools with its own checks.
source "$(dirname "$0")/../cli/lib.sh"
python3 -c 'import coremltools, torch' 2>/dev/null || { echo "there is no coremltools, or no PyTorch"; exit 77; }
cd "$folder" || exit 1

python3 "$root/tests/golden/packages.py" made 11 >out 2>err || fail "coremltools makes no packages"
for net in made/*; do
  precision=fp32
  case $net in *_fp16) precision=fp16 ;; esac
  input=$("$program" format "$net"/*.mlpackage | grep -oP 'func \w+<\w+>\(tensor<[^>]*> \K\w+') || fail "$net: no input"
  output=$("$program" format "$net"/*.mlpackage | grep -oP '^\s*\} -> \(\K\w+') || fail "$net: no output"
  succeeds run "$net"/*.mlpackage --precision $precision --input "$input=$net/x.npy" --output "$output=$net/ours.npy"
done
python3 - made/* >out 2>err <<'END' || fail "outputs are not PyTorch's"
import sys, numpy
for net in sys.argv[1:]:
    y, ours = numpy.load(net + "/y.npy"), numpy.load(net + "/ours.npy")
    off = abs(ours.reshape(-1).astype(float) - y.reshape(-1)).max() / abs(y).max()
    print(net, off)
    assert off < (4e-3 if net.endswith("_fp16") else 1e-5), net
END

# Programs without weight files; packages both ways.
python3 "$root/tests/golden/check_packages.py" "$program" made/*/*.mlpackage \
  "$root"/tests/data/mil/{attention,dynamic_matmul,quantize,rope,version15}.mil >out 2>err || fail "coremltools refuses"
prints "13 of 13 load in coremltools"
echo fine
