//! Filling in the middle: which special tokens a model was taught for it, and the prompt they make.
//!
//! Code models are trained on documents whose middle was moved to the end. Each family marks the three parts with
//! tokens of its own (Bavarian et al., "Efficient Training of Language Models to Fill in the Middle", 2022); a model
//! that has a family's tokens gets its prompt, any other is not asked. The parts are tokenized one by one, so that
//! no merge crosses a mark and no text can write one.

use crate::executor::TokenId;

/// One family's marks.
#[derive(Debug)]
struct Family {
    prefix: &'static str,
    suffix: &'static str,
    /// Stands before the answer; families without one answer right after the prefix.
    middle: Option<&'static str>,
    /// The suffix comes before the prefix.
    suffix_first: bool,
    /// What else ends an answer: marks of the next file.
    ends: &'static [&'static str],
}

/// From the models' own documentation; the first that a tokenizer has is its family.
const FAMILIES: [Family; 7] = [
    // Qwen2.5-Coder, CodeGemma.
    Family {
        prefix: "<|fim_prefix|>",
        suffix: "<|fim_suffix|>",
        middle: Some("<|fim_middle|>"),
        suffix_first: false,
        ends: &[
            "<|fim_pad|>",
            "<|repo_name|>",
            "<|file_sep|>",
            "<|file_separator|>",
        ],
    },
    // StarCoder, Granite Code.
    Family {
        prefix: "<fim_prefix>",
        suffix: "<fim_suffix>",
        middle: Some("<fim_middle>"),
        suffix_first: false,
        ends: &["<fim_pad>", "<file_sep>", "<repo_name>"],
    },
    // DeepSeek-Coder.
    Family {
        prefix: "<｜fim▁begin｜>",
        suffix: "<｜fim▁hole｜>",
        middle: Some("<｜fim▁end｜>"),
        suffix_first: false,
        ends: &[],
    },
    // CodeLlama.
    Family {
        prefix: "▁<PRE>",
        suffix: "▁<SUF>",
        middle: Some("▁<MID>"),
        suffix_first: false,
        ends: &["▁<EOT>"],
    },
    // Codestral.
    Family {
        prefix: "[PREFIX]",
        suffix: "[SUFFIX]",
        middle: None,
        suffix_first: true,
        ends: &["[MIDDLE]"],
    },
    // CodeGeeX.
    Family {
        prefix: "<|code_prefix|>",
        suffix: "<|code_suffix|>",
        middle: Some("<|code_middle|>"),
        suffix_first: false,
        ends: &[],
    },
    // Seed-Coder.
    Family {
        prefix: "<[fim-prefix]>",
        suffix: "<[fim-suffix]>",
        middle: Some("<[fim-middle]>"),
        suffix_first: true,
        ends: &[],
    },
];

/// A model's way of filling in the middle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InfillFormat {
    prefix: TokenId,
    suffix: TokenId,
    middle: Option<TokenId>,
    suffix_first: bool,
    ends: Vec<TokenId>,
}

impl InfillFormat {
    /// The format of the family whose tokens there are; `token` finds a token by its whole text.
    pub fn detect(token: impl Fn(&str) -> Option<TokenId>) -> Option<Self> {
        FAMILIES.iter().find_map(|family| {
            let prefix = token(family.prefix)?;
            let suffix = token(family.suffix)?;
            let middle = match family.middle {
                Some(name) => Some(token(name)?),
                None => None,
            };
            let mut ends: Vec<TokenId> =
                family.ends.iter().filter_map(|name| token(name)).collect();
            ends.extend([Some(prefix), Some(suffix), middle].into_iter().flatten());
            Some(Self {
                prefix,
                suffix,
                middle,
                suffix_first: family.suffix_first,
                ends,
            })
        })
    }

    /// The prompt for the gap between two texts, given as tokens.
    #[must_use]
    pub fn prompt(&self, begin: &[TokenId], before: &[TokenId], after: &[TokenId]) -> Vec<TokenId> {
        let before = [&[self.prefix], before].concat();
        let after = [&[self.suffix], after].concat();
        let (first, second) = if self.suffix_first {
            (after, before)
        } else {
            (before, after)
        };
        let middle: Vec<TokenId> = self.middle.into_iter().collect();
        [begin, &first, &second, &middle].concat()
    }

    /// Tokens that end the filling: a model that goes on writes the next file.
    #[must_use]
    pub fn ends(&self) -> &[TokenId] {
        &self.ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(tokens: &[(&str, TokenId)]) -> Option<InfillFormat> {
        InfillFormat::detect(|name| tokens.iter().find(|(text, _)| *text == name).map(|t| t.1))
    }

    #[test]
    fn a_family_is_known_by_all_of_its_marks() {
        let qwen = [
            ("<|fim_prefix|>", 1),
            ("<|fim_suffix|>", 2),
            ("<|fim_middle|>", 3),
            ("<|file_sep|>", 4),
        ];
        let format = detect(&qwen).unwrap();
        assert_eq!(
            format.prompt(&[0], &[10, 11], &[12]),
            [0, 1, 10, 11, 2, 12, 3]
        );
        assert_eq!(format.ends(), [4, 1, 2, 3]);
        assert_eq!(
            detect(&qwen[..2]),
            None,
            "without its middle it is another model"
        );
        assert_eq!(detect(&[]), None);
    }

    #[test]
    fn codestral_reads_the_suffix_first_and_has_no_middle() {
        let format = detect(&[("[PREFIX]", 5), ("[SUFFIX]", 6)]).unwrap();
        assert_eq!(format.prompt(&[1], &[10], &[20, 21]), [1, 6, 20, 21, 5, 10]);
    }
}
