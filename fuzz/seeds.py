"""Writes the small seeds in fuzz/corpus: one or a few right files of each format.

    pip install sentencepiece numpy
    python3 fuzz/seeds.py

run_config, checkpoint_state/saved and token_cache are from runs of `anemone train`.
"""
import io
import json
import os
import struct

import numpy as np
import sentencepiece

here = os.path.dirname(os.path.abspath(__file__))


def seed(target, name, data):
    folder = os.path.join(here, "corpus", target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())


with open(os.path.join(here, "..", "tests", "golden", "blob_coremltools.bin"), "rb") as f:
    seed("blob", "coremltools", f.read())

header = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b.weight": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
    "c": {"dtype": "I64", "shape": [], "data_offsets": [32, 40]},
}
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
seed("safetensors", "three", struct.pack("<Q", len(text)) + text + bytes(40))
seed("safetensors", "none", struct.pack("<Q", 2) + b"{}")


def llama2c(dim, hidden, layers, heads, kv_heads, vocab, seq):
    kv, head = dim * kv_heads // heads, dim // heads
    floats = abs(vocab) * dim + layers * (2 * dim + 2 * dim * dim + 2 * dim * kv + 3 * dim * hidden) + dim + seq * head
    floats += abs(vocab) * dim if vocab < 0 else 0
    return struct.pack("<7i", dim, hidden, layers, heads, kv_heads, vocab, seq) + bytes(4 * floats)


seed("llama2c", "shared", llama2c(4, 6, 2, 2, 1, 5, 3))
seed("llama2c", "separate", llama2c(8, 8, 1, 2, 2, -6, 4))


def tokenizer(pieces):
    data = struct.pack("<i", max(len(p) for p, _ in pieces))
    return data + b"".join(struct.pack("<fi", score, len(p)) + p for p, score in pieces)


pieces = [(b"<unk>", 0), (b"\n<s>\n", 0), (b"\n</s>\n", 0)]
pieces += [(b"<0x%02X>" % i, 0) for i in range(256)]
pieces += [(b" ", -1), (b"a", -2), (b"e", -3), (b"n", -4), (b"an", -5), (b" an", -6), (b"\xc3\xa9", -7)]
seed("tokenizer", "bytes", struct.pack("<H", len(pieces)) + tokenizer(pieces))
seed("tokenizer", "few", struct.pack("<H", 5) + tokenizer(pieces[:3] + pieces[-7:-5]))

for name, options in (("bytes", {"vocab_size": 290, "byte_fallback": True}), ("plain", {"vocab_size": 40})):
    model = io.BytesIO()
    sentences = ["once upon a time there was a tiny cat", "the cat sat on the mat, and the dog ran"] * 20
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(sentences), model_writer=model, model_type="bpe",
        character_coverage=1.0, minloglevel=2, hard_vocab_limit=False, normalization_rule_name="identity", **options)
    seed("sentencepiece", name, model.getvalue())

config = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 48, "intermediate_size": 128,
    "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 258,
    "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False,
    "hidden_act": "silu", "attention_bias": False, "mlp_bias": False, "rope_scaling": None, "bos_token_id": 0,
    "eos_token_id": [1, 2], "torch_dtype": "float32",
}
seed("config", "llama", json.dumps(config, indent=1))
seed("config", "short", json.dumps({"model_type": "llama", "hidden_size": 8, "intermediate_size": 8,
    "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 3}))

ids = np.arange(64) % 290
seed("dataset", "text", b"\x01" + b"Once upon a time.\n\nThere was a cat.\n\n" * 4)
seed("dataset", "u16", b"\x02" + ids.astype("<u2").tobytes())
seed("dataset", "u32", b"\x03" + ids.astype("<u4").tobytes())
for version, kind in ((1, "<u2"), (7, "<u4")):
    words = np.zeros(256, "<i4")
    words[:3] = 20240520 if version == 1 else 20240801, version, len(ids)
    seed("dataset", f"llmc{version}", b"\x04" + words.tobytes() + ids.astype(kind).tobytes())

for kind in ("<f4", "<f2", "<i8", "|b1", "<u2"):
    out = io.BytesIO()
    np.save(out, np.asfortranarray(np.arange(6).reshape(2, 3).astype(kind)) if kind == "<i8" else
        np.arange(6).reshape(2, 3).astype(kind))
    seed("npy", kind.strip("<|"), out.getvalue())

state = {"format": "anemone checkpoint", "version": 1, "step": 3, "data_position": 6, "tokens": 96, "seconds": 1.5,
    "loss_scale": 1.0, "good_steps": 0, "rng": ["0123456789abcdef"] * 4,
    "files": [{"name": "model.safetensors", "bytes": 7, "crc32": "b7c5b9c4"}]}
seed("checkpoint_state", "state", json.dumps(state))

for name in ("block", "conv_net", "int8", "lut4"):
    package = os.path.join(here, "..", "tests", "golden", "packages", name, "model.mlpackage")
    with open(os.path.join(package, "Data", "com.apple.CoreML", "model.mlmodel"), "rb") as f:
        seed("package", name, f.read())


# results: each format that anemone report reads, with one of everything
times = {"median": 0.4, "min": 0.3, "p95": 0.5, "p99": 0.6, "ci": 0.01, "runs": 9}
row = {"benchmark": "peak", "case": "512x64x128", "config": {"channels": 512, "positions": 64, "depth": 128}, "status": "ok",
       "error": "", "modelled": True, "device_ms": times, "host_ms": times,
       "metrics": {"weights_mb": 64, "gflop": 4.29, "tflops": 11.41, "update_ms": 1},
       "verified": {"against": "cpu", "error": 0.1, "tolerance": 0.2, "ok": True}, "parts": {"device": 1, "host": 2}}
rows = [row, {**row, "benchmark": "sram-fine", "case": "4096"}, {**row, "benchmark": "sram-fine", "case": "edge",
        "metrics": {"edge_mb": 28, "uncertainty_mb": 4}}, {**row, "benchmark": "dispatch"}, {**row, "benchmark": "dynamic",
        "config": {"dim": 128, "mode": "packed"}}, {**row, "benchmark": "train", "case": "static-stories110m"},
        {**row, "benchmark": "run", "series": {"loss": [9, None, 8], "step": [1, 2, 3]}}, {**row, "benchmark": "qos"},
        {"benchmark": "peak", "case": "x", "config": {}, "status": "failed", "error": "why"}]
probe = {"probe": "weight-reload", "question": "?", "did": "it", "status": "ok", "error": "", "answer": "unchanged",
         "recorded": "unchanged", "equal": True}
seed("results", "results", json.dumps({
    "schema": "anemone-results/1", "anemone": "0", "created": "2026", "machine": {"chip": "M4 Max", "processor": "", "model": "",
    "os": "", "os_build": "", "framework": "", "cores": 2, "memory_gb": 8}, "device": {"spec": "ane:emulator", "name": "ane",
    "description": "", "emulated": True, "precision": "fp16", "threads": 2}, "rows": rows, "probes": [probe]}))
seed("results", "community", json.dumps({
    "schema_version": 1, "timestamp": "t", "system": {"chip": "Apple M4", "cpu_cores": 10, "memory_gb": 16}, "benchmarks": {
        "sram_probe": [{"channels": 8192, "weight_mb": 128, "ms_per_eval": 4.2, "tflops": 1, "gflops_per_mb": 8}],
        "inmem_peak": [{"depth": 32, "channels": 512, "spatial": 64, "weight_mb": 16, "gflops": 1.07, "ms_per_eval": 0.4}],
        "training_cpu_classifier": {"ms_per_step": 72.4, "ane_util_pct": 8.1}, "training_ane_classifier": {}}}))
seed("results", "machines", json.dumps({"report_date": "d", "training_results": [
    {"chip": "M1 Pro", "ms_per_step": [148, 163], "ane_ms": [32, 35], "peak_tflops": None}, {"chip": "M5", "peak_tflops": 12.44}]}))
seed("results", "log", '{"type":"step","step":1,"loss":9,"ms":5,"timers":{"forward":3},"device":{"device_ms":1,"modelled":true}}\n'
     '{"type":"eval","step":1,"loss":8}\n{"type":"st')
