#!/usr/bin/env python3
"""PyTorch's AdamW and clip_grad_norm_ on made-up gradients: tests/golden/adamw.json, read by tests/train/test_adamw.c.

    python3 tests/golden/adamw.py

Weights and gradients are value(step, tensor, element), a formula that the test repeats; step 0 gives the weights.
"""
import json
import os

import torch

DIM, HIDDEN, VOCAB, STEPS = 8, 16, 10, 6
SHAPES = {
    "model.embed_tokens.weight": (VOCAB, DIM),
    "model.layers.0.input_layernorm.weight": (DIM,),
    "model.layers.0.self_attn.q_proj.weight": (DIM, DIM),
    "model.layers.0.self_attn.k_proj.weight": (DIM // 2, DIM),
    "model.layers.0.mlp.down_proj.weight": (DIM, HIDDEN),
    "model.norm.weight": (DIM,),
    "lm_head.weight": (VOCAB, DIM),
}
OPTIONS = {"beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8, "weight_decay": 0.1, "clip": 1.0}


def value(step, tensor, element):
    return ((element * 7919 + tensor * 104729 + step * 1299709) % 2001 - 1000) / 1000 / (1 if step == 0 else step**3)


def filled(step, tensor, shape):
    count = torch.Size(shape).numel()
    return torch.tensor([value(step, tensor, i) for i in range(count)], dtype=torch.float32).view(shape)


w = {name: torch.nn.Parameter(filled(0, i, shape)) for i, (name, shape) in enumerate(SHAPES.items())}
plain = [p for name, p in w.items() if p.dim() == 1 or "embed" in name]
decaying = [p for name, p in w.items() if not (p.dim() == 1 or "embed" in name)]
optimizer = torch.optim.AdamW(
    [{"params": decaying, "weight_decay": OPTIONS["weight_decay"]}, {"params": plain, "weight_decay": 0.0}],
    betas=(OPTIONS["beta1"], OPTIONS["beta2"]), eps=OPTIONS["epsilon"])
norms, rates = [], []
for step in range(1, STEPS + 1):
    for i, p in enumerate(w.values()):
        p.grad = filled(step, i, p.shape)
    norms.append(torch.nn.utils.clip_grad_norm_(w.values(), OPTIONS["clip"]).item())
    rates.append(0.01 / step)
    for group in optimizer.param_groups:
        group["lr"] = rates[-1]
    optimizer.step()

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "adamw.json"), "w") as f:
    result = {"torch": torch.__version__, "options": OPTIONS, "norm": norms, "lr": rates}
    result["weights"] = {name: p.detach().flatten().tolist() for name, p in w.items()}
    json.dump(result, f)
    f.write("\n")
