"""The exported layout: quantisation, safetensors, and the folder that ships."""

import json
import pathlib

import numpy as np
import pytest

import export

HERE = pathlib.Path(__file__).resolve().parent.parent
SHIPPED = HERE.parent.parent / "models" / "atoll-demo"


def test_bf16_rounds_to_nearest_even():
    x = np.array([1.0, 1.00390625, 1.01171875, -2.5, 0.0], np.float32)
    assert export.from_bf16(export.to_bf16(x)).tolist() == [1.0, 1.0, 1.015625, -2.5, 0.0]


@pytest.mark.parametrize("seed", range(5))
def test_quantisation_error_is_within_a_step(seed):
    rng = np.random.default_rng(seed)
    w = rng.normal(0, 0.1, (24, 192)).astype(np.float32)
    packed, scales, biases = export.quantize(w)
    assert packed.shape == (24, 48) and scales.shape == biases.shape == (24, 3)
    back = export.dequantize(packed, scales, biases)
    step = np.abs(export.from_bf16(scales)).repeat(64, 1)
    # Half a step for the code, and what rounding the ends of the range to bf16 can cost.
    assert (np.abs(back - w) <= 0.5 * step + 0.012 * np.abs(w).max()).all()
    assert np.abs(back - w).mean() < 2e-3


def test_constant_groups_survive():
    w = np.zeros((2, 64), np.float32)
    assert np.abs(export.dequantize(*export.quantize(w))).max() < 1e-6
    w[1] = 0.5
    assert np.abs(export.dequantize(*export.quantize(w))[1] - 0.5).max() < 0.01


def test_safetensors_round_trip(tmp_path):
    a = np.arange(6, dtype=np.float32).reshape(2, 3)
    export.write_safetensors(tmp_path / "x.safetensors", {"a": ("F32", a), "b": ("BF16", export.to_bf16(a))})
    back = export.read_safetensors(tmp_path / "x.safetensors")
    assert back["a"].tolist() == back["b"].tolist() == a.tolist()


def test_random_export_has_every_tensor(tmp_path):
    config = dict(export.CONFIG, vocab_size=6144)
    export.export(export.random_weights(config, 1), HERE / "tokenizer", tmp_path)
    written = export.read_safetensors(tmp_path / "model.safetensors")
    for name, shape in export.shapes(config).items():
        if len(shape) == 1:
            assert written[name].shape == shape
        else:
            stem = name.removesuffix(".weight")
            assert written[name].shape == (shape[0], shape[1] // 4)
            assert written[stem + ".scales"].shape == written[stem + ".biases"].shape == (shape[0], shape[1] // 64)


def test_the_shipped_folder_is_whole():
    config = json.loads((SHIPPED / "config.json").read_text())
    tokens = json.loads((SHIPPED / "tokenizer.json").read_text())
    ids = {a["content"]: a["id"] for a in tokens["added_tokens"]}
    assert config["vocab_size"] == len(tokens["model"]["vocab"]) + len(ids)
    assert config["eos_token_id"] == ids["<|im_end|>"]
    assert config["quantization"] == config["quantization_config"] == {"group_size": 64, "bits": 8}
    assert (SHIPPED / "chat_template.jinja").read_text() == (HERE / "chat_template.jinja").read_text()
    assert (SHIPPED / "tokenizer.json").read_text() == (HERE / "tokenizer" / "tokenizer.json").read_text()
    assert sum(f.stat().st_size for f in SHIPPED.iterdir()) <= 16_000_000
    stored = export.read_safetensors(SHIPPED / "model.safetensors")
    for name, shape in export.shapes(config).items():
        assert name in stored
        if len(shape) == 2:
            assert np.isfinite(stored[name.removesuffix(".weight") + ".scales"]).all()
