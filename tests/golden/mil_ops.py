#!/usr/bin/env python3
"""Golden values for the reference interpreter: one MIL program per case, inputs, and what NumPy and PyTorch make of
them. Writes mil_ops.json beside this file.  Needs numpy and torch.

A case compares in double precision, or, when "fp16" is true, in fp16 mode: inputs are fp16 values, the operation is
done in double and rounded once, and every bit must match."""
import json
import os

import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.default_rng(20)
cases = []
NAMES = {np.float64: "fp64", np.float32: "fp32", np.float16: "fp16", np.int32: "int32", np.int8: "int8",
         np.uint8: "uint8", np.bool_: "bool"}


def type_name(a, name=None):
    name = name or NAMES[a.dtype.type]
    return f"tensor<{name}, [{', '.join(map(str, a.shape))}]>" if a.shape else name


def literal(x):
    if isinstance(x, np.ndarray):
        return f"{type_name(x)}({json.dumps(x.tolist())})"
    if isinstance(x, bool):
        return "bool(true)" if x else "bool(false)"
    if isinstance(x, int):
        return f"int32({x})"
    if isinstance(x, float):
        return f"fp64({x!r})"
    if isinstance(x, str):
        return x if x.startswith("=") else f'string("{x}")'
    return f"tensor<int32, [{len(x)}]>({json.dumps(list(x))})"


def case(name, op, inputs, expected, fp16=False, result=None, opset="ios18", **knobs):
    """inputs: parameter -> array, which becomes a function input; knobs: parameter -> constant (or "=MIL text")."""
    single = not isinstance(expected, list)
    outs = [np.asarray(y) for y in ([expected] if single else expected)]
    args = [f"{k} = {k}" for k in inputs]
    for k, v in knobs.items():
        text = literal(v)
        args.append(f"{k.rstrip('_')} = {text[1:] if text.startswith('=') else text}")
    names = ["r"] if single else [f"r{i}" for i in range(len(outs))]
    results = ", ".join(f"{type_name(y, result)} {n}" for y, n in zip(outs, names))
    params = ", ".join(f"{type_name(a)} {k}" for k, a in inputs.items())
    lines = [f"program({'1.0' if opset == 'ios16' else '1.3'}) {{", f"func main<{opset}>({params}) {{",
             f'{results} = {op}({", ".join(args)})[name = string("{names[0]}")];', f"}} -> ({', '.join(names)});", "}"]
    cases.append({"name": name, "mil": "\n".join(lines) + "\n", "fp16": fp16,
                  "inputs": {k: a.astype(np.float64).ravel().tolist() for k, a in inputs.items()},
                  "outputs": {n: y.astype(np.float64).ravel().tolist() for n, y in zip(names, outs)}})


def normal(*shape):
    return np.round(rng.normal(size=shape), 4)


def positive(*shape):
    return np.round(rng.uniform(0.1, 3, size=shape), 4)


def t(a):
    return torch.from_numpy(np.asarray(a))


def half(f, *arrays):
    """f done in double on fp16 values, rounded once."""
    return np.asarray(f(*[a.astype(np.float64) for a in arrays])).astype(np.float16)


# -- element by element
x, p = normal(2, 3, 4), positive(2, 3, 4)
UNARY = {"exp": (np.exp, x), "sqrt": (np.sqrt, p), "abs": (np.abs, x), "sin": (np.sin, x), "cos": (np.cos, x),
         "sigmoid": (lambda v: torch.sigmoid(t(v)).numpy(), x * 20), "silu": (lambda v: F.silu(t(v)).numpy(), x * 5),
         "tanh": (np.tanh, x), "relu": (lambda v: np.maximum(v, 0), x), "erf": (lambda v: torch.erf(t(v)).numpy(), x),
         "identity": (lambda v: v, x)}
for op, (f, v) in UNARY.items():
    case(op, op, {"x": v}, f(v))
    h = v.astype(np.float16)
    case(op + " fp16", op, {"x": h}, half(f, h), fp16=True)
