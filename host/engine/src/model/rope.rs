//! Rotary frequencies from config.json, in both layouts: `rope_theta` beside `rope_scaling` (up to
//! transformers 4) and `rope_parameters` (transformers 5).
//!
//! Scalings: none, linear (position interpolation, Chen et al. 2023), llama3 (Llama 3.1's blend),
//! yarn (Peng et al. 2023). All give frequencies that do not depend on the sequence's length, which
//! the KV cache and prefix sharing need; `dynamic` and `longrope` do not, and are refused.

use std::f64::consts::PI;

use super::config::{Fields, MAX_POSITIONS};
use super::{ModelError, RopeSpec};

/// Factors and thetas beyond these are typing errors.
const THETA: std::ops::RangeInclusive<f64> = 1.001..=1e15;
const FACTOR: std::ops::RangeInclusive<f64> = 1e-3..=1e6;

/// The frequencies for heads of `dim`, and how many positions they are good for when the model
/// itself states `max_positions`.
pub(super) fn read(
    config: &Fields<'_>,
    dim: usize,
    max_positions: usize,
    default_theta: f64,
) -> Result<(RopeSpec, usize), ModelError> {
    if let Some(partial) = config.number("partial_rotary_factor", 0.0..=1.0)?
        && partial < 1.0
    {
        let advice = "only whole heads are rotated in the families that run";
        return Err(ModelError::unsupported(
            "partial_rotary_factor",
            "partial rotation",
            advice,
        ));
    }
    if config.flag("rope_traditional", false)? {
        let advice = "use a checkpoint in the Hugging Face layout";
        return Err(ModelError::unsupported(
            "rope_traditional",
            "interleaved rotation",
            advice,
        ));
    }
    let scaling = scaling(config)?;
    let theta = match &scaling {
        Some(fields) => fields.number("rope_theta", THETA)?,
        None => None,
    };
    let theta = match theta {
        Some(theta) => theta,
        None => config.number("rope_theta", THETA)?.unwrap_or(default_theta),
    };
    let plain: Vec<f64> = (0..dim / 2)
        .map(|i| theta.powf(-2.0 * i as f64 / dim as f64))
        .collect();

    let Some(fields) = scaling else {
        return Ok((spec(dim, plain, 1.0), max_positions));
    };
    let kind = match fields.text("rope_type")? {
        Some(kind) => kind,
        None => fields.text("type")?.unwrap_or("default"),
    };
    match kind {
        "default" => Ok((spec(dim, plain, 1.0), max_positions)),
        "linear" => {
            let factor = factor(&fields)?;
            let slowed = plain.iter().map(|frequency| frequency / factor).collect();
            Ok((spec(dim, slowed, 1.0), stretched(max_positions, factor)))
        }
        "llama3" => Ok((spec(dim, llama3(&fields, &plain)?, 1.0), max_positions)),
        "yarn" => {
            let factor = factor(&fields)?;
            let original = fields
                .optional_size("original_max_position_embeddings", MAX_POSITIONS)?
                .unwrap_or(max_positions);
            let frequencies = yarn(&fields, &plain, theta, original, factor)?;
            let attention_factor = yarn_attention_factor(&fields, factor)?;
            Ok((
                spec(dim, frequencies, attention_factor),
                max_positions.max(stretched(original, factor)),
            ))
        }
        "dynamic" | "longrope" | "su" => Err(ModelError::unsupported(
            fields.path("rope_type"),
            format!(
                "{kind:?} (its rotations change with the length of the sequence, so no cached position could be reused)"
            ),
            "remove the scaling to run at the original context length, or use \"yarn\"",
        )),
        other => Err(ModelError::unsupported(
            fields.path("rope_type"),
            format!("{other:?}"),
            "known are default, linear, llama3 and yarn",
        )),
    }
}

/// The object that describes the scaling, in either layout.
fn scaling<'a>(config: &Fields<'a>) -> Result<Option<Fields<'a>>, ModelError> {
    let Some(parameters) = config.object("rope_parameters")? else {
        return config.object("rope_scaling");
    };
    // transformers 5 may give one object per kind of layer; the families here have one rotation.
    let per_kind = parameters
        .iter()
        .any(|(name, value)| name.ends_with("_attention") && value.is_object());
    if !per_kind {
        return Ok(Some(parameters));
    }
    let mut objects = parameters.iter().map(|(_, value)| value);
    let first = objects.next();
    if objects.any(|other| Some(other) != first) {
        let advice = "all layers must share one rotation";
        return Err(ModelError::unsupported(
            parameters.path("*"),
            "a rotation per kind of layer",
            advice,
        ));
    }
    match parameters.iter().next() {
        Some((name, _)) => parameters.object(name),
        None => Ok(None),
    }
}

