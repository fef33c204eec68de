//! Embeddings: texts to vectors of length one.

use std::sync::Arc;
use std::time::Instant;

use atoll_engine::engine::{ContextWindow, EngineError, PreparedPrompt, PromptInput};
use atoll_plugin_runtime::types::{CompletionInput, EmbedRequest, Embeddings, Error, Timings};
use futures::future::try_join_all;

use crate::events::nanos;
use crate::failure;
use crate::loss::Stopped;
use crate::models::{Models, TextEngine};
use crate::source::blocking;

/// Most inputs of one request, as the API that most clients know has it.
const MAX_INPUTS: usize = 2048;

/// A vector for every input, in order.
///
/// # Errors
/// What the model cannot do or the request got wrong, by field.
pub(crate) async fn embed(
    models: &Arc<dyn Models>,
    request: EmbedRequest,
    arrived: Instant,
) -> Result<Embeddings, Stopped> {
    let count = request.inputs.len();
    if !(1..=MAX_INPUTS).contains(&count) {
        let message = format!("there must be from 1 to {MAX_INPUTS} inputs, not {count}");
        return Err(failure::invalid("input", message).into());
    }
    let before_load = Instant::now();
    let engine = models.engine(&request.model).await;
    let engine = engine.map_err(|error| Stopped::by_engine(&error))?;
    let load = before_load.elapsed();
    if let Some(keep) = request.keep_alive {
        models.keep(&request.model, keep);
    }
    let prompts: Result<Vec<_>, Error> = {
        let engine = Arc::clone(&engine);
        let (inputs, truncate) = (request.inputs, request.truncate);
        // Tokenizing many texts takes milliseconds; what is wrong with one is told with its number.
        blocking(move || {
            let prepare = |(index, input)| prepare(engine.as_ref(), index, input, truncate);
            Ok(inputs.iter().enumerate().map(prepare).collect())
        })
        .await?
    };
    let prompts = prompts?;
    let prompt_tokens = prompts.iter().fold(0u32, |sum, prompt: &PreparedPrompt| {
        sum.saturating_add(prompt.token_count())
    });
    let before = Instant::now();
    let vectors = prompts.into_iter().map(|prompt| engine.embed(prompt));
    let mut vectors = try_join_all(vectors)
        .await
        .map_err(|error| Stopped::by_engine(&error))?;
    let prefill = before.elapsed();
    for vector in &mut vectors {
        if let Some(dimensions) = request.dimensions {
            shorten(vector, dimensions)?;
        }
        if request.normalize {
            normalise(vector);
        }
    }
    Ok(Embeddings {
        model: engine.facts().name,
        vectors,
        prompt_tokens,
        timings: Timings {
            queued: 0,
            load: nanos(Some(load)),
            prefill: nanos(Some(prefill)),
            decode: 0,
            total: nanos(Some(arrived.elapsed())),
        },
    })
}

fn prepare(
    engine: &dyn TextEngine,
    index: usize,
    input: &CompletionInput,
    truncate: bool,
) -> Result<PreparedPrompt, Error> {
    let prompt = match input {
        CompletionInput::Text(text) => PromptInput::Text {
            text: text.clone(),
            // Models that pool the last position were trained with the tokenizer's own end there.
            add_special_tokens: true,
        },
        CompletionInput::Tokens(tokens) => PromptInput::Tokens(tokens.clone()),
    };
    let prepared = match engine.prepare(&prompt, ContextWindow::default()) {
        Err(EngineError::ContextOverflow { maximum, .. }) if truncate => {
            let mut tokens = match input {
                CompletionInput::Text(text) => engine
                    .encode(text)
                    .map_err(|error| failure::from_engine(&error))?,
                CompletionInput::Tokens(tokens) => tokens.clone(),
            };
            tokens.truncate(maximum);
            engine.prepare(&PromptInput::Tokens(tokens), ContextWindow::default())
        }
        prepared => prepared,
    };
    prepared.map_err(|error| {
        let mut error = failure::from_engine(&error);
        if let Some(param) = &mut error.param {
            let place = format!("input[{index}]");
            if let Some(rest) = error.message.strip_prefix(param.as_str()) {
                error.message = format!("{place}{rest}");
            }
            *param = place;
        }
        error
    })
}

/// The first numbers of a vector. Models trained for it keep their meaning there.
fn shorten(vector: &mut Vec<f32>, dimensions: u32) -> Result<(), Error> {
    let most = vector.len();
    match usize::try_from(dimensions) {
        Ok(dimensions @ 1..) if dimensions <= most => {
            vector.truncate(dimensions);
            Ok(())
        }
        _ => {
            let message =
                format!("this model's vectors have {most} dimensions; ask for 1 to {most}");
            Err(failure::invalid("dimensions", message))
        }
    }
}

/// Makes the length one; a vector of zeros has no direction and stays.
fn normalise(vector: &mut [f32]) {
    let square: f64 = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let length = square.sqrt();
    if length > 0.0 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "rounding to the vector's own precision is meant"
        )]
        vector
            .iter_mut()
            .for_each(|x| *x = (f64::from(*x) / length) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_length_one_and_as_many_numbers_as_asked_for() {
        let mut vector = vec![3.0, 4.0, 12.0];
        shorten(&mut vector, 2).unwrap();
        normalise(&mut vector);
        assert_eq!(vector, [0.6, 0.8]);
        for wrong in [0, 3, u32::MAX] {
            let error = shorten(&mut vector, wrong).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("dimensions"));
        }
        let mut zero = vec![0.0, 0.0];
        normalise(&mut zero);
        assert_eq!(zero, [0.0, 0.0]);
    }
}
