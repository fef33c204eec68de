//! The sampler against a naive one in f64 that sorts everything.

use proptest::prelude::*;

use super::*;

/// The distribution a draw must follow: (token, probability), zero entries left out.
fn oracle(
    logits: &[f32],
    params: &SamplingParams,
    history: &History,
    mask: Option<&TokenMask>,
) -> Vec<(TokenId, f64)> {
    let mut x: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
    let window = params
        .repeat_last_n
        .unwrap_or(usize::MAX)
        .min(history.tokens.len());
    for (id, logit) in x.iter_mut().enumerate() {
        let id = id as TokenId;
        if history.tokens[history.tokens.len() - window..].contains(&id) {
            let penalty = f64::from(params.repetition_penalty);
            *logit = if *logit > 0.0 {
                *logit / penalty
            } else {
                *logit * penalty
            };
        }
        let count = history.tokens[history.prompt_len..]
            .iter()
            .filter(|&&token| token == id)
            .count();
        if count > 0 {
            *logit -= f64::from(params.presence_penalty)
                + f64::from(params.frequency_penalty) * count as f64;
        }
        for &(token, bias) in &params.logit_bias {
            if token == id {
                *logit += f64::from(bias);
            }
        }
        if mask.is_some_and(|mask| !mask.allows(id)) {
            *logit = f64::NEG_INFINITY;
        }
    }
    let mut order: Vec<usize> = (0..x.len()).filter(|&i| x[i] > f64::NEG_INFINITY).collect();
    order.sort_by(|&a, &b| x[b].total_cmp(&x[a]).then(a.cmp(&b)));
    if params.temperature == 0.0 {
        order.truncate(1);
    }
    order.truncate(params.top_k.map_or(usize::MAX, |k| k as usize));
    let Some(&best) = order.first() else {
        return Vec::new();
    };
    let temperature = if params.temperature == 0.0 {
        1.0
    } else {
        f64::from(params.temperature)
    };
    let weight = |i: usize| ((x[i] - x[best]) / temperature).exp();
    let total: f64 = order.iter().map(|&i| weight(i)).sum();
    let mut kept = Vec::new();
    let mut sum = 0.0;
    for &i in &order {
        if sum >= f64::from(params.top_p) * total && params.top_p < 1.0 {
            break;
        }
        sum += weight(i);
        kept.push(i);
    }
    kept.retain(|&i| weight(i) >= f64::from(params.min_p));
    let total: f64 = kept.iter().map(|&i| weight(i)).sum();
    kept.iter()
        .map(|&i| (i as TokenId, weight(i) / total))
        .collect()
}

prop_compose! {
    /// Logits on a coarse grid: ties are common and no decision hangs on the last bit.
    fn any_logits()(logits in prop::collection::vec(
        prop_oneof![8 => (-40_i16..40).prop_map(|x| f32::from(x) / 4.0), 1 => Just(f32::NEG_INFINITY)], 1..80,
    )) -> Vec<f32> { logits }
}

prop_compose! {
    fn any_params()(
        temperature in prop::sample::select(vec![0.0_f32, 0.5, 1.0, 2.0]),
        top_k in prop::option::of(1_u32..100),
        top_p in prop::sample::select(vec![1.0_f32, 0.95, 0.7, 0.31, 0.01]),
        min_p in prop::sample::select(vec![0.0_f32, 0.03, 0.21, 0.9]),
        repetition_penalty in prop::sample::select(vec![1.0_f32, 1.25, 0.5]),
        repeat_last_n in prop::option::of(0_usize..12),
        presence_penalty in prop::sample::select(vec![0.0_f32, 0.5, -1.0]),
        frequency_penalty in prop::sample::select(vec![0.0_f32, 0.25, -0.5]),
        bias in prop::collection::btree_map(0_u32..80, prop_oneof![Just(f32::NEG_INFINITY), Just(4.0), Just(-4.0)], 0..6),
        seed in any::<u64>(),
    ) -> SamplingParams {
        SamplingParams {
            temperature, top_k, top_p, min_p, repetition_penalty, repeat_last_n, presence_penalty,
            frequency_penalty, logit_bias: bias.into_iter().collect(), seed, logprobs: None,
        }
    }
}

