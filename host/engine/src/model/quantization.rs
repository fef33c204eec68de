//! Which weights are quantised, and how: the `quantization` object of MLX checkpoints.
//!
//! ```json
//! "quantization": {"group_size": 64, "bits": 4, "mode": "affine",
//!                  "model.layers.0.mlp.down_proj": {"group_size": 64, "bits": 8},
//!                  "lm_head": false}
//! ```
//!
//! A weight without its own entry is quantised with the global values if its row length is a
//! multiple of the group size (MLX's converter leaves the others alone).

use std::collections::BTreeMap;

use serde_json::Value;

use super::config::Fields;
use super::{ModelError, Quantization};

/// Fields of the object that are not names of weights.
const OWN_FIELDS: [&str; 5] = ["group_size", "bits", "mode", "quant_method", "linear_class"];

/// The quantisation of every weight of a model.
#[derive(Debug, Default)]
pub(super) struct QuantizationPlan {
    global: Option<Quantization>,
    overrides: BTreeMap<String, Option<Quantization>>,
}

impl QuantizationPlan {
    /// Reads `quantization`, or an MLX-style `quantization_config`.
    pub fn read(config: &Fields<'_>) -> Result<Self, ModelError> {
        let fields = match config.object("quantization")? {
            Some(fields) => fields,
            None => match config.object("quantization_config")? {
                Some(fields) => fields,
                None => return Ok(Self::default()),
            },
        };
        if let Some(method) = fields.text("quant_method")?
            && method != "mlx"
        {
            return Err(ModelError::unsupported(
                fields.path("quant_method"),
                format!("quantisation {method:?}"),
                "use an MLX build of the model (2 to 8 bits) or the unquantised one",
            ));
        }
        let global = read_one(&fields)?;
        let mut overrides = BTreeMap::new();
        for (name, value) in fields
            .iter()
            .filter(|(name, _)| !OWN_FIELDS.contains(&name.as_str()))
        {
            let own = match value {
                Value::Bool(false) => None,
                Value::Bool(true) => Some(global),
                Value::Object(_) => fields.object(name)?.as_ref().map(read_one).transpose()?,
                _ => {
                    return Err(ModelError::config(
                        fields.path(name),
                        "must be an object, true or false",
                    ));
                }
            };
            overrides.insert(name.clone(), own);
        }
        Ok(Self {
            global: Some(global),
            overrides,
        })
    }

    /// How the weight `name` with rows of `in_features` is stored.
    pub fn of(&self, name: &str, in_features: usize) -> Result<Option<Quantization>, ModelError> {
        let fits =
            |quantization: &Quantization| in_features.is_multiple_of(quantization.group_size);
        match self.overrides.get(name) {
            Some(None) => Ok(None),
            Some(Some(own)) if fits(own) => Ok(Some(*own)),
            Some(Some(own)) => Err(ModelError::config(
                format!("quantization.{name}"),
                format!(
                    "has group_size {}, which does not divide its rows of {in_features}",
                    own.group_size
                ),
            )),
            None => Ok(self.global.filter(fits)),
        }
    }

    /// Bits per weight of most weights, if quantised.
    pub fn global(&self) -> Option<Quantization> {
        self.global
    }
}

fn read_one(fields: &Fields<'_>) -> Result<Quantization, ModelError> {
    let advice =
        "convert the model again with affine 2, 3, 4, 5, 6 or 8 bits and groups of 32, 64 or 128";
    if let Some(mode) = fields.text("mode")?
        && mode != "affine"
    {
        return Err(ModelError::unsupported(
            fields.path("mode"),
            format!("mode {mode:?}"),
            advice,
        ));
    }
    let bits = fields.size("bits", 64)?;
    let group_size = fields.size("group_size", 4096)?;
    let mut known = Quantization::BITS.into_iter();
    let Some(bits) = known.find(|&known| known as usize == bits) else {
        let what = format!("{bits} bits");
        return Err(ModelError::unsupported(fields.path("bits"), what, advice));
    };
    if !Quantization::GROUP_SIZES.contains(&group_size) {
        let what = format!("a group of {group_size}");
        return Err(ModelError::unsupported(
            fields.path("group_size"),
            what,
            advice,
        ));
    }
    Ok(Quantization { bits, group_size })
}
