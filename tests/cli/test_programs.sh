#!/usr/bin/env bash
# check, format, grad, run: MIL programs on the command line.
source "$(dirname "$0")/lib.sh"
cd "$folder" || exit 1

cat >affine.mil <<'END'
program(1.3)
[buildInfo = dict<string, string>({{"coremlc-version", "3505.4.1"}})]
{
    func main<ios18>(tensor<fp32, [2, 3]> x, tensor<fp32, [3, 2]> w) {
        bool no = const()[name = string("no"), val = bool(false)];
        tensor<fp32, [2, 2]> y = matmul(x = x, y = w, transpose_x = no, transpose_y = no)[name = string("y")];
        tensor<fp32, [2, 2]> z = relu(x = y)[name = string("z")];
    } -> (z);
}
END
# NumPy files, written byte by byte: header, then float32.
npy() { # FILE SHAPE NUMBER...
  local header="{'descr': '<f4', 'fortran_order': False, 'shape': ($2), }" file=$1 n
  n=${#header}
  { printf '\223NUMPY\001\000'
    printf "\\x$(printf %02x $((n % 256)))\\x$(printf %02x $((n / 256)))%s" "$header"
    shift 2
    for x in "$@"; do
      case $x in # IEEE numbers that the test needs
      0) printf '\0\0\0\0' ;; 1) printf '\0\0\200\077' ;; 2) printf '\0\0\0\100' ;; 3) printf '\0\0\100\100' ;;
      -1) printf '\0\0\200\277' ;; nan) printf '\0\0\300\177' ;;
      esac
    done
  } >"$file"
}
npy x.npy "2, 3" 1 2 3 0 -1 1
npy w.npy "3, 2" 1 0 0 1 1 -1
npy z.npy "2, 2" 3 0 1 0 # not what comes out below: only its shape counts

# run: x w = [[4, -1], [1, -2]], then relu
succeeds run affine.mil --input x=x.npy --input w=w.npy --output z=out.npy
prints "z  tensor<fp32, [2, 2]>  from 0 to 4, mean 1.25"
[ "$(tail -c 16 out.npy | od -An -tf4 | tr -s ' ')" = " 4 0 1 0" ] || fail "out.npy holds $(tail -c 16 out.npy | od -An -tf4)"
head -c 128 out.npy | grep -q "'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)" || fail "the header of out.npy"
for precision in fp16 bf16; do
  succeeds run affine.mil -i x=x.npy -i w=w.npy --precision $precision --threads 1
  prints "from 0 to 4, mean 1.25"
done
succeeds run affine.mil -i x=x.npy -i w=w.npy --repeat 5 --json
[ "$(number repeat)" = 5 ] && [ "$(number flops)" != "" ] || fail "--json"
succeeds run affine.mil -i x=x.npy -i w=w.npy --repeat 5 --plan
prints "5 runs: median"

fails 1 "input w is not given; it is tensor<fp32, [3, 2]>" run affine.mil --input x=x.npy
warns "--input w=FILE.npy"
fails 1 'there is no input "q"' run affine.mil --input q=x.npy
fails 1 'there is no output "q"' run affine.mil -i x=x.npy -i w=w.npy -o q=q.npy
fails 1 'expected NAME=FILE.npy, found "x.npy"' run affine.mil --input x.npy
fails 1 "expected shape [3, 2], found [2, 2]" run affine.mil -i x=x.npy -i w=z.npy
fails 1 "missing.npy" run affine.mil -i x=x.npy -i w=missing.npy
head -c 70 w.npy >cut.npy
fails 1 "truncated" run affine.mil -i x=x.npy -i w=cut.npy
: >empty.npy
fails 1 "not a NumPy array" run affine.mil -i x=x.npy -i w=empty.npy
fails 1 "missing.mil" run missing.mil
fails 1 'there is no function "other"' run affine.mil --function other
fails 1 "gpu" run affine.mil -i x=x.npy -i w=w.npy --device gpu
fails 1 "no/where" run affine.mil -i x=x.npy -i w=w.npy -o z=no/where.npy

