#!/usr/bin/env python3
"""Hold our logits against transformers' LlamaForCausalLM on a model that we converted.

    tests/golden/check_transformers.py [MODEL [EXPORT_LOGITS]]

MODEL is anything that anemone loads (default: ../shared/data/llama2c-260k.bin, and a random one with a separate head);
EXPORT_LOGITS the program of tests/tools (default: build/release/tests/export_logits). Every logit must agree to 1e-4.
Exit status 77 when transformers or the model is missing.
"""
import os
import subprocess
import sys
import tempfile

TOLERANCE = 1e-4
root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

try:
    import torch
    from safetensors.torch import load_file
    from transformers import LlamaConfig, LlamaForCausalLM
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)


def random_model(folder):
    """Saved by transformers itself: grouped queries, head_dim of its own, separate head, bfloat16."""
    torch.manual_seed(0)
    config = LlamaConfig(hidden_size=48, intermediate_size=128, num_hidden_layers=2, num_attention_heads=6,
                         num_key_value_heads=2, head_dim=16, vocab_size=97, max_position_embeddings=64,
                         initializer_range=0.2)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    return folder


def check(model, program):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, model, folder], check=True)
        ours = load_file(f"{folder}/logits.safetensors")
        os.remove(f"{folder}/logits.safetensors")
        theirs = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
        with torch.no_grad():
            logits = theirs(ours["tokens"].long()).logits
    worst = (logits - ours["logits"]).abs().max().item()
    print(f"{os.path.basename(model)}: {logits.numel()} logits up to {logits.abs().max():.3g}, "
          f"largest difference {worst:.2g} (allowed {TOLERANCE:g}): {'good' if worst <= TOLERANCE else 'TOO FAR'}")
    return worst <= TOLERANCE


def main():
    program = sys.argv[2] if len(sys.argv) > 2 else os.path.join(root, "build", "release", "tests", "export_logits")
    if len(sys.argv) > 1:
        return 0 if check(sys.argv[1], program) else 1
    shared = os.path.join(root, "..", "shared", "data", "llama2c-260k.bin")
    with tempfile.TemporaryDirectory() as folder:
        good = check(random_model(os.path.join(folder, "random")), program)
    if os.path.exists(shared):
        good = check(shared, program) and good
    else:
        print(f"skipped: {shared} is not there")
    return 0 if good else 1


sys.exit(main())
