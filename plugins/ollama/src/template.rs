//! `template` of `/api/generate`: the part of Go's templates that prompts are made of.
//!
//! Text, `{{ .System }}`, `{{ .Prompt }}`, `{{ .Response }}` (where the answer begins; nothing after it is
//! used), `{{ if .X }} ... {{ else }} ... {{ end }}` and the trim marks `{{-` and `-}}`. Anything else is refused by name, never
//! skipped: half a template is another prompt.

use atoll_sdk::types::Error;

/// Deepest nesting of conditions.
const MAX_DEPTH: usize = 32;

/// What a template can speak of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Values<'a> {
    /// `.System`
    pub system: &'a str,
    /// `.Prompt`
    pub prompt: &'a str,
}

impl<'a> Values<'a> {
    fn get(&self, name: &str) -> Option<&'a str> {
        match name {
            ".System" => Some(self.system),
            ".Prompt" => Some(self.prompt),
            // Not there yet when a prompt is made.
            ".Response" => Some(""),
            _ => None,
        }
    }
}

/// A condition that is open: whether its outside is shown, whether its first branch was, and whether `else` came.
struct Open {
    outside: bool,
    first: bool,
    other: bool,
}

/// The prompt that the template makes.
///
/// # Errors
/// What is not understood, quoted.
pub fn render(template: &str, values: Values<'_>) -> Result<String, Error> {
    let mut out = String::new();
    let mut open: Vec<Open> = Vec::new();
    let mut shown = true;
    let mut rest = template;
    while let Some((text, after)) = rest.split_once("{{") {
        let (action, after) = after
            .split_once("}}")
            .ok_or_else(|| wrong("{{ without }}"))?;
        let (action, trims_before) = match action.strip_prefix('-') {
            Some(action) => (action, true),
            None => (action, false),
        };
        let (action, trims_after) = match action.strip_suffix('-') {
            Some(action) => (action, true),
            None => (action, false),
        };
        if shown {
            out.push_str(if trims_before { text.trim_end() } else { text });
        }
        rest = if trims_after {
            after.trim_start()
        } else {
            after
        };
        let words: Vec<&str> = action.split_whitespace().collect();
        match words.as_slice() {
            ["if", name] => {
                let value = values.get(name).ok_or_else(|| wrong(action))?;
                if open.len() == MAX_DEPTH {
                    return Err(wrong("conditions that deep"));
                }
                let first = !value.is_empty();
                open.push(Open {
                    outside: shown,
                    first,
                    other: false,
                });
                shown = shown && first;
            }
            ["else"] => match open.last_mut() {
                Some(condition) if !condition.other => {
                    condition.other = true;
                    shown = condition.outside && !condition.first;
                }
                _ => return Err(wrong("else without if")),
            },
            ["end"] => {
                let condition = open.pop().ok_or_else(|| wrong("end without if"))?;
                shown = condition.outside;
            }
            [".Response"] if shown => return Ok(out),
            [name] => {
                let value = values.get(name).ok_or_else(|| wrong(action))?;
                if shown {
                    out.push_str(value);
                }
            }
            _ => return Err(wrong(action)),
        }
    }
    if !open.is_empty() {
        return Err(wrong("if without end"));
    }
    out.push_str(rest);
    Ok(out)
}

fn wrong(what: &str) -> Error {
    Error::unsupported(
        "template",
        format!(
            "template: {:?} is not supported (only .System, .Prompt, .Response, if, else and end are)",
            what.trim()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: Values<'_> = Values {
        system: "Be brief.",
        prompt: "Hi",
    };

    #[test]
    fn a_prompt_as_ollamas_own_templates_make_it() {
        let template = "{{- if .System }}<|system|>\n{{ .System }}</s>\n{{ end }}{{ if .Prompt }}<|user|>\n\
                        {{ .Prompt }}</s>\n{{ end }}<|assistant|>\n{{ .Response }}</s>";
        assert_eq!(
            render(template, VALUES).unwrap(),
            "<|system|>\nBe brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\n"
        );
        let without = Values {
            system: "",
            ..VALUES
        };
        assert_eq!(
            render(template, without).unwrap(),
            "<|user|>\nHi</s>\n<|assistant|>\n"
        );
    }

    #[test]
    fn branches_and_trim_marks() {
        for (template, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("{{ .Prompt }}", "Hi"),
            ("{{.Prompt}}", "Hi"),
            ("a {{- .Prompt -}} b", "aHib"),
            ("{{ if .Response }}x{{ else }}y{{ end }}", "y"),
            (
                "{{ if .System }}a{{ if .Response }}b{{ else }}c{{ end }}d{{ else }}e{{ end }}f",
                "acdf",
            ),
            ("{{ if .Response }}{{ .Response }}{{ end }}tail", "tail"),
        ] {
            assert_eq!(render(template, VALUES).unwrap(), expected, "{template}");
        }
    }

    /// Half a template is another prompt: what is not understood is an error.
    #[test]
    fn what_is_not_understood_is_refused() {
        for template in [
            "{{ range .Messages }}{{ end }}",
            "{{ .Suffix }}",
            "{{ if and .System .Prompt }}x{{ end }}",
            "{{ .Prompt | upper }}",
            "{{ if .System }}",
            "{{ end }}",
            "{{ else }}",
            "{{ if .System }}{{ else }}{{ else }}{{ end }}",
            "{{ .Prompt",
            "{{}}",
        ] {
            let error = render(template, VALUES).unwrap_err();
            assert_eq!(error.param.as_deref(), Some("template"), "{template}");
        }
        let deep = "{{ if .Prompt }}".repeat(100);
        assert!(render(&deep, VALUES).is_err());
    }
}
