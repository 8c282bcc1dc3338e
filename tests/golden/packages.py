#!/usr/bin/env python3
"""Packages as coremltools makes them, with inputs and outputs by PyTorch, for tests/mil/test_package.c.

    pip install coremltools==9.0 torch==2.13.0
    tests/golden/packages.py tests/golden/packages [SEED]

A folder for each: NAME.mlpackage, x.npy, y.npy. Weights are quantised by coremltools; then y comes from the
dequantised weights, in numpy.
"""
import os, shutil, sys
import numpy as np
import torch
import coremltools as ct
import coremltools.optimize as cto
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.mil import types

SEED = int(sys.argv[2]) if len(sys.argv) > 2 else 7
torch.manual_seed(SEED)
np.random.seed(SEED)
OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "packages")


class ConvNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Conv2d(3, 8, 3, padding=1, stride=2)
        self.b = torch.nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.c = torch.nn.Conv2d(8, 5, 1)

    def forward(self, x):
        h = torch.relu(self.a(x))
        h = torch.nn.functional.gelu(self.b(h)) + h
        return self.c(h).mean(dim=(2, 3))


class Block(torch.nn.Module):
    """One transformer block: layer norm, causal attention, SwiGLU."""

    def __init__(self, dim=32, heads=4, hidden=48):
        super().__init__()
        self.heads = heads
        self.n1, self.n2 = torch.nn.LayerNorm(dim), torch.nn.LayerNorm(dim)
        self.qkv, self.o = torch.nn.Linear(dim, 3 * dim), torch.nn.Linear(dim, dim)
        self.gate, self.up = torch.nn.Linear(dim, hidden), torch.nn.Linear(dim, hidden)
        self.down = torch.nn.Linear(hidden, dim)

    def forward(self, x):
        b, s, d = 1, 8, 32
        q, k, v = self.qkv(self.n1(x)).split(d, dim=2)
        q, k, v = (t.reshape(b, s, self.heads, d // self.heads).transpose(1, 2) for t in (q, k, v))
        mask = torch.triu(torch.full((s, s), -1e4), diagonal=1)
        p = torch.softmax(q @ k.transpose(2, 3) / (d // self.heads) ** 0.5 + mask, dim=-1)
        x = x + self.o((p @ v).transpose(1, 2).reshape(b, s, d))
        h = self.n2(x)
        return x + self.down(torch.nn.functional.silu(self.gate(h)) * self.up(h))


def save(name, model, x, y):
    folder = os.path.join(OUT, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    model.save(os.path.join(folder, "model.mlpackage"))
    np.save(os.path.join(folder, "x.npy"), x.astype(np.float32))
    np.save(os.path.join(folder, "y.npy"), y.astype(np.float32))
    print(name, "x", x.shape, "y", y.shape)


def from_torch(name, net, x, target, precision):
    net.eval()
    traced = torch.jit.trace(net, x)
    model = ct.convert(traced, inputs=[ct.TensorType(name="x", shape=x.shape)], outputs=[ct.TensorType(name="y")],
                       minimum_deployment_target=target, compute_precision=precision, skip_model_load=True)
    with torch.no_grad():
        y = net.double()(x.double()).numpy()
    net.float()
    save(name, model, x.numpy(), y)
    return model


def conv_of(weight):
    @mb.program(input_specs=[mb.TensorSpec(shape=(1, weight.shape[1], 1, 16), dtype=types.fp32)],
                opset_version=ct.target.iOS18)
    def program(x):
        return mb.conv(x=x, weight=weight, name="y")
    return ct.convert(program, minimum_deployment_target=ct.target.iOS18, compute_precision=ct.precision.FLOAT32,
                      skip_model_load=True)


def dequantised(model):
    """The conv's weights as coremltools itself computes them from the compressed constants."""
    from coremltools.converters.mil.frontend.milproto.load import load
    program = load(model.get_spec(), specification_version=9, file_weights_dir=model.weights_dir)
    conv = program.functions["main"].find_ops(op_type="conv")[0]
    return conv.weight.op.materialized_val_inference() if conv.weight.op.op_type.startswith("constexpr") else conv.weight.val


def quantised(name, compress):
    weight = np.random.randn(12, 32, 1, 1).astype(np.float32)
    model = compress(conv_of(weight))
    x = np.random.randn(1, 32, 1, 16).astype(np.float32)
    w = dequantised(model).astype(np.float64)[:, :, 0, 0]
    save(name, model, x, (w @ x[0, :, 0].astype(np.float64))[None, :, None])


conv_x = torch.randn(1, 3, 16, 16)
from_torch("conv_net", ConvNet(), conv_x, ct.target.iOS15, ct.precision.FLOAT32)
from_torch("conv_net_fp16", ConvNet(), conv_x, ct.target.iOS16, ct.precision.FLOAT16)
block_x = torch.randn(1, 8, 32)
from_torch("block", Block(), block_x, ct.target.iOS17, ct.precision.FLOAT32)
from_torch("block_fp16", Block(), block_x, ct.target.iOS18, ct.precision.FLOAT16)

linear = lambda **how: cto.coreml.OptimizationConfig(global_config=cto.coreml.OpLinearQuantizerConfig(weight_threshold=0, **how))
palette = lambda **how: cto.coreml.OptimizationConfig(global_config=cto.coreml.OpPalettizerConfig(weight_threshold=0, **how))
quantised("int8", lambda m: cto.coreml.linear_quantize_weights(m, linear(mode="linear_symmetric", dtype="int8")))
quantised("int4_blocks", lambda m: cto.coreml.linear_quantize_weights(
    m, linear(mode="linear", dtype="int4", granularity="per_block", block_size=8)))
quantised("lut4", lambda m: cto.coreml.palettize_weights(m, palette(mode="uniform", nbits=4)))
quantised("lut2_channels", lambda m: cto.coreml.palettize_weights(
    m, palette(mode="uniform", nbits=2, granularity="per_grouped_channel", group_size=4)))
