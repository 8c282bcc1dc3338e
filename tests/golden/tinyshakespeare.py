#!/usr/bin/env python3
"""The loss curve of PyTorch from anemone's initial weights and batches: tests/golden/tinyshakespeare.json.

    build/release/tests/export_run FOLDER      # writes weights, tokens and the recipe
    python3 tests/golden/tinyshakespeare.py FOLDER tests/golden/tinyshakespeare.json [bf16]

With bf16, under autocast: how far PyTorch's own bf16 is from its fp32.
"""
import json
import math
import sys

import numpy as np
import torch

import torch_llama_reference as llama

folder, out, *precision = sys.argv[1:]
with open(f"{folder}/recipe.json") as f:
    recipe = json.load(f)
config, w = llama.load(folder)
data = np.fromfile(f"{folder}/batches.u32", dtype="<u4").astype(np.int64)
data = torch.from_numpy(data.reshape(recipe["steps"], 2, recipe["batch"], recipe["seq"]))
optimizer = llama.adamw(w, recipe["weight_decay"], (recipe["beta1"], recipe["beta2"]), recipe["epsilon"])


def learning_rate(step):
    if step < recipe["warmup"]:
        return recipe["lr"] * (step + 1) / recipe["warmup"]
    done = (step - recipe["warmup"]) / (recipe["steps"] - recipe["warmup"])
    return recipe["min_lr"] + 0.5 * (1 + math.cos(math.pi * done)) * (recipe["lr"] - recipe["min_lr"])


losses = []
for step, (tokens, targets) in enumerate(data):
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == ["bf16"]):
        value = llama.loss(config, w, tokens, targets)
    value.backward()
    torch.nn.utils.clip_grad_norm_(w.values(), recipe["clip"])
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step)
    optimizer.step()
    losses.append(round(value.item(), 6))
    print(step + 1, losses[-1], flush=True)
with open(out, "w") as f:
    json.dump({"torch": torch.__version__, "recipe": recipe, "loss": losses}, f, indent=0)
    f.write("\n")