for op, f, default in (("log", np.log, 1e-45), ("rsqrt", lambda v: 1 / np.sqrt(v), 1e-12), ("inverse", lambda v: 1 / v, 1e-4)):
    case(op + " default", op, {"x": p}, f(p + default))
    case(op + " epsilon", op, {"x": p}, f(p + 0.25), epsilon=0.25)
for mode, f in (("EXACT", lambda v: F.gelu(t(v)).numpy()), ("TANH_APPROXIMATION", lambda v: F.gelu(t(v), approximate="tanh").numpy()),
                ("SIGMOID_APPROXIMATION", lambda v: v * torch.sigmoid(1.702 * t(v)).numpy())):
    case("gelu " + mode, "gelu", {"x": x}, f(x), mode=mode)
a, b = normal(2, 1, 4), normal(3, 1)
BINARY = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "real_div": np.divide, "maximum": np.maximum,
          "minimum": np.minimum, "equal": np.equal, "not_equal": np.not_equal, "greater": np.greater,
          "greater_equal": np.greater_equal, "less": np.less, "less_equal": np.less_equal}
for op, f in BINARY.items():
    case(op, op, {"x": a, "y": b}, f(a, b))
    case(op + " same", op, {"x": a, "y": a}, f(a, a))
    if op in ("add", "sub", "mul", "real_div"):
        case(op + " fp16", op, {"x": a.astype(np.float16), "y": b.astype(np.float16)},
             half(f, a.astype(np.float16), b.astype(np.float16)), fp16=True)
base = positive(2, 3)
case("pow", "pow", {"x": base, "y": b[:, 0]}, np.power(base, b[:, 0]))
i1, i2 = rng.integers(-9, 9, (2, 3), dtype=np.int32), rng.integers(1, 9, (3,), dtype=np.int32)
case("add int32", "add", {"x": i1, "y": i2}, i1 + i2)
case("real_div int32", "real_div", {"x": i1, "y": i2}, np.trunc(i1 / i2).astype(np.int32))
cond = np.array([[True], [False]])
sa, sb = normal(2, 3), normal(3)
case("select", "select", {"cond": cond, "a": sa, "b": sb}, np.where(cond, sa, sb))
case("logical_not", "logical_not", {"x": cond}, ~cond)
case("cast to int32", "cast", {"x": x * 3}, np.trunc(x * 3).astype(np.int32), dtype="int32")
case("cast to bool", "cast", {"x": np.array([0.0, -0.5, 2.0])}, np.array([False, True, True]), dtype="bool")
case("cast to int8 saturates", "cast", {"x": np.array([300.0, -300.0, 12.9])}, np.array([127, -128, 12], np.int8), dtype="int8")
case("cast to fp64", "cast", {"x": i1}, i1.astype(np.float64), dtype="fp64")

# -- products
x, y = normal(2, 1, 3, 4), normal(3, 4, 2)
for tx in (False, True):
    for ty in (False, True):
        u, v = (x.swapaxes(-1, -2).copy() if tx else x), (y.swapaxes(-1, -2).copy() if ty else y)
        case(f"matmul {tx} {ty}", "matmul", {"x": u, "y": v}, x @ y, transpose_x=tx, transpose_y=ty)
hx, hy = normal(3, 50).astype(np.float16), normal(50, 4).astype(np.float16)
case("matmul fp16", "matmul", {"x": hx, "y": hy}, half(np.matmul, hx, hy), fp16=True)
x, w, bias = normal(2, 2, 3), normal(4, 3), normal(4)
case("linear", "linear", {"x": x, "weight": w, "bias": bias}, x @ w.T + bias)
case("linear no bias", "linear", {"x": x, "weight": w}, x @ w.T)
hx, hw, hb = x.astype(np.float16), w.astype(np.float16), bias.astype(np.float16)
case("linear fp16", "linear", {"x": hx, "weight": hw, "bias": hb}, half(lambda u, v, c: u @ v.T + c, hx, hw, hb), fp16=True)


