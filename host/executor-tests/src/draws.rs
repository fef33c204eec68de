//! Drawn tokens are those of the engine's sampler, wherever they are drawn and whatever is beside them.

use atoll_engine::executor::TokenId;
use atoll_engine::sampling::{History, SamplingParams, sample};
use std::sync::Arc;

use crate::Rig;
use crate::precision::{decide, decide_all};
use crate::support::{greedy, open_with, results, row};

/// Ways to draw: each of the sampler's steps alone, together, and at the ends of its range; penalties and bias;
/// then what is more than a token.
pub fn ways() -> Vec<SamplingParams> {
    let plain = SamplingParams::default();
    let with = |change: &dyn Fn(&mut SamplingParams)| {
        let mut way = plain.clone();
        change(&mut way);
        way
    };
    vec![
        plain.clone(),
        (*greedy()).clone(),
        with(&|way| way.temperature = 0.3),
        with(&|way| way.temperature = 100.0),
        with(&|way| way.top_k = Some(1)),
        with(&|way| way.top_k = Some(7)),
        with(&|way| way.top_k = Some(100_000)),
        with(&|way| way.top_p = 0.9),
        with(&|way| way.top_p = 1e-6),
        with(&|way| way.min_p = 0.2),
        with(&|way| way.min_p = 1.0),
        with(&|way| {
            way.temperature = 0.7;
            way.top_k = Some(40);
            way.top_p = 0.8;
            way.min_p = 0.05;
        }),
        with(&|way| way.repetition_penalty = 1.5),
        with(&|way| {
            way.temperature = 0.0;
            way.repetition_penalty = 1.3;
            way.repeat_last_n = Some(4);
        }),
        with(&|way| {
            way.temperature = 0.0;
            way.presence_penalty = 1.5;
            way.frequency_penalty = 0.5;
        }),
        with(&|way| {
            way.repetition_penalty = 0.5;
            way.frequency_penalty = -2.0;
            way.logit_bias = vec![(0, 1.0), (17, -3.0), (250, 2.5)];
            way.top_p = 0.9;
        }),
        with(&|way| way.logit_bias = vec![(3, 5.0), (9, f32::NEG_INFINITY)]),
        with(&|way| way.logprobs = Some(2)),
    ]
}

fn prompt(len: usize, salt: usize) -> Vec<TokenId> {
    (0..len)
        .map(|i| ((i * i * 17 + i * salt + salt * 3) % 259) as TokenId)
        .collect()
}

/// A seed draws what the sampler draws from the same logits.
pub fn a_seed_draws_what_the_sampler_draws_from_the_same_logits<R: Rig>(rig: &R) {
    for model in ["llama-f32-tied", "qwen3-q4-g32"] {
        let executor = &mut rig.load(model);
        let ways = ways();
        for round in 0..12 {
            let prompt = prompt(5 + round, round + 1);
            let mut rows = Vec::new();
            let mut expected = Vec::new();
            for (place, way) in ways.iter().enumerate() {
                let id = (round * ways.len() + place) as u64;
                let sampling = Arc::new(SamplingParams {
                    seed: id * 7,
                    ..way.clone()
                });
                open_with(executor, id, &prompt, Arc::clone(&sampling));
                // The last positions of a row at once: each has its own number.
                let row = row(id, 0, &prompt, &[2 * place as u32, 2 * place as u32 + 1], 3);
                let logits = rig.logits(executor, &row).unwrap();
                let vocabulary = logits.len() / 3;
                for (back, logits) in logits.chunks(vocabulary).enumerate() {
                    let known = prompt.len() - 2 + back;
                    let history = History {
                        prompt_len: known,
                        tokens: prompt[..known].to_vec(),
                    };
                    let drawn = sample(&mut logits.to_vec(), &sampling, &history, known, None);
                    expected.push((known, Arc::clone(&sampling), drawn.unwrap().token));
                }
                rows.push(row);
            }
            let drawn = results(executor, rows).into_iter().flat_map(Result::unwrap);
            let drawn: Vec<TokenId> = drawn.map(|drawn| drawn.token).collect();
            assert_eq!(drawn.len(), expected.len());
            for (drawn, (known, sampling, expected)) in drawn.into_iter().zip(expected) {
                let history = (&prompt[..known], known);
                decide(rig, model, history, &sampling, (drawn, expected));
            }
        }
    }
}

