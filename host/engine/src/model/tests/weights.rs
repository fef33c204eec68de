//! The walk over a description, by names alone: against the list of tensors, and what it refuses.

use super::*;
use crate::model::weights::{Mlp, Parts, Source, Weights};

/// An executor that computes nothing.
struct Names;

impl Parts for Names {
    type Matrix = String;
    type Norm = String;
    type Experts = Vec<Mlp<String>>;
    type Size = usize;
}

/// Refuses what it was told to.
struct Namer(Option<&'static str>);

impl Source for Namer {
    type Parts = Names;
    type Error = ModelError;

    fn size(&self, size: usize) -> Result<usize, ModelError> {
        Ok(size)
    }

    fn matrix(&mut self, spec: &WeightSpec) -> Result<String, ModelError> {
        match self.0.is_some_and(|refused| spec.name.contains(refused)) {
            true => Err(ModelError::tensor(&spec.name, "is not here")),
            false => Ok(spec.name.clone()),
        }
    }

    fn norm(&mut self, spec: &NormSpec) -> Result<String, ModelError> {
        Ok(spec.name.clone())
    }

    fn experts(&mut self, specs: &[GatedMlpSpec]) -> Result<Vec<Mlp<String>>, ModelError> {
        let mut expert = |spec| Mlp::try_new(|of| self.matrix(of(spec)));
        specs.iter().map(&mut expert).collect()
    }
}

fn built(spec: &ModelSpec, range: std::ops::Range<usize>) -> Result<Weights<Names>, ModelError> {
    Weights::build(spec, range, &mut Namer(None))
}

#[test]
fn the_walk_asks_for_the_tensors_of_the_range_once_each() {
    for config in [qwen3_0_6b(), llama_3_1_8b(), qwen3_30b_a3b()] {
        let spec = spec(&config).unwrap();
        let count = spec.layers.len();
        for range in [0..count, 0..5, 5..6, 6..count] {
            let weights = built(&spec, range.clone()).unwrap();
            let experts = weights.experts().flatten().flat_map(Mlp::parts);
            let matrices = weights.matrices().chain(experts);
            let mut walked: Vec<&String> = matrices.chain(weights.norms()).collect();
            walked.sort();
            let tensors = spec.tensors(range.clone());
            let weights_of = |name: &str| name.strip_suffix(".weight").map(str::to_owned);
            let mut listed: Vec<String> = tensors
                .iter()
                .filter_map(|tensor| weights_of(&tensor.name))
                .collect();
            listed.sort();
            assert!(walked.into_iter().eq(&listed), "{} {range:?}", spec.family);
            assert_eq!(weights.head().is_some(), range.end == count);
        }
    }
}

#[test]
fn no_range_is_built_that_is_none() {
    let spec = spec(&qwen3_0_6b()).unwrap();
    let count = spec.layers.len();
    #[expect(clippy::reversed_empty_ranges, reason = "what is refused")]
    for range in [3..3, 5..4, 0..count + 1, count..count] {
        assert!(built(&spec, range.clone()).is_err(), "{range:?}");
    }
    for refused in [
        "embed_tokens",
        "layers.7.self_attn.o_proj",
        "layers.3.mlp.up_proj",
    ] {
        let error = Weights::build(&spec, 0..count, &mut Namer(Some(refused)));
        let error = error.err().unwrap().to_string();
        assert!(error.contains(refused), "{error}");
    }
}

#[test]
fn a_description_that_contradicts_itself_is_not_walked() {
    let good = spec(&qwen3_30b_a3b()).unwrap();
    let attention = |spec: &mut ModelSpec, change: fn(&mut GqaSpec)| {
        let AttentionSpec::Gqa(gqa) = &mut spec.layers[2].attention;
        change(gqa);
    };
    let moe = |spec: &mut ModelSpec, chosen: usize| {
        if let MlpSpec::Moe(moe) = &mut spec.layers[2].mlp {
            moe.experts_per_token = chosen;
        }
    };
    let changes: [&dyn Fn(&mut ModelSpec); 11] = [
        &|spec| spec.rope.dim = 0,
        &|spec| spec.rope.dim = 3,
        &|spec| spec.rope.dim = 512,
        &|spec| spec.rope.inverse_frequencies.truncate(1),
        &|spec| spec.hidden_size = 64,
        &|spec| attention(spec, |gqa| gqa.num_kv_heads = 0),
        &|spec| attention(spec, |gqa| gqa.num_heads = 5),
        &|spec| attention(spec, |gqa| gqa.sliding_window = Some(0)),
        &|spec| moe(spec, 0),
        &|spec| moe(spec, 129),
        &|spec| spec.layers[1].input_norm.size = 1,
    ];
    assert!(built(&good, 0..3).is_ok());
    for (index, change) in changes.iter().enumerate() {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(built(&bad, 0..3).is_err(), "change {index}");
    }
}
