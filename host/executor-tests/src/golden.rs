//! Logits and greedy continuations against mlx-lm (`tests/fixtures/models/generate.py`).

use crate::Rig;
use crate::support::{MODELS, draw, folder, open, relative_error, row};
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

/// Compares every fixture with the reference, and names all that are not as they should be.
pub fn check_all(rig: &impl Rig) {
    let wrong: Vec<String> = MODELS
        .iter()
        .filter_map(|model| check(rig, model).err())
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("; "));
}

/// Compares one model with the reference: every logit within the rig's tolerance of the largest, and the same
/// greedy tokens up to the first near-tie that the tolerance cannot decide.
fn check<R: Rig>(rig: &R, model: &str) -> Result<(), String> {
    let golden = golden(model);
    let tolerance = rig.tolerance(model);
    let executor = &mut rig.load(model);
    let blocks: Vec<u32> = (0..8).map(|i| 63 - i * 3).collect();
    let prompt = &golden.prompt;
    open(executor, 1, prompt);
    let whole = row(1, 0, prompt, &blocks, prompt.len());
    let all = rig.logits(executor, &whole).unwrap();
    let vocab = all.len() / prompt.len();
    let (mut scale, mut error) = (0.0_f32, 0.0_f32);
    for (&position, expected) in golden.positions.iter().zip(&golden.logits) {
        let actual = &all[position * vocab..(position + 1) * vocab];
        if !actual.iter().all(|logit| logit.is_finite()) {
            return Err(format!("{model}: logits are not finite"));
        }
        error = error.max(relative_error(actual, expected));
        scale = expected.iter().fold(scale, |m, x| m.max(x.abs()));
    }
    if error > tolerance {
        return Err(format!("{model}: logits are off by {error}"));
    }

    // Greedy, one token at a time, up to the first near-tie that the tolerance cannot decide.
    let mut next = draw(executor, row(1, 0, prompt, &blocks, 1));
    let mut compared = 0;
    for (i, (&expected, margin)) in golden.greedy.iter().zip(&golden.margins).enumerate() {
        if next != expected {
            let undecidable = 2.0 * tolerance * scale;
            if *margin >= undecidable {
                return Err(format!("{model}: token {i} is {next}, not {expected}"));
            }
            break;
        }
        compared += 1;
        next = draw(executor, row(1, prompt.len() + i, &[next], &blocks, 1));
    }
    // Half precision decides few tokens of random weights.
    if compared < 8 && tolerance < 1e-3 {
        return Err(format!("{model}: only {compared} tokens were comparable"));
    }
    Ok(())
}
