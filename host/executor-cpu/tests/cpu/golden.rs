//! Logits and greedy continuations against mlx-lm (`tests/fixtures/models/generate.py`).
//!
//! Dense weights are multiplied in `f32` as the reference does. Quantised models are compared with
//! the exactly dequantised one, so their bound holds what the kernels' 16-bit activations add: half
//! a step of 1/32767 of the group's largest value per activation, about 1e-5 of a product, carried
//! through 14 to 21 products and the tiny models' steep random layers. The format's own rounding is
//! some 1e-2 (4 bits) and 1e-3 (8 bits).

use crate::support::{MODELS, draw, folder, load, open, options, relative_error, row};
use atoll_executor_cpu::{CpuExecutor, CpuOptions};
use serde_json::Value;

const DENSE_TOLERANCE: f32 = 1e-4;
const QUANTIZED_TOLERANCE: f32 = 3e-4;

struct Golden {
    prompt: Vec<u32>,
    positions: Vec<usize>,
    logits: Vec<Vec<f32>>,
    greedy: Vec<u32>,
    margins: Vec<f32>,
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|x| x.as_f64().unwrap()).collect()
}

fn golden(model: &str) -> Golden {
    let text = std::fs::read_to_string(folder(model).join("golden.json")).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let ids = |name| numbers(&json[name]).into_iter().map(|x| x as u32).collect();
    let floats = |value| numbers(value).into_iter().map(|x| x as f32).collect();
    Golden {
        prompt: ids("prompt"),
        positions: numbers(&json["positions"])
            .into_iter()
            .map(|x| x as usize)
            .collect(),
        logits: json["logits"]
            .as_array()
            .unwrap()
            .iter()
            .map(floats)
            .collect(),
        greedy: ids("greedy"),
        margins: floats(&json["margins"]),
    }
}

fn check(model: &str, options: &CpuOptions) {
    let golden = golden(model);
    let tolerance = if model.contains("-q") {
        QUANTIZED_TOLERANCE
    } else {
        DENSE_TOLERANCE
    };
    let mut executor = load(model, options);
    let blocks: Vec<u32> = (0..8).map(|i| 63 - i * 3).collect();
    let prompt = &golden.prompt;
    open(&mut executor, 1, prompt);
    let all = executor
        .logits(&row(1, 0, prompt, &blocks, prompt.len()))
        .unwrap();
    let vocab = all.len() / prompt.len();
    let mut scale = 0.0_f32;
    for (&position, expected) in golden.positions.iter().zip(&golden.logits) {
        let actual = &all[position * vocab..(position + 1) * vocab];
        let error = relative_error(actual, expected);
        assert!(error <= tolerance, "{model} at {position}: {error}");
        scale = expected.iter().fold(scale, |m, x| m.max(x.abs()));
    }

    // Greedy, one token at a time, up to the first near-tie that the tolerance cannot decide.
    let mut next = draw(&mut executor, row(1, 0, prompt, &blocks, 1));
    let mut compared = 0;
    for (i, (&expected, margin)) in golden.greedy.iter().zip(&golden.margins).enumerate() {
        if next != expected {
            let undecidable = 2.0 * tolerance * scale;
            assert!(
                *margin < undecidable,
                "{model}: token {i} is {next}, not {expected}"
            );
            break;
        }
        compared += 1;
        next = draw(&mut executor, row(1, prompt.len() + i, &[next], &blocks, 1));
    }
    assert!(
        compared >= 8,
        "{model}: only {compared} tokens were comparable"
    );
}

#[test]
fn every_instruction_set_of_this_machine_matches_the_reference() {
    let names = CpuExecutor::kernel_names();
    assert_eq!(names.last(), Some(&"portable"));
    for kernels in names {
        let options = CpuOptions {
            kernels: Some(kernels.to_owned()),
            ..options()
        };
        for model in MODELS {
            check(model, &options);
        }
    }
}