/// Neighbours change no draw.
pub fn neighbours_change_no_draw<R: Rig>(rig: &R) {
    const STEPS: usize = 8;
    let model = "llama-f32-tied";
    let ways: Vec<Arc<SamplingParams>> = ways().into_iter().map(Arc::new).collect();
    let blocks = |place: usize| -> Vec<u32> { (0..3).map(|b| (place * 3 + b) as u32).collect() };
    // So many sequences at once, those of `places`, each for itself.
    let run = |places: &[usize]| -> Vec<Vec<TokenId>> {
        let executor = &mut rig.load(model);
        let mut said: Vec<Vec<TokenId>> = vec![Vec::new(); places.len()];
        for &place in places {
            let prompt = prompt(3 + place, place);
            open_with(executor, place as u64, &prompt, Arc::clone(&ways[place]));
        }
        for _ in 0..STEPS {
            let rows = places.iter().zip(&said).map(|(&place, said)| {
                let prompt = prompt(3 + place, place);
                let (start, tokens) = match said.last() {
                    None => (0, prompt),
                    Some(&last) => (prompt.len() + said.len() - 1, vec![last]),
                };
                row(place as u64, start, &tokens, &blocks(place), 1)
            });
            let drawn = results(executor, rows.collect());
            for (said, drawn) in said.iter_mut().zip(drawn) {
                said.push(drawn.unwrap()[0].token);
            }
        }
        said
    };
    let all: Vec<usize> = (0..ways.len()).collect();
    let together = run(&all);
    for (place, together) in together.iter().enumerate() {
        let alone = &run(&[place])[0];
        let prompt = prompt(3 + place, place);
        decide_all(rig, model, &prompt, &ways[place], alone, together);
    }
}

/// Many seeds draw every token as often as the model says.
pub fn many_seeds_draw_every_token_as_often_as_the_model_says<R: Rig>(rig: &R) {
    const ROWS: u64 = 50;
    const ROUNDS: u64 = 20;
    let executor = &mut rig.load("llama-f32-tied");
    let prompt = prompt(6, 4);
    for top_k in [None, Some(20)] {
        let way = SamplingParams {
            temperature: 0.6,
            top_k,
            ..SamplingParams::default()
        };
        let base = u64::from(top_k.unwrap_or(0)) * 1_000_000;
        open_with(executor, base, &prompt, Arc::new(way.clone()));
        let logits = rig
            .logits(executor, &row(base, 0, &prompt, &[0], 1))
            .unwrap();
        let mut order: Vec<usize> = (0..logits.len()).collect();
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then(a.cmp(&b)));
        order.truncate(top_k.map_or(usize::MAX, |count| count as usize));
        let weight = |&token: &usize| {
            let below = f64::from(logits[token] - logits[order[0]]);
            (below / f64::from(way.temperature)).exp()
        };
        let total: f64 = order.iter().map(weight).sum();

        let mut counts = vec![0_u32; logits.len()];
        for round in 0..ROUNDS {
            let ids = (0..ROWS).map(|place| (base + 1 + round * ROWS + place, place as u32));
            let mut rows = Vec::new();
            for (id, block) in ids {
                let sampling = Arc::new(SamplingParams {
                    seed: id,
                    ..way.clone()
                });
                open_with(executor, id, &prompt, sampling);
                rows.push(row(id, 0, &prompt, &[block], 1));
            }
            for drawn in results(executor, rows) {
                counts[drawn.unwrap()[0].token as usize] += 1;
            }
        }
        let draws = (ROWS * ROUNDS) as f64;
        // Six standard deviations, of the twelve likeliest and of twelve groups that hold all.
        let near = |count: u32, share: f64, what: &str| {
            let expected = draws * share;
            let deviation = (expected * (1.0 - share)).sqrt();
            let off = (f64::from(count) - expected).abs();
            assert!(
                off <= 6.0 * deviation + 1e-3 * draws,
                "{top_k:?}: {what} was drawn {count} times, not {expected:.1}"
            );
        };
        for token in order.iter().take(12) {
            let share = weight(token) / total;
            near(counts[*token], share, &format!("token {token}"));
        }
        for group in 0..12 {
            let among = order.iter().filter(|&&token| token % 12 == group);
            let share = among.map(weight).sum::<f64>() / total;
            let count = counts.iter().skip(group).step_by(12).sum();
            near(count, share, &format!("group {group}"));
        }
    }
}
