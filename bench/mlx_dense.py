"""Makes a folder of the same model without quantisation, in f32: mlx_dense.py FOLDER TO.

What it computes is what the quantised one does, so that executors can be compared where no product is rounded to
bfloat16 or TF32 (with MLX_ENABLE_TF32=0). MLX's affine quantisation only.
"""

import json
import pathlib
import shutil
import sys

import mlx.core as mx


def main(folder: pathlib.Path, to: pathlib.Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    packed = config.pop("quantization")
    config.pop("quantization_config", None)
    shutil.copytree(folder, to)
    tensors = mx.load(str(folder / "model.safetensors"))
    dense = {}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        if f"{layer}.scales" not in tensors:
            dense[name] = tensor.astype(mx.float32)
        elif kind == "weight":
            scales, biases = (tensors[f"{layer}.{part}"].astype(mx.float32) for part in ("scales", "biases"))
            dense[name] = mx.dequantize(tensor, scales, biases, group_size=packed["group_size"], bits=packed["bits"])
    mx.save_safetensors(str(to / "model.safetensors"), dense, {"format": "mlx"})
    (to / "config.json").write_text(json.dumps(config | {"torch_dtype": "float32"}))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