def conv_case(name, xs, ws, strides, dilations, pad, groups, pad_type, given_pad=None, bias=False):
    x, w, c = normal(*xs), normal(*ws), normal(ws[0])
    n = len(xs) - 2
    padded = F.pad(t(x), [v for i in reversed(range(n)) for v in (pad[2 * i], pad[2 * i + 1])])
    f = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[n]
    y = f(padded, t(w), t(c) if bias else None, strides, 0, dilations, groups).numpy()
    knobs = {"strides": strides, "pad_type": pad_type, "dilations": dilations, "groups": groups}
    if given_pad:
        knobs["pad"] = given_pad
    inputs = {"x": x, "weight": w, **({"bias": c} if bias else {})}
    case("conv " + name, "conv", inputs, y, **knobs)


conv_case("1x1", (1, 3, 1, 5), (4, 3, 1, 1), (1, 1), (1, 1), (0,) * 4, 1, "valid", bias=True)
conv_case("2-d", (2, 3, 5, 6), (4, 3, 3, 2), (2, 1), (1, 1), (0,) * 4, 1, "valid")
conv_case("dilated", (1, 2, 6, 7), (2, 2, 2, 3), (1, 2), (3, 2), (0,) * 4, 1, "valid")
conv_case("padded", (1, 2, 4, 4), (2, 2, 3, 3), (1, 2), (1, 1), (2, 0, 1, 3), 1, "custom", given_pad=(2, 0, 1, 3), bias=True)
conv_case("same", (1, 1, 5, 5), (2, 1, 3, 2), (2, 1), (1, 1), (1, 1, 0, 1), 1, "same")
conv_case("same_lower", (1, 1, 5, 4), (2, 1, 3, 2), (2, 1), (1, 1), (1, 1, 1, 0), 1, "same_lower")
conv_case("groups", (2, 4, 3, 3), (6, 2, 2, 2), (1, 1), (1, 1), (0,) * 4, 2, "valid", bias=True)
conv_case("depthwise", (1, 3, 4, 3), (6, 1, 2, 2), (1, 1), (1, 1), (0,) * 4, 3, "valid")
conv_case("1-d", (2, 3, 7), (4, 3, 3), (2,), (2,), (1, 1), 1, "custom", given_pad=(1, 1), bias=True)
conv_case("3-d", (1, 2, 3, 4, 3), (2, 2, 2, 3, 1), (1, 1, 2), (1, 1, 1), (0,) * 6, 1, "valid")
x, w = normal(1, 40, 1, 3).astype(np.float16), normal(2, 40, 1, 1).astype(np.float16)
case("conv fp16", "conv", {"x": x, "weight": w}, half(lambda u, v: F.conv2d(t(u), t(v)).numpy(), x, w), fp16=True)
q, k, v, m = normal(1, 2, 3, 4), normal(1, 2, 5, 4), normal(1, 2, 5, 6), normal(3, 5)
att = F.scaled_dot_product_attention
case("attention", "scaled_dot_product_attention", {"query": q, "key": k, "value": v}, att(t(q), t(k), t(v)).numpy())
case("attention mask", "scaled_dot_product_attention", {"query": q, "key": k, "value": v, "attn_mask": m},
     att(t(q), t(k), t(v), t(m)).numpy())
keep = np.tril(np.ones((3, 5), bool), 1)
case("attention bool mask", "scaled_dot_product_attention", {"query": q, "key": k, "value": v, "attn_mask": keep},
     att(t(q), t(k), t(v), t(keep)).numpy())

# -- over axes
x = normal(2, 3, 4)
for op, f in (("reduce_sum", np.sum), ("reduce_mean", np.mean), ("reduce_max", np.max)):
    case(op + " all", op, {"x": x}, f(x))
    case(op + " axes", op, {"x": x}, f(x, axis=(0, 2)), axes=(-1, 0))
    case(op + " kept", op, {"x": x}, f(x, axis=1, keepdims=True), axes=(1,), keep_dims=True)
    h = x.astype(np.float16)
    case(op + " fp16", op, {"x": h}, half(lambda u: f(u, axis=-1), h), fp16=True, axes=(-1,))
