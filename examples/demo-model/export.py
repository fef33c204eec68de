"""Write a Hugging Face folder in MLX's 8-bit affine layout from a trained (or random) checkpoint.

    python export.py --checkpoint checkpoint.safetensors --tokenizer tokenizer --out ../../models/atoll-demo
    python export.py --random 7 --tokenizer tokenizer --out /some/folder

Needs numpy only. MLX's affine quantisation, per group of 64 along the input: `w ~ scale * q + bias` with `q` in
0..255, four of them to a little-endian uint32.
"""

import argparse
import json
import pathlib
import shutil
import struct

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
GROUP, BITS = 64, 8

CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "attention_bias": False,
    "attention_dropout": 0.0,
    "head_dim": 64,
    "hidden_act": "silu",
    "hidden_size": 320,
    "initializer_range": 0.02,
    "intermediate_size": 768,
    "max_position_embeddings": 4096,
    "num_attention_heads": 8,
    "num_hidden_layers": 10,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 100000.0,
    "sliding_window": None,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": 6144,
}


def to_bf16(x):
    """float32 -> bfloat16 bits as uint16, rounded to nearest even."""
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(bits):
    """bfloat16 bits -> float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def quantize(w):
    """`[out, in]` float32 -> packed uint32 `[out, in/4]`, scales and biases (bf16 bits) `[out, in/64]`.

    Follows MLX: the end of the range with the larger magnitude is represented exactly at a step of the scale, so
    that zero is too. The codes are chosen against the rounded scale and bias that a reader will use.
    """
    out, width = w.shape
    g = w.reshape(out, width // GROUP, GROUP).astype(np.float32)
    lo, hi = g.min(-1), g.max(-1)
    steps = np.float32(2**BITS - 1)
    scale = np.maximum((hi - lo) / steps, 1e-7)
    left = np.abs(lo) > np.abs(hi)
    scale = np.where(left, scale, -scale)
    edge = np.where(left, lo, hi)
    q0 = np.round(edge / scale)
    scale = np.where(q0 != 0, edge / np.where(q0 == 0, 1, q0), scale)
    bias = np.where(q0 == 0, 0, edge)
    sb, bb = to_bf16(scale), to_bf16(bias)
    s, b = from_bf16(sb)[..., None], from_bf16(bb)[..., None]
    q = np.clip(np.round((g - b) / s), 0, steps).astype(np.uint8).reshape(out, width)
    return np.ascontiguousarray(q).view("<u4"), sb, bb


def dequantize(packed, sb, bb):
    """Inverse of `quantize`, float32."""
    q = np.ascontiguousarray(packed).view(np.uint8).reshape(sb.shape[0], sb.shape[1], GROUP).astype(np.float32)
    return (q * from_bf16(sb)[..., None] + from_bf16(bb)[..., None]).reshape(sb.shape[0], -1)


def write_safetensors(path, tensors):
    """`tensors`: name -> (dtype name, array). Sorted by name, header padded to 8 bytes."""
    header, offset = {"__metadata__": {"format": "mlx"}}, 0
    for name in sorted(tensors):
        dtype, array = tensors[name]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head)
        for name in sorted(tensors):
            f.write(np.ascontiguousarray(tensors[name][1]).tobytes())


def read_safetensors(path):
    """name -> float32 array, or uint32 for packed weights."""
    raw = pathlib.Path(path).read_bytes()
    n = struct.unpack("<Q", raw[:8])[0]
    out = {}
    for name, info in json.loads(raw[8 : 8 + n]).items():
        if name == "__metadata__":
            continue
        a, b = info["data_offsets"]
        data = raw[8 + n + a : 8 + n + b]
        kind = {"BF16": np.uint16, "F32": np.float32, "U32": np.uint32, "F16": np.float16}[info["dtype"]]
        array = np.frombuffer(data, kind).reshape(info["shape"])
        out[name] = from_bf16(array) if info["dtype"] == "BF16" else array
    return out


def shapes(c):
    """Tensor name -> shape, in the checkpoint's own names."""
    h, hd, i = c["hidden_size"], c["head_dim"], c["intermediate_size"]
    q, kv = c["num_attention_heads"] * hd, c["num_key_value_heads"] * hd
    out = {"model.embed_tokens.weight": (c["vocab_size"], h), "model.norm.weight": (h,)}
    for layer in range(c["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        out |= {
            p + "input_layernorm.weight": (h,),
            p + "post_attention_layernorm.weight": (h,),
            p + "self_attn.q_norm.weight": (hd,),
            p + "self_attn.k_norm.weight": (hd,),
            p + "self_attn.q_proj.weight": (q, h),
            p + "self_attn.k_proj.weight": (kv, h),
            p + "self_attn.v_proj.weight": (kv, h),
            p + "self_attn.o_proj.weight": (h, q),
            p + "mlp.gate_proj.weight": (i, h),
            p + "mlp.up_proj.weight": (i, h),
            p + "mlp.down_proj.weight": (h, i),
        }
    return out


def random_weights(c, seed):
    """Weights of the right shapes and nothing more, for tests that need no sense."""
    rng = np.random.default_rng(seed)
    return {
        name: np.ones(shape, np.float32)
        if len(shape) == 1
        else rng.normal(0, shape[1] ** -0.5, shape).astype(np.float32)
        for name, shape in shapes(c).items()
    }


def export(weights, tokenizer, out, card=None):
    """Writes the folder; `weights` are float32 in the names of `shapes`."""
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tokens = json.loads((pathlib.Path(tokenizer) / "tokenizer.json").read_text())
    ids = {a["content"]: a["id"] for a in tokens["added_tokens"]}
    size = len(tokens["model"]["vocab"]) + len(ids)
    quantization = {"group_size": GROUP, "bits": BITS}
    config = dict(
        CONFIG,
        vocab_size=size,
        bos_token_id=None,
        eos_token_id=ids["<|im_end|>"],
        pad_token_id=ids["<|endoftext|>"],
        quantization=quantization,
        quantization_config=quantization,
    )
    tensors = {}
    for name, shape in shapes(config).items():
        w = weights[name]
        if w.shape != shape:
            raise ValueError(f"{name}: {w.shape} instead of {shape}")
        if w.ndim == 1:
            tensors[name] = ("BF16", to_bf16(w))
        else:
            packed, sb, bb = quantize(w)
            stem = name.removesuffix(".weight")
            tensors[name] = ("U32", packed)
            tensors[stem + ".scales"] = ("BF16", sb)
            tensors[stem + ".biases"] = ("BF16", bb)
    write_safetensors(out / "model.safetensors", tensors)
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    generation = {
        "do_sample": True,
        "temperature": 0.5,
        "top_k": 20,
        "top_p": 0.9,
        "eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]],
        "pad_token_id": ids["<|endoftext|>"],
    }
    (out / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(pathlib.Path(tokenizer) / name, out / name)
    shutil.copyfile(HERE / "chat_template.jinja", out / "chat_template.jinja")
    if card:
        shutil.copyfile(card, out / "README.md")
    total = sum(f.stat().st_size for f in out.iterdir())
    print(f"{out}: {sum(int(np.prod(s)) for s in shapes(config).values()):,} parameters, {total:,} bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", nargs="*", help="safetensors files (bf16 or f32), together the whole model")
    parser.add_argument("--random", type=int, metavar="SEED", help="random weights instead")
    parser.add_argument("--tokenizer", default=str(HERE / "tokenizer"))
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    tokens = json.loads((pathlib.Path(args.tokenizer) / "tokenizer.json").read_text())
    config = dict(CONFIG, vocab_size=len(tokens["model"]["vocab"]) + len(tokens["added_tokens"]))
    if args.random is not None:
        weights = random_weights(config, args.random)
    else:
        weights = {k: v for f in args.checkpoint for k, v in read_safetensors(f).items()}
    export(weights, args.tokenizer, args.out)


if __name__ == "__main__":
    main()
