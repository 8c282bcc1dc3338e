"""A Llama in plain PyTorch, in Hugging Face's layout: the oracle of the training tests.

Written out by hand so that every convention is visible: rotary embedding turns element i with i + head_dim/2, query
head h reads key/value head h // (n_heads // n_kv_heads), weights are [out, in].
"""
import json
import math

import torch
import torch.nn.functional as F
from safetensors.torch import load_file


def load(folder):
    """config.json and model.safetensors of a folder -> (config, {name: parameter}), tied head resolved."""
    with open(f"{folder}/config.json") as f:
        config = json.load(f)
    weights = {k: torch.nn.Parameter(v.float()) for k, v in load_file(f"{folder}/model.safetensors").items()}
    if config["tie_word_embeddings"]:
        weights.pop("lm_head.weight", None)
    return config, weights


def rms_norm(x, weight, eps):
    return weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps))


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def logits(config, w, tokens):
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    eps, theta = config["rms_norm_eps"], config.get("rope_theta", 10000.0)
    batch, seq = tokens.shape
    x = w["model.embed_tokens.weight"][tokens]
    head_dim = config.get("head_dim") or x.shape[-1] // heads
    frequency = 1.0 / (theta ** (torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim))
    angle = torch.outer(torch.arange(seq, dtype=torch.float64), frequency)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    for layer in range(config["num_hidden_layers"]):
        p = lambda name: w[f"model.layers.{layer}.{name}.weight"]
        split = lambda t, n: t.view(batch, seq, n, head_dim).transpose(1, 2)
        h = rms_norm(x, p("input_layernorm"), eps)
        q = rotate(split(h @ p("self_attn.q_proj").T, heads), cos, sin)
        k = rotate(split(h @ p("self_attn.k_proj").T, kv_heads), cos, sin)
        v = split(h @ p("self_attn.v_proj").T, kv_heads)
        k, v = (t.repeat_interleave(heads // kv_heads, 1) for t in (k, v))
        scores = q @ k.transpose(2, 3) / math.sqrt(head_dim)
        future = torch.ones(seq, seq, dtype=torch.bool).triu(1)
        a = scores.masked_fill(future, -math.inf).softmax(-1) @ v
        x = x + a.transpose(1, 2).reshape(batch, seq, -1) @ p("self_attn.o_proj").T
        h = rms_norm(x, p("post_attention_layernorm"), eps)
        x = x + (F.silu(h @ p("mlp.gate_proj").T) * (h @ p("mlp.up_proj").T)) @ p("mlp.down_proj").T
    head = w["model.embed_tokens.weight"] if config["tie_word_embeddings"] else w["lm_head.weight"]
    return rms_norm(x, w["model.norm.weight"], eps) @ head.T


def loss(config, w, tokens, targets):
    out = logits(config, w, tokens)
    return F.cross_entropy(out.reshape(-1, out.shape[-1]), targets.reshape(-1))


def adamw(w, weight_decay, betas=(0.9, 0.95), eps=1e-8):
    """Decay on matrices other than the embedding, as anemone does unless asked otherwise."""
    decays = lambda name, p: p.dim() > 1 and "embed_tokens" not in name
    return torch.optim.AdamW([
        {"params": [p for n, p in w.items() if decays(n, p)], "weight_decay": weight_decay},
        {"params": [p for n, p in w.items() if not decays(n, p)], "weight_decay": 0.0},
    ], lr=0.0, betas=betas, eps=eps)
