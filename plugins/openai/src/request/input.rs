//! Texts or token ids, one or several: `prompt` of Completions, `input` of Embeddings.

use atoll_sdk::json::{Field, Kind};
use atoll_sdk::types::{CompletionInput, Error};

const EXPECTED: &str =
    "a string, an array of strings, an array of tokens, or an array of token arrays";

/// The inputs, at least one.
///
/// # Errors
/// None, or something else.
pub(crate) fn inputs(field: &Field) -> Result<Vec<CompletionInput>, Error> {
    match field.kind() {
        Kind::String => Ok(vec![CompletionInput::Text(field.string()?)]),
        Kind::Array => {
            // The common forms first, read whole; then a mixture, element by element.
            if let Ok(tokens) = field.read::<Vec<u32>>(EXPECTED)
                && !tokens.is_empty()
            {
                return Ok(vec![CompletionInput::Tokens(tokens)]);
            }
            let elements = field.array()?;
            if elements.is_empty() {
                return Err(field.wrong(EXPECTED));
            }
            elements.iter().map(|element| one(field, element)).collect()
        }
        _ => Err(field.wrong(EXPECTED)),
    }
}

fn one(field: &Field, element: &Field) -> Result<CompletionInput, Error> {
    match element.kind() {
        Kind::String => element.string().map(CompletionInput::Text),
        Kind::Array => element
            .read("an array of tokens")
            .map(CompletionInput::Tokens),
        _ => Err(field.wrong(EXPECTED)),
    }
}

#[cfg(test)]
mod tests {
    use atoll_sdk::json::Fields;

    use super::*;

    fn read(json: &str) -> Result<Vec<CompletionInput>, Error> {
        let body = format!("{{\"prompt\":{json}}}");
        inputs(
            &Fields::parse(body.as_bytes())
                .unwrap()
                .take("prompt")
                .unwrap(),
        )
    }

    #[test]
    fn all_four_forms() {
        let text = |text: &str| CompletionInput::Text(text.to_owned());
        assert_eq!(read("\"a\"").unwrap(), [text("a")]);
        assert_eq!(read("[\"a\",\"b\"]").unwrap(), [text("a"), text("b")]);
        assert_eq!(
            read("[1,2]").unwrap(),
            [CompletionInput::Tokens(vec![1, 2])]
        );
        let two = [
            CompletionInput::Tokens(vec![1]),
            CompletionInput::Tokens(vec![2, 3]),
        ];
        assert_eq!(read("[[1],[2,3]]").unwrap(), two);
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        for json in [
            "[]",
            "7",
            "{}",
            "[1,\"a\"]",
            "[-1]",
            "[[1.5]]",
            "[null]",
            "true",
        ] {
            let error = read(json).unwrap_err();
            assert!(error.param.unwrap().starts_with("prompt"), "{json}");
        }
    }
}