prop_compose! {
    fn any_history()(tokens in prop::collection::vec(0_u32..90, 0..30), cut in 0.0_f64..=1.0) -> History {
        History { prompt_len: (tokens.len() as f64 * cut) as usize, tokens }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// What an unknown token adds is what it adds once it is known.
    #[test]
    fn an_unknown_token_adds_what_a_known_one_does(
        params in any_params(), history in any_history(), token in 0_u32..90,
    ) {
        let mut longer = history.clone();
        longer.tokens.push(token);
        let mut merged = params.adjustments(&history, true);
        let unknown = merged.unknown.take().unwrap();
        if unknown.repeated || unknown.count > 0 {
            match merged.tokens.binary_search_by_key(&token, |known| known.token) {
                Ok(place) => {
                    merged.tokens[place].repeated |= unknown.repeated;
                    merged.tokens[place].count += unknown.count;
                }
                Err(place) => merged.tokens.insert(place, Adjustment { token, bias: 0.0, ..unknown }),
            }
        }
        prop_assert_eq!(merged, params.adjustments(&longer, false));
    }

    /// The token is the oracle's inverse CDF at the same uniform number, whatever the settings.
    #[test]
    fn draws_what_the_oracle_draws(
        logits in any_logits(), params in any_params(), history in any_history(),
        mask in prop::option::of(prop::collection::vec(any::<u32>(), 0..4)), position in 0_usize..1000,
    ) {
        let mask = mask.map(TokenMask::from_words);
        let expected = oracle(&logits, &params, &history, mask.as_ref());
        let mut scratch = logits.clone();
        let drawn = sample(&mut scratch, &params, &history, position, mask.as_ref());
        if logits.iter().all(|logit| *logit == f32::NEG_INFINITY) {
            prop_assert_eq!(drawn, Err(RowError::NotFinite));
        } else if expected.is_empty() {
            prop_assert_eq!(drawn, Err(if mask.is_some() { RowError::EmptyMask } else { RowError::NotFinite }));
        } else {
            let token = drawn.unwrap().token;
            // Truncated draws walk best first, plain ones in id order; f32 against f64 may disagree
            // only within rounding of a boundary of the CDF.
            let mut walk = expected.clone();
            if params.top_k.is_none_or(|k| k as usize >= logits.len()) && params.top_p == 1.0 && params.min_p == 0.0 {
                walk.sort_by_key(|&(id, _)| id);
            }
            let uniform = random::uniform(params.seed, position as u64);
            let mut sum = 0.0;
            let interval = walk.iter().find_map(|&(id, p)| {
                let low = sum;
                sum += p;
                (id == token).then_some((low, sum))
            });
            // A token on the edge of top-p or min-p may be in or out by rounding.
            if let Some((low, high)) = interval {
                let edge = params.top_p < 1.0 || params.min_p > 0.0;
                let slack = if edge { expected.iter().map(|e| e.1).fold(1.0, f64::min) + 1e-5 } else { 1e-5 };
                prop_assert!(low - slack <= uniform && uniform <= high + slack, "{token} [{low}, {high}] {uniform}");
            } else {
                prop_assert!(false, "token {token} has no probability: {expected:?}");
            }
        }
    }

    #[test]
    fn logprobs_are_those_of_the_raw_logits(
        logits in any_logits(), mut params in any_params(), history in any_history(), count in 0_u32..20,
    ) {
        params.logprobs = Some(count);
        let sum: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
        let Ok(sampled) = sample(&mut logits.clone(), &params, &history, 3, None) else { return Ok(()); };
        let exact = |token: TokenId| f64::from(logits[token as usize]) - sum.ln();
        prop_assert!((f64::from(sampled.logprob.unwrap()) - exact(sampled.token)).abs() < 1e-5);
        let finite = logits.iter().filter(|logit| logit.is_finite()).count();
        prop_assert_eq!(sampled.top_logprobs.len(), finite.min(count as usize));
        for (&(token, logprob), rank) in sampled.top_logprobs.iter().zip(0..) {
            prop_assert!((f64::from(logprob) - exact(token)).abs() < 1e-5);
            let better = (0..).zip(&logits).filter(|&(id, &x)| {
                let own = logits[token as usize];
                x > own || x == own && id < token
            });
            prop_assert_eq!(better.count(), rank);
        }
    }

    /// Anything at all in the logits and parameters: an answer or a typed error, never a panic.
    #[test]
    fn never_panics(
        bits in prop::collection::vec(any::<u32>(), 0..40),
        numbers in prop::array::uniform6(any::<f32>()), top_k in any::<Option<u32>>(),
        prompt_len in any::<usize>(), tokens in prop::collection::vec(any::<u32>(), 0..8),
        bias in prop::collection::vec((any::<u32>(), any::<f32>()), 0..4), seed in any::<u64>(),
    ) {
        let mut logits: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
        let [temperature, top_p, min_p, repetition_penalty, presence_penalty, frequency_penalty] = numbers;
        let params = SamplingParams {
            temperature, top_p, min_p, repetition_penalty, presence_penalty, frequency_penalty, top_k,
            logit_bias: bias, seed, repeat_last_n: None, logprobs: Some(3),
        };
        let len = logits.len();
        if let Ok(sampled) = sample(&mut logits, &params, &History { prompt_len, tokens }, usize::MAX, None) {
            prop_assert!((sampled.token as usize) < len);
        }
    }

    #[test]
    fn exp_is_close_to_the_exact_one(x in -86.9_f32..=0.0) {
        let exact = f64::from(x).exp();
        prop_assert!((f64::from(exp_nonpositive(x)) - exact).abs() <= exact * 2.5e-7, "{x}");
    }
}

#[test]
fn exp_has_exact_ends() {
    assert_eq!(exp_nonpositive(0.0), 1.0);
    assert_eq!(exp_nonpositive(f32::NEG_INFINITY), 0.0);
    assert_eq!(exp_nonpositive(f32::NAN), 0.0);
}

/// Pearson's chi-square over 40,000 draws at fixed seeds; 15 degrees of freedom exceed 44.3 once
/// in 10,000 samplers that are right, and these seeds are fixed.
#[test]
fn frequencies_follow_the_distribution() {
    let logits: Vec<f32> = (0..16).map(|i| (i as f32 * 0.7).sin() * 2.0).collect();
    for truncation in [
        (None, 1.0),
        (Some(16), 1.0),
        (Some(10), 0.999),
        (None, 0.97),
    ] {
        let params = SamplingParams {
            top_k: truncation.0,
            top_p: truncation.1,
            seed: 11,
            ..Default::default()
        };
        let history = History::default();
        let expected = oracle(&logits, &params, &history, None);
        let mut counts = [0_u32; 16];
        let draws = 40_000;
        for position in 0..draws {
            let token = sample(&mut logits.clone(), &params, &history, position, None)
                .unwrap()
                .token;
            counts[token as usize] += 1;
        }
        let mut chi_square = 0.0;
        for &(token, p) in &expected {
            let mean = p * draws as f64;
            chi_square += (f64::from(counts[token as usize]) - mean).powi(2) / mean;
        }
        let covered: u32 = expected
            .iter()
            .map(|&(token, _)| counts[token as usize])
            .sum();
        assert_eq!(covered as usize, draws, "a truncated token was drawn");
        assert!(chi_square < 44.3, "{truncation:?}: chi-square {chi_square}");
    }
}

#[test]
fn broken_logits_are_an_error() {
    let params = SamplingParams::default();
    let history = History::default();
    for logits in [
        vec![],
        vec![1.0, f32::NAN],
        vec![f32::INFINITY, 0.0],
        vec![f32::NEG_INFINITY; 3],
    ] {
        assert_eq!(
            sample(&mut logits.clone(), &params, &history, 0, None),
            Err(RowError::NotFinite),
            "{logits:?}"
        );
    }
    let mask = TokenMask::from_words(vec![0]);
    assert_eq!(
        sample(&mut [1.0, 2.0], &params, &history, 0, Some(&mask)),
        Err(RowError::EmptyMask)
    );
}

#[test]
fn greedy_ties_go_to_the_lowest_id_and_ignore_the_seed() {
    for seed in 0..20 {
        let params = SamplingParams {
            temperature: 0.0,
            seed,
            ..Default::default()
        };
        let drawn = sample(
            &mut [1.0, 3.0, 3.0, 2.0],
            &params,
            &History::default(),
            5,
            None,
        )
        .unwrap();
        assert_eq!(drawn.token, 1);
    }
}
