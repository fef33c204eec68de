//! Logits and greedy continuations against mlx-lm (`tests/fixtures/models/generate.py`).

use crate::Rig;
use crate::support::{draw, folder, open, relative_error, row};
use serde_json::Value;

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

/// Compares one model with the reference: every logit within the rig's tolerance of the largest, and the same
/// greedy tokens up to the first near-tie that the tolerance cannot decide.
pub fn check<R: Rig>(rig: &R, model: &str) {
    let golden = golden(model);
    let tolerance = rig.tolerance(model.contains("-q"));
    let executor = &mut rig.load(model);
    let blocks: Vec<u32> = (0..8).map(|i| 63 - i * 3).collect();
    let prompt = &golden.prompt;
    open(executor, 1, prompt);
    let whole = row(1, 0, prompt, &blocks, prompt.len());
    let all = rig.logits(executor, &whole).unwrap();
    let vocab = all.len() / prompt.len();
    let mut scale = 0.0_f32;
    for (&position, expected) in golden.positions.iter().zip(&golden.logits) {
        let actual = &all[position * vocab..(position + 1) * vocab];
        let error = relative_error(actual, expected);
        assert!(error <= tolerance, "{model} at {position}: {error}");
        scale = expected.iter().fold(scale, |m, x| m.max(x.abs()));
    }

    // Greedy, one token at a time, up to the first near-tie that the tolerance cannot decide.
    let mut next = draw(executor, row(1, 0, prompt, &blocks, 1));
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
        next = draw(executor, row(1, prompt.len() + i, &[next], &blocks, 1));
    }
    assert!(
        compared >= 8,
        "{model}: only {compared} tokens were comparable"
    );
}
