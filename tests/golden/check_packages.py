#!/usr/bin/env python3
"""Packages as anemone writes them, loaded by coremltools with its own checks.

    pip install coremltools==9.0
    tests/golden/check_packages.py build/release/anemone FILE.mil|PACKAGE ...

Each program is converted to a package (a package: to text and back). coremltools must load its specification, build its
program (which infers every type anew and reads the weights), and find the same inputs, outputs and operations as
anemone printed.
"""
import os, re, subprocess, sys, tempfile, warnings
warnings.filterwarnings("ignore")
import logging
logging.disable(logging.WARNING)
import coremltools as ct
from coremltools.converters.mil.frontend.milproto.load import load

anemone, sources = sys.argv[1], sys.argv[2:]


def run(*words):
    done = subprocess.run([anemone, *words], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def operations(text):
    """How often each operation stands in MIL text, constants apart."""
    count = {}
    for name in re.findall(r"^[^=\n]*? = (\w+)\(", text, re.M):
        if name not in ("const", "dict"):
            count[name] = count.get(name, 0) + 1
    return count


def check(source, folder):
    package = os.path.join(folder, "model.mlpackage")
    if source.rstrip("/").endswith(".mlpackage"):
        text = os.path.join(folder, "model.mil")
        run("convert", source, text)
        run("convert", text, package)
    else:
        run("convert", source, package)
    model = ct.models.MLModel(package, skip_model_load=True)
    spec = model.get_spec()
    program = load(spec, specification_version=spec.specificationVersion, file_weights_dir=model.weights_dir)
    found = {}
    for function in program.functions.values():
        for op in function.operations:
            if op.op_type != "const":
                found[op.op_type] = found.get(op.op_type, 0) + 1
    expected = operations(run("format", source))
    if found != expected:
        raise RuntimeError(f"coremltools found {found}, expected {expected}")
    return sum(found.values())


failed = 0
for source in sources:
    with tempfile.TemporaryDirectory() as folder:
        try:
            print(f"ok      {source}: {check(source, folder)} operations")
        except Exception as error:
            failed += 1
            print(f"FAILED  {source}: {str(error)[:300]}")
print(f"{len(sources) - failed} of {len(sources)} load in coremltools {ct.__version__}")
sys.exit(failed > 0)
