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