# format: printing is idempotent, in every dialect.
succeeds format affine.mil
cp out once.mil
succeeds format once.mil
cmp -s out once.mil || fail "formatting twice changes something"
for dialect in ios16 ios17 ios18 ios18-1.5; do
  succeeds format affine.mil --dialect $dialect -o other.mil
  succeeds run other.mil -i x=x.npy -i w=w.npy
  prints "from 0 to 4, mean 1.25"
  succeeds format other.mil --dialect ios18
  cmp -s out once.mil || fail "$dialect and back changes something"
done
cp affine.mil mine.mil
succeeds format --in-place mine.mil
cmp -s mine.mil once.mil || fail "--in-place"
fails 1 "no/where" format affine.mil -o no/where.mil

# grad
succeeds grad affine.mil
prints "// forward"
prints "// backward"
prints "d_z"
prints "d_x"
prints "d_w"
succeeds grad affine.mil --wrt x
prints "d_x"
grep -q 'd_w' out && fail "--wrt x gives d_w, too"
fails 1 "bogus" grad affine.mil --wrt bogus

# check
sed 's/fp32/fp16/g; s/\[2, 3\]/[1, 64, 64]/; s/\[3, 2\]/[1, 64, 64]/; s/\[2, 2\]/[1, 64, 64]/' affine.mil >good.mil
succeeds check good.mil
prints "good.mil: a valid program"
succeeds check good.mil --json
prints '"valid":true,"broken":0'
anemone check affine.mil
[ "$status" -eq 1 ] || fail "a certain rule is broken: exit status $status, expected 1"
prints "ANE-02  "
prints "rules of the Neural Engine"
[ ! -s err ] || fail "broken rules are no errors of the program"
anemone check affine.mil --json
prints '"rule":"ANE-02"'
[ "$(number broken)" -ge 2 ] || fail "$(number broken) rules broken, expected ANE-02 and ANE-03 at least"
succeeds check --rules
prints "ANE-01  "
fails 2 "expected a file" check
wrong() { # LINE:COLUMN TEXT sed-expression: the program that is wrong in this way
  sed "$3" affine.mil >wrong.mil
  fails 1 "wrong.mil:$1: " check wrong.mil
  warns "$2"
}
wrong 7:34 'frelu' 's/relu/frelu/'
wrong 6:9 '[2, 2]' 's/tensor<fp32, \[2, 2\]> y/tensor<fp32, [2, 5]> y/'
wrong 6:34 '3' 's/\[3, 2\]> w/[4, 2]> w/'
wrong 7:43 'nobody' 's/x = y/x = nobody/'
wrong 4:36 '0' 's/\[2, 3\]> x/[0, 3]> x/'
wrong 1:1 'program' 's/^program/prograd/'
head -c 300 affine.mil >cut.mil
fails 1 "cut.mil:" check cut.mil
: >empty.mil
fails 1 "empty.mil" check empty.mil
head -c 3000 /dev/urandom >noise.mil
fails 1 "noise.mil" check noise.mil
echo fine

# convert: text <-> Core ML package, and commands on packages
succeeds convert affine.mil affine.mlpackage
prints "affine.mlpackage: 3 operations"
succeeds run affine.mlpackage/ --input x=x.npy --input w=w.npy
prints "from 0 to 4, mean 1.25"
succeeds format affine.mlpackage
golden=$root/tests/golden/packages/block
succeeds convert "$golden/model.mlpackage" block.mil
[ -s weights/block.bin ] && [ -s block.mil ] || fail "block.mil and weights/block.bin are not there"
succeeds run "$golden/model.mlpackage" -i x="$golden/x.npy" -o y=direct.npy
succeeds run block.mil -i x="$golden/x.npy" -o y=text.npy
cmp direct.npy text.npy || fail "package and text give different outputs"
succeeds convert block.mil block.mlpackage
succeeds run block.mlpackage -i x="$golden/x.npy" -o y=back.npy
cmp direct.npy back.npy || fail "a package of the text gives different outputs"
fails 2 "expected two programs" convert affine.mil out.bin
fails 2 "are for weights" convert affine.mil out.mlpackage --dtype fp16
mkdir other.mlpackage
fails 1 "no package" convert affine.mil other.mlpackage
fails 1 "Manifest.json" run other.mlpackage -i x=x.npy