big = x * 300
for axis in (-1, 0, 1):
    case(f"softmax {axis}", "softmax", {"x": big}, torch.softmax(t(big), axis).numpy(), axis=axis)
h = x.astype(np.float16)
case("softmax fp16", "softmax", {"x": h}, half(lambda u: torch.softmax(t(u), -1).numpy(), h), fp16=True)
g, bb = normal(3, 4), normal(3, 4)
case("layer_norm", "layer_norm", {"x": x, "gamma": g, "beta": bb},
     F.layer_norm(t(x), (3, 4), t(g), t(bb), 0.01).numpy(), axes=(1, -1), epsilon=0.01)
case("layer_norm middle", "layer_norm", {"x": x, "gamma": g[:, 0].copy()},
     F.layer_norm(t(x).swapaxes(1, 2), (3,), t(g[:, 0].copy()), None, 1e-5).swapaxes(1, 2).numpy(), axes=(1,))
case("layer_norm plain", "layer_norm", {"x": x}, F.layer_norm(t(x), (4,)).numpy(), axes=(2,))

# -- moving elements
case("reshape", "reshape", {"x": x}, x.reshape(4, 6), shape=(4, -1))
case("transpose", "transpose", {"x": x}, x.transpose(2, 0, 1), perm=(-1, 0, 1))
case("expand_dims", "expand_dims", {"x": x}, x[None, :, :, :, None], axes=(0, -1))
case("squeeze", "squeeze", {"x": x.reshape(1, 6, 1, 4)}, x.reshape(6, 4))
case("squeeze axes", "squeeze", {"x": x.reshape(1, 6, 1, 4)}, x.reshape(6, 1, 4), axes=(0,))
case("slice_by_size", "slice_by_size", {"x": x}, x[1:, 0:2, 1:4], begin=(1, 0, 1), size=(-1, 2, 3))
case("slice_by_index", "slice_by_index", {"x": x}, x[0:2:1, -1:-4:-2, 1:-1], begin=(0, -1, 1), end=(2, -4, -1), stride=(1, -2, 1))
case("slice_by_index masks", "slice_by_index", {"x": x}, x[1, ::-1, 1:],
     begin=(-1, 7, 1), end=(0, 7, 0), stride=(1, -1, 1), begin_mask=np.array([False, True, False]),
     end_mask=np.array([False, True, True]), squeeze_mask=np.array([True, False, False]))
y = normal(2, 3, 2)


def concat_case(name, arrays, expected, **knobs):
    inputs = {f"v{i}": a for i, a in enumerate(arrays)}
    params = ", ".join(f"{type_name(a)} {k}" for k, a in inputs.items())
    rest = "".join(f", {k} = {literal(v)}" for k, v in knobs.items())
    cases.append({"name": name, "fp16": False, "mil": "program(1.3) {\nfunc main<ios18>(" + params + ") {\n" +
                  f"{type_name(expected)} r = concat(values = ({', '.join(inputs)}){rest})[name = string(\"r\")];\n}} -> (r);\n}}\n",
                  "inputs": {k: a.ravel().tolist() for k, a in inputs.items()}, "outputs": {"r": expected.ravel().tolist()}})


concat_case("concat", [x, y, x], np.concatenate([x, y, x], -1), axis=-1)
inter = np.stack([x, -x], 2).reshape(2, 6, 4)
concat_case("concat interleave", [x, -x], inter, axis=1, interleave=True)
case("split", "split", {"x": x}, [np.ascontiguousarray(s) for s in np.split(x, 3, 1)], num_splits=3, axis=-2)
case("split sizes", "split", {"x": x}, [x[..., :1].copy(), x[..., 1:].copy()], split_sizes=(1, 3), axis=2)
case("tile", "tile", {"x": x}, np.tile(x, (1, 2, 3)), reps=(1, 2, 3))
case("pad", "pad", {"x": x}, np.pad(x, ((0, 0), (1, 0), (2, 3)), constant_values=0.5), pad=(1, 0, 2, 3), constant_val=0.5)
case("pad reflect", "pad", {"x": x}, np.pad(x, ((0, 0), (2, 1), (1, 3)), mode="reflect"), pad=(2, 1, 1, 3), mode="reflect")
case("pad replicate", "pad", {"x": x}, np.pad(x, ((0, 0), (0, 0), (2, 5)), mode="edge"), pad=(2, 5), mode="replicate")