fn factor(fields: &Fields<'_>) -> Result<f64, ModelError> {
    let factor = fields.number("factor", FACTOR)?;
    factor.ok_or_else(|| ModelError::config(fields.path("factor"), "is missing"))
}

fn stretched(positions: usize, factor: f64) -> usize {
    // Bounded before and after: positions <= 2^24, factor <= 10^6.
    ((positions as f64 * factor) as usize).clamp(1, MAX_POSITIONS)
}

fn spec(dim: usize, frequencies: Vec<f64>, attention_factor: f64) -> RopeSpec {
    RopeSpec {
        dim,
        inverse_frequencies: frequencies
            .into_iter()
            .map(|frequency| frequency as f32)
            .collect(),
        attention_factor: attention_factor as f32,
    }
}

/// Llama 3.1: long wavelengths are slowed by `factor`, short ones kept, those between blended.
fn llama3(fields: &Fields<'_>, plain: &[f64]) -> Result<Vec<f64>, ModelError> {
    let factor = factor(fields)?;
    let low = fields.number("low_freq_factor", FACTOR)?.unwrap_or(1.0);
    let high = fields.number("high_freq_factor", FACTOR)?.unwrap_or(4.0);
    if high <= low {
        return Err(ModelError::config(
            fields.path("high_freq_factor"),
            "must be above low_freq_factor",
        ));
    }
    let original = fields.size("original_max_position_embeddings", MAX_POSITIONS)? as f64;
    let blend = |&frequency: &f64| {
        let turns = original * frequency / (2.0 * PI);
        let keep = ((turns - low) / (high - low)).clamp(0.0, 1.0);
        frequency * keep + frequency / factor * (1.0 - keep)
    };
    Ok(plain.iter().map(blend).collect())
}

/// YaRN, "NTK by parts": dimensions that turn more than `beta_fast` times over the original context
/// are kept, those that turn less than `beta_slow` times are slowed, with a ramp between.
fn yarn(
    fields: &Fields<'_>,
    plain: &[f64],
    theta: f64,
    original: usize,
    factor: f64,
) -> Result<Vec<f64>, ModelError> {
    let dim = plain.len() as f64 * 2.0;
    let beta_fast = fields.number("beta_fast", 1e-3..=1e6)?.unwrap_or(32.0);
    let beta_slow = fields.number("beta_slow", 1e-3..=1e6)?.unwrap_or(1.0);
    // The dimension that turns `turns` times over the original context.
    let dimension_of =
        |turns: f64| dim * (original as f64 / (turns * 2.0 * PI)).ln() / (2.0 * theta.ln());
    let (mut low, mut high) = (dimension_of(beta_fast), dimension_of(beta_slow));
    if fields.flag("truncate", true)? {
        (low, high) = (low.floor(), high.ceil());
    }
    low = low.max(0.0);
    high = high.min(dim - 1.0);
    if high <= low {
        // A ramp of no width would divide by zero.
        high = low + 0.001;
    }
    let blend = |(i, &frequency): (usize, &f64)| {
        let slow = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
        frequency * (1.0 - slow) + frequency / factor * slow
    };
    Ok(plain.iter().enumerate().map(blend).collect())
}

/// YaRN's correction of the attention's temperature, applied to cosine and sine.
fn yarn_attention_factor(fields: &Fields<'_>, factor: f64) -> Result<f64, ModelError> {
    if let Some(given) = fields.number("attention_factor", FACTOR)? {
        return Ok(given);
    }
    let scale = |multiplier: f64| {
        if factor <= 1.0 {
            1.0
        } else {
            0.1 * multiplier * factor.ln() + 1.0
        }
    };
    let multiplier = fields
        .number("mscale", 0.0..=1e3)?
        .filter(|&value| value != 0.0);
    let all_dims = fields
        .number("mscale_all_dim", 0.0..=1e3)?
        .filter(|&value| value != 0.0);
    Ok(match (multiplier, all_dims) {
        (Some(multiplier), Some(all_dims)) => scale(multiplier) / scale(all_dims),
        _ => scale(1.0),
    })
}
