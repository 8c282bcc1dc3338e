#!/usr/bin/env python3
"""Writes llama_small.safetensors: what PyTorch computes, in double precision, for a small Llama with everything in it.

    pip install torch==2.13 safetensors numpy
    python3 tests/golden/llama_small.py

The model has 2 layers, 6 query and 2 key/value heads and a separate head; batch 3, sequence 64. Weights and tokens are
not stored: both sides compute them from the formulas below (in C: tests/model/golden.h). The file holds

    loss          F64 []     of the first batch, before any step
    loss_fp32     F64 []     the same computed in fp32, to show what fp32 costs
    losses        F64 [30]   of 30 AdamW steps, each on a batch of its own, before the step's update (losses[0] = loss):
                             lr 1e-3, betas 0.9 and 0.95, eps 1e-8, decay 0.1 on matrices other than the embedding,
                             gradients clipped to a global norm of 1
    grad_norms    F64 [30]   global norms before clipping
    logits        F32 [3, 64, 97]         of the first batch
    grad.NAME     F32        d(loss)/d(NAME) of the first batch, one for each parameter by its Hugging Face name
"""
import os

import numpy as np
import torch
from safetensors.torch import save_file

import torch_llama_reference as llama

BATCH, SEQ, VOCAB, STEPS = 3, 64, 97, 30
CONFIG = {"hidden_size": 48, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 6,
          "num_key_value_heads": 2, "head_dim": 8, "vocab_size": VOCAB, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
          "tie_word_embeddings": False}


def mix(x):
    """A 32-bit finalizer (Wellons' lowbias32) of an array of uint32."""
    x = np.asarray(x, np.uint32)
    x = (x ^ x >> np.uint32(16)) * np.uint32(0x7FEB352D)
    x = (x ^ x >> np.uint32(15)) * np.uint32(0x846CA68B)
    return x ^ x >> np.uint32(16)


def uniform(stream, count):
    """In [-1, 1), multiples of 2^-23: exact in fp32."""
    u = mix(np.arange(count, dtype=np.uint32) + np.uint32(stream * 0x01000000))
    return ((u >> np.uint32(8)).astype(np.int64) - (1 << 23)).astype(np.float32) * np.float32(2.0 ** -23)


def shapes():
    d, h, v = CONFIG["hidden_size"], CONFIG["intermediate_size"], VOCAB
    kv = CONFIG["num_key_value_heads"] * CONFIG["head_dim"]
    yield "model.embed_tokens.weight", (v, d)
    for layer in range(CONFIG["num_hidden_layers"]):
        for name, shape in (("input_layernorm", (d,)), ("self_attn.q_proj", (d, d)), ("self_attn.k_proj", (kv, d)),
                            ("self_attn.v_proj", (kv, d)), ("self_attn.o_proj", (d, d)),
                            ("post_attention_layernorm", (d,)), ("mlp.gate_proj", (h, d)), ("mlp.up_proj", (h, d)),
                            ("mlp.down_proj", (d, h))):
            yield f"model.layers.{layer}.{name}.weight", shape
    yield "model.norm.weight", (d,)
    yield "lm_head.weight", (v, d)


def weights(dtype):
    """Tensor i of the weight store is stream i: norms 1 + u/4, the embedding u, other matrices u/4."""
    w = {}
    for i, (name, shape) in enumerate(shapes()):
        u = uniform(i, int(np.prod(shape))).reshape(shape)
        x = u if i == 0 else u * np.float32(0.25) + np.float32(1 if len(shape) == 1 else 0)
        w[name] = torch.nn.Parameter(torch.from_numpy(x).to(dtype))
    return w


def batch(step):
    """Tokens and targets of a step: 65 ids a sequence, the targets one later."""
    ids = mix(np.arange(BATCH * (SEQ + 1), dtype=np.uint32) + np.uint32(0x80000000 + step * 0x1000)) % np.uint32(VOCAB)
    ids = torch.from_numpy(ids.astype(np.int64)).view(BATCH, SEQ + 1)
    return ids[:, :-1], ids[:, 1:]


def train(dtype):
    w = weights(dtype)
    optimizer = llama.adamw(w, weight_decay=0.1)
    for group in optimizer.param_groups:
        group["lr"] = 1e-3
    losses, norms = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = llama.loss(CONFIG, w, *batch(step))
        loss.backward()
        losses.append(loss.item())
        norms.append(torch.nn.utils.clip_grad_norm_(w.values(), 1.0).item())
        optimizer.step()
    return losses, norms


def main():
    torch.set_num_threads(1)
    w = weights(torch.float64)
    tokens, targets = batch(0)
    loss = llama.loss(CONFIG, w, tokens, targets)
    loss.backward()
    losses, norms = train(torch.float64)
    out = {f"grad.{name}": p.grad.float() for name, p in w.items()}
    out["logits"] = llama.logits(CONFIG, w, tokens).detach().float()
    scalar = lambda x: torch.tensor(x, dtype=torch.float64)
    out["loss"] = scalar(loss.item())
    out["loss_fp32"] = scalar(llama.loss(CONFIG, weights(torch.float32), tokens, targets).item())
    out["losses"], out["grad_norms"] = scalar(losses), scalar(norms)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "llama_small.safetensors")
    save_file({k: v.contiguous() for k, v in out.items()}, path)
    print(f"loss {loss.item():.9f}, in fp32 {out['loss_fp32']:.9f}; losses {losses[0]:.6f} ... {losses[-1]:.6f}; "
          f"{os.path.getsize(path)} bytes")


main()