# -- by index
idx = np.array([[2, 0], [1, 1]], np.int32)
case("gather", "gather", {"x": x, "indices": idx}, x[:, idx], axis=1)
case("gather rows", "gather", {"x": y[0], "indices": idx}, y[0][idx])
case("gather negative in ios16", "gather", {"x": x, "indices": idx - 3}, x[:, idx], axis=-2, opset="ios16")
case("gather batch", "gather", {"x": x, "indices": idx}, np.stack([x[n][idx[n]] for n in range(2)]), axis=1, batch_dims=1)
data, at, upd = normal(2, 3, 2), np.array([2, 0, 2], np.int32), normal(2, 3, 2)
for mode, f in (("add", np.add), ("sub", np.subtract), ("mul", np.multiply), ("div", np.divide), ("max", np.maximum), ("min", np.minimum),
                ("update", lambda o, n: n)):
    out = data.copy()
    for j, i in enumerate(at):
        out[:, i] = f(out[:, i], upd[:, j])
    case("scatter " + mode, "scatter", {"data": data, "indices": at, "updates": upd}, out, axis=1, mode=mode)

# -- low precision
x = np.array([[-100.0, -0.25, 0.75], [0.25, 1.25, 100.0]])
case("quantize", "quantize", {"input": x}, np.clip(np.around(x / 0.5) + 3, -128, 127).astype(np.int8), scale=0.5,
     zero_point="=int8(3)", output_dtype="int8")
sc = np.array([0.5, 0.25, 1.0])
zp = np.array([0, 100, 250], np.uint8)
case("quantize axis", "quantize", {"input": x}, np.clip(np.around(x / sc) + zp, 0, 255).astype(np.uint8), scale=sc,
     zero_point=zp, axis=-1, output_dtype="uint8")
qd = rng.integers(-128, 127, (2, 3)).astype(np.int8)
case("dequantize", "dequantize", {"input": qd}, (qd.astype(np.float64) - 3) * 0.5, scale=0.5, zero_point="=int8(3)")
case("dequantize axis", "dequantize", {"input": qd}, qd * np.array([[0.5], [2.0]]), scale=np.array([0.5, 2.0]), axis=0)


def constexpr_case(name, op, expected, **knobs):
    """y = the constant + 0 * x: a function needs an input."""
    expected = np.asarray(expected, np.float64)
    args = ", ".join(f"{k} = {v if v.startswith('tensor') or '(' in v else literal(v)}" for k, v in knobs.items())
    cases.append({"name": name, "fp16": False, "mil": "program(1.3) {\nfunc main<ios18>(fp64 x) {\n" +
                  f'{type_name(expected)} c = {op}({args})[name = string("c")];\n' +
                  f'{type_name(expected)} r = add(x = c, y = x)[name = string("r")];\n}} -> (r);\n}}\n',
                  "inputs": {"x": [0.0]}, "outputs": {"r": expected.ravel().tolist()}})


q8 = rng.integers(-128, 127, (2, 3, 2)).astype(np.int8)
constexpr_case("constexpr affine", "constexpr_affine_dequantize", (q8.astype(float) - np.array([1, -2, 3])[:, None]) * np.array([0.5, 2, 4])[:, None],
               quantized_data=literal(q8), zero_point=literal(np.array([1, -2, 3], np.int8)), scale=literal(np.array([0.5, 2.0, 4.0])), axis="int32(1)")
lut = np.array([1.0, 5.0, 9.0, 13.0])
packed = np.array([0b11100100, 0b00000001], np.uint8)  # 0 1 2 3 1
constexpr_case("constexpr lut ios16", "constexpr_lut_to_dense", lut[[0, 1, 2, 3, 1]], indices=literal(packed), lut=literal(lut),
               shape="tensor<uint32, [1]>([5])")
