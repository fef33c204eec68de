"""Makes a model folder of a published shape with invented weights: mlx_models.py qwen3-8b-4 FOLDER.

Names are SHAPE-BITS: qwen3-0.6b or qwen3-8b, then 4, 8 (MLX affine, groups of 64) or bf16. The numbers are random
and of a trained matrix's size; the same name gives the same numbers.
"""

import json
import pathlib
import sys

import mlx.core as mx

SHAPES = {
    "qwen3-0.6b": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16,
                   "num_key_value_heads": 8, "tie_word_embeddings": True},
    "qwen3-8b": {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32,
                 "num_key_value_heads": 8, "tie_word_embeddings": False},
}
COMMON = {"model_type": "qwen3", "head_dim": 128, "vocab_size": 151936, "max_position_embeddings": 40960,
          "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "torch_dtype": "bfloat16", "hidden_act": "silu"}


def main(name: str, folder: pathlib.Path) -> None:
    shape, _, bits = name.rpartition("-")
    config = COMMON | SHAPES[shape]
    bits = None if bits == "bf16" else int(bits)
    if bits:
        config["quantization"] = {"group_size": 64, "bits": bits}
    folder.mkdir(parents=True, exist_ok=True)
    mx.random.seed(0)
    tensors = {}

    def matrix(name: str, rows: int, columns: int) -> None:
        values = (mx.random.normal((rows, columns)) * columns**-0.5).astype(mx.bfloat16)
        if bits:
            parts = mx.quantize(values, group_size=64, bits=bits)
            for suffix, part in zip(("weight", "scales", "biases"), parts):
                tensors[f"{name}.{suffix}"] = part
        else:
            tensors[f"{name}.weight"] = values
        mx.eval([tensors[key] for key in tensors if key.startswith(name)])

    def norm(name: str, size: int) -> None:
        tensors[f"{name}.weight"] = mx.ones((size,), dtype=mx.bfloat16)

    hidden, wide = config["hidden_size"], config["intermediate_size"]
    queries, keys = config["num_attention_heads"] * 128, config["num_key_value_heads"] * 128
    matrix("model.embed_tokens", config["vocab_size"], hidden)
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        for part, size in (("input_layernorm", hidden), ("post_attention_layernorm", hidden),
                           ("self_attn.q_norm", 128), ("self_attn.k_norm", 128)):
            norm(f"{at}.{part}", size)
        for part, rows, columns in (("self_attn.q_proj", queries, hidden), ("self_attn.k_proj", keys, hidden),
                                    ("self_attn.v_proj", keys, hidden), ("self_attn.o_proj", hidden, queries),
                                    ("mlp.gate_proj", wide, hidden), ("mlp.up_proj", wide, hidden),
                                    ("mlp.down_proj", hidden, wide)):
            matrix(f"{at}.{part}", rows, columns)
    norm("model.norm", hidden)
    if not config["tie_word_embeddings"]:
        matrix("lm_head", config["vocab_size"], hidden)
    mx.save_safetensors(str(folder / "model.safetensors"), tensors, {"format": "mlx"})
    (folder / "config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
