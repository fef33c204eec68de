//! `docs/models.md` says what the code does: it is made here, and this test fails when it is not current.
//!
//! `ATOLL_WRITE_DOCS=1 cargo test -p atoll-executor-tests --test models_doc` writes it.
#![expect(clippy::unwrap_used, reason = "a broken fixture should stop the test")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use atoll_engine::model::{FAMILIES, MlpSpec, ModelSpec, Quantization};
use atoll_executor_mlx::Backend;
use atoll_executor_tests::support::{MODELS, opened};

fn page() -> String {
    let mut page = "\
# Models

Made from the code by `ATOLL_WRITE_DOCS=1 cargo test -p atoll-executor-tests --test models_doc`; a test checks that it is current.

A model is a folder in the Hugging Face layout: `config.json`, `*.safetensors`, `tokenizer.json`. The same folder runs on every
executor.

## Families

| `model_type` | models | golden fixtures |
|---|---|---|
"
    .to_owned();
    let specs: Vec<(&str, ModelSpec)> = MODELS.iter().map(|&m| (m, opened(m).0)).collect();
    for family in &FAMILIES {
        let fixtures: Vec<String> = specs
            .iter()
            .filter(|(_, spec)| spec.family == family.model_type)
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        assert!(!fixtures.is_empty(), "{} has no fixture", family.model_type);
        writeln!(
            page,
            "| `{}` | {} | {} |",
            family.model_type,
            family.models,
            fixtures.join(", ")
        )
        .unwrap();
    }
    page += "
## Weights

| stored as | CPU executor | MLX executor | golden fixtures |
|---|---|---|---|
";
    let mut rows = vec![
        ("f32".to_owned(), "as stored", "as stored"),
        ("f16".to_owned(), "as stored", "as stored"),
        ("bf16".to_owned(), "as stored", "as stored"),
    ];
    for bits in Quantization::BITS {
        let cpu = match bits {
            4 | 8 => "as stored",
            2 | 3 => "widened to 4 bits when loaded: the same numbers",
            _ => "widened to 8 bits when loaded: the same numbers",
        };
        rows.push((format!("MLX affine, {bits} bits"), cpu, "as stored"));
    }
    for (format, cpu, mlx) in rows {
        let with: Vec<String> = specs
            .iter()
            .filter(|(name, _)| formats(name).contains(&format))
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        assert!(!with.is_empty(), "{format} has no fixture");
        writeln!(page, "| {format} | {cpu} | {mlx} | {} |", with.join(", ")).unwrap();
    }
    let groups: Vec<String> = Quantization::GROUP_SIZES
        .iter()
        .map(usize::to_string)
        .collect();
    writeln!(
        page,
        "
Groups of {} values. A weight may have settings of its own in `quantization` of `config.json`, or none. Other quantisations
(GPTQ, AWQ, mxfp4, GGUF) are refused with a word on what to use instead. Where MLX computes on a CPU it converts everything
that is not packed to f32.

## Executors

| executor | where | tested |
|---|---|---|
| `cpu` | every machine: AVX2, AVX-512 VNNI, NEON, portable | the suite, on every instruction set of the machine |
| `{}` | Apple silicon | not yet: no such machine has run the suite |
| `{}` | Linux with an NVIDIA GPU, built with the feature `mlx` | by hand: the suite ([how](../bench/mlx.md)) |
| `{}` | Linux, built with the feature `mlx`: for tests, not vectorised | the suite |

## Tested how

The suite (`host/executor-tests`) is the same for every executor. Each fixture above is a tiny model with random weights from a
fixed seed; mlx-lm computes its logits in float32 from the very numbers in the checkpoint (`tests/fixtures/models/generate.py`),
and an executor must match every logit and the greedy continuation. Then: a skipped prefix, a fork, a truncation, a preempted
sequence, neighbours and chunks, ranges of layers in a row, pooled states, hostile rows, folders changed at random.
{} of the {} fixtures have experts.",
        groups.join(", "),
        Backend::Metal.executor_name(),
        Backend::Cuda.executor_name(),
        Backend::Cpu.executor_name(),
        specs.iter().filter(|(_, spec)| has_experts(spec)).count(),
        specs.len(),
    )
    .unwrap();
    page
}

fn has_experts(spec: &ModelSpec) -> bool {
    let experts = |mlp: &MlpSpec| matches!(mlp, MlpSpec::Moe(_));
    spec.layers.iter().any(|layer| experts(&layer.mlp))
}

/// How a fixture's weights are stored.
fn formats(model: &str) -> BTreeSet<String> {
    let (spec, checkpoint) = opened(model);
    let layers = spec.layers.iter().flat_map(|layer| layer.weights());
    let all = layers.chain([&spec.embedding]).chain(&spec.head);
    all.map(|weight| match weight.quantization {
        Some(quantization) => format!("MLX affine, {} bits", quantization.bits),
        None => {
            let entry = checkpoint.get(&format!("{}.weight", weight.name)).unwrap();
            entry.dtype.to_string().to_lowercase()
        }
    })
    .collect()
}

#[test]
fn the_page_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/models.md");
    let page = page();
    if std::env::var_os("ATOLL_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    if written != page {
        panic!("docs/models.md is not current; the first lines of this file say how to write it");
    }
}