idx = np.array([[2, 3], [3, 0], [1, 0], [3, 0], [2, 1], [0, 3]])
lut2 = np.array([[1.0, 5.0, 9.0, 13.0], [2.0, 10.0, 18.0, 26.0]]).reshape(2, 1, 4, 1)
out = np.array([[lut2[r // 3, 0, idx[r, c], 0] for c in range(2)] for r in range(6)])
constexpr_case("constexpr lut groups", "constexpr_lut_to_dense", out, indices=f"tensor<uint2, [6, 2]>({idx.tolist()})", lut=literal(lut2))
idx = np.array([[[0, 0], [1, 0]], [[1, 1], [0, 0]]])
vectors = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).reshape(1, 1, 1, 2, 3)
out = np.array([[[vectors[0, 0, 0, idx[i, j // 3, k], j % 3] for k in range(2)] for j in range(6)] for i in range(2)])
constexpr_case("constexpr lut vectors", "constexpr_lut_to_dense", out, indices=f"tensor<uint1, [2, 2, 2]>({idx.tolist()})", lut=literal(vectors),
               vector_axis="int32(1)")
data = rng.integers(0, 15, (4, 6))
scale, offset = positive(2, 3), rng.integers(0, 15, (2, 3))
out = (data - offset.repeat(2, 0).repeat(2, 1)) * scale.repeat(2, 0).repeat(2, 1)
constexpr_case("constexpr blockwise", "constexpr_blockwise_shift_scale", out, data=f"tensor<uint4, [4, 6]>({data.tolist()})", scale=literal(scale),
               offset=f"tensor<uint4, [2, 3]>({offset.tolist()})")
constexpr_case("constexpr blockwise int4", "constexpr_blockwise_shift_scale", (data - 8) * scale.repeat(2, 0).repeat(2, 1),
               data=f"tensor<int4, [4, 6]>({(data - 8).tolist()})", scale=literal(scale))

# -- causal attention and its gradient: query [B, K, R, E, S], key and value [B, K, 1, E, S]
q, k, v, d = (torch.from_numpy(normal(2, 2, r, 3, 5)).requires_grad_() for r in (2, 1, 1, 2))
scores = 0.6 * q.transpose(3, 4) @ k + torch.triu(torch.full((5, 5), -torch.inf, dtype=torch.float64), 1)
y = v @ torch.softmax(scores, -1).transpose(3, 4)
statistics = torch.logsumexp(scores, -1, keepdim=True).transpose(3, 4)
inputs = {"query": q.detach().numpy(), "key": k.detach().numpy(), "value": v.detach().numpy()}
y.backward(d)
case("causal attention", "causal_attention", inputs, [y.detach().numpy(), statistics.detach().numpy()], scale=0.6)
case("causal attention gradient", "causal_attention_gradient",
     inputs | {"result": y.detach().numpy(), "statistics": statistics.detach().numpy(), "d_result": d.detach().numpy()},
     [q.grad.numpy(), k.grad.numpy(), v.grad.numpy()], scale=0.6)

# -- cached attention: the same behind `length` positions of caches [1, K, T, E]
q, k, v = (torch.from_numpy(normal(1, 2, r, 3, 4)) for r in (2, 1, 1))
caches, length = [torch.from_numpy(normal(1, 2, 6, 3)) for _ in range(2)], 5
keys, values = (torch.cat([c[:, :, None, :length].transpose(3, 4), x], -1) for c, x in zip(caches, (k, v)))
hidden = torch.triu(torch.full((4, length + 4), -torch.inf, dtype=torch.float64), length + 1)
y = values @ torch.softmax(0.6 * q.transpose(3, 4) @ keys + hidden, -1).transpose(3, 4)
case("cached attention", "cached_attention",
     {"query": q.numpy(), "key": k.numpy(), "value": v.numpy(), "key_cache": caches[0].numpy(),
      "value_cache": caches[1].numpy(), "length": np.array([length], np.int32)}, y.numpy(), scale=0.6)

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "mil_ops.json")
with open(path, "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
print(len(cases), "cases,", os.path.getsize(path), "bytes")
