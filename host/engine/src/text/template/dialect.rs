//! Jinja as Hugging Face runs it: the environment that chat templates expect, inside limits.
//!
//! Templates come with the model and are untrusted code. Each render has a budget of
//! [`FUEL`] (an instruction costs one, 64 bytes of data cost one, so it bounds time and memory),
//! a limit on nesting and one on the output. There is no loader: `include` finds nothing.
//!
//! A list can hold another list many times, so a small template can build a value whose text is
//! larger than any memory. Where such a value becomes text (output, `string`, `tojson`, methods, our
//! own functions) its size is charged before the text is made ([`charge_tree`]). Known to be left
//! open, because the template engine offers no place to charge it: the operators `~`, `in` and `==`
//! and the other string filters on a list that was doubled over and over. Closing that takes a
//! sandbox around the engine; until then a model's folder is trusted this far.

use std::io;
use std::time::SystemTime;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value, escape_formatter,
};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::super::TextError;
use super::clock;
use super::json::{self, JsonStyle};

/// Budget of one render: a fraction of a second and at most 128 MB. A conversation of a thousand
/// messages costs the published templates about 200,000.
const FUEL: u64 = 2_000_000;
/// Nested blocks and macro calls. Published templates stay below 20; a tenth of a worker thread's
/// stack.
const RECURSION: usize = 120;
/// Longest prompt a template may write, in bytes: more than any context holds.
pub(super) const MAX_OUTPUT_BYTES: usize = 32 << 20;
/// Largest indentation of `tojson`; beyond it is only a way to make large output.
const MAX_INDENT: usize = 16;

/// Global that holds the moment of the render, for `strftime_now`.
const NOW: &str = "__atoll_now";

/// What `raise_exception` throws; found again in an error's chain of causes.
#[derive(Debug)]
struct Refusal(String);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// An environment with the Hugging Face dialect and no templates.
pub(super) fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    if let Ok(syntax) = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()
    {
        env.set_syntax(syntax);
    }
    env.set_debug(false);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(RECURSION);
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_unknown_method_callback(|state, value, method, args| {
        args.iter()
            .try_for_each(|argument| charge_tree(state, argument, 0))?;
        unknown_method_callback(state, value, method, args)
    });
    env.set_formatter(|out, state, value| match value.kind() {
        // As Python prints them.
        ValueKind::None => out.write_str("None").map_err(Error::from),
        ValueKind::Bool => out
            .write_str(if value.is_true() { "True" } else { "False" })
            .map_err(Error::from),
        ValueKind::Number if !value.is_integer() => match f64::try_from(value.clone()) {
            Ok(number) => out
                .write_str(&json::python_float(number))
                .map_err(Error::from),
            Err(_) => escape_formatter(out, state, value),
        },
        _ => {
            charge_tree(state, value, 0)?;
            escape_formatter(out, state, value)
        }
    });
    env.add_function("raise_exception", raise_exception);
    env.add_function("strftime_now", strftime_now);
    env.add_filter("tojson", tojson);
    env.add_filter("string", string);
    env
}

/// Pays for every item in `value`, counting one that is held twice twice.
fn charge_tree(state: &State<'_, '_>, value: &Value, depth: usize) -> Result<(), Error> {
    const DEEPEST: usize = 128;
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Map) {
        return Ok(());
    }
    if depth > DEEPEST {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "a value is nested too deeply",
        ));
    }
    for item in value.try_iter()?.checked() {
        let item = item?;
        // Visiting and printing an item takes about as long as four instructions.
        state.consume_fuel(4)?;
        let content = if value.kind() == ValueKind::Map {
            value.get_item(&item)?
        } else {
            item
        };
        charge_tree(state, &content, depth + 1)?;
    }
    Ok(())
}

fn string(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    if value.kind() == ValueKind::String {
        return Ok(value.clone());
    }
    charge_tree(state, value, 0)?;
    Ok(Value::from(value.to_string()))
}

/// `{% generation %}` marks the assistant's part for training. To a renderer it is a block that
/// changes nothing, and an `if` keeps the whitespace rules of block tags.
pub(super) fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag) = rest.split_at(start);
        out.push_str(before);
        let end = tag.find("%}").map_or(tag.len(), |end| end + 2);
        let (tag, after) = tag.split_at(end);
        let name = tag
            .trim_start_matches("{%")
            .trim_end_matches("%}")
            .trim_matches(['-', '+'])
            .trim();
        match name {
            "generation" => out.push_str(&tag.replacen("generation", "if true", 1)),
            "endgeneration" => out.push_str(&tag.replacen("endgeneration", "endif", 1)),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Renders `template` of `env` with these variables.
pub(super) fn render(
    env: &Environment<'_>,
    template: &str,
    variables: Vec<(String, Value)>,
    now: SystemTime,
) -> Result<String, TextError> {
    let template = env
        .get_template(template)
        .map_err(|error| explain(&error))?;
    let seconds = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let context = variables
        .into_iter()
        .chain([(NOW.to_owned(), Value::from(seconds))]);
    let mut output = Limited {
        bytes: Vec::new(),
        exceeded: false,
    };
    let rendered = template
        .render_captured_to(Value::from_pairs(context), &mut output)
        .map(|_| ());
    if output.exceeded {
        return Err(TextError::TemplateLimit("output size"));
    }
    rendered.map_err(|error| explain(&error))?;
    String::from_utf8(output.bytes)
        .map_err(|_| TextError::TemplateFailed("wrote invalid UTF-8".to_owned()))
}

/// The typed error behind a minijinja error.
pub(super) fn explain(error: &Error) -> TextError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(Refusal(message)) = current.downcast_ref::<Refusal>() {
            return TextError::TemplateRefused(message.clone());
        }
        if let Some(inner) = current.downcast_ref::<Error>() {
            if inner.kind() == ErrorKind::OutOfFuel {
                return TextError::TemplateLimit("work");
            }
            if inner
                .detail()
                .is_some_and(|detail| detail.contains("recursion limit"))
            {
                return TextError::TemplateLimit("nesting");
            }
            if inner.kind() == ErrorKind::SyntaxError {
                return TextError::TemplateSyntax(brief(&error.to_string()));
            }
        }
        cause = current.source();
    }
    TextError::TemplateFailed(brief(&error.to_string()))
}

/// At most a few lines of what a template can make arbitrarily long.
fn brief(message: &str) -> String {
    const LONGEST: usize = 1000;
    match message.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", message.get(..end).unwrap_or("")),
        None => message.to_owned(),
    }
}

/// A buffer that refuses to grow beyond the limit.
struct Limited {
    bytes: Vec<u8>,
    exceeded: bool,
}

impl io::Write for &mut Limited {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + data.len() > MAX_OUTPUT_BYTES {
            self.exceeded = true;
            return Err(io::Error::other("the output is too large"));
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn raise_exception(state: &State<'_, '_>, message: &Value) -> Result<Value, Error> {
    charge_tree(state, message, 0)?;
    let refusal = Refusal(brief(&message.to_string()));
    Err(Error::new(
        ErrorKind::InvalidOperation,
        "the template raised an exception",
    )
    .with_source(refusal))
}

fn strftime_now(state: &State<'_, '_>, format: &str) -> String {
    let seconds = state
        .lookup(NOW)
        .and_then(|now| u64::try_from(now).ok())
        .unwrap_or(0);
    let now = SystemTime::UNIX_EPOCH.checked_add(std::time::Duration::from_secs(seconds));
    clock::strftime(format, now.unwrap_or(SystemTime::UNIX_EPOCH))
}

/// `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`. A number given by
/// position is taken as the indentation, as in plain Jinja.
fn tojson(
    state: &State<'_, '_>,
    value: &Value,
    positional: Rest<Value>,
    options: Kwargs,
) -> Result<Value, Error> {
    let named_indent: Option<Value> = options.get("indent")?;
    let mut ensure_ascii: Option<bool> = options.get("ensure_ascii")?;
    let mut indent = named_indent;
    for argument in positional.0 {
        match argument.kind() {
            ValueKind::Bool => ensure_ascii = Some(argument.is_true()),
            _ => indent = Some(argument),
        }
    }
    let indent = match indent.filter(|indent| !indent.is_none() && !indent.is_undefined()) {
        None => None,
        Some(indent) => Some(usize::try_from(indent)?.min(MAX_INDENT)),
    };
    let mut style = JsonStyle::new(indent);
    style.ensure_ascii = ensure_ascii.unwrap_or(false);
    style.sort_keys = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    if let Some(separators) = options
        .get::<Option<Value>>("separators")?
        .filter(|value| !value.is_none())
    {
        let part = |index| {
            let part = separators.get_item_by_index(index)?;
            let wrong = || {
                Error::new(
                    ErrorKind::InvalidOperation,
                    "tojson: separators must be two strings",
                )
            };
            part.as_str().map(brief).ok_or_else(wrong)
        };
        style.item_separator = part(0)?;
        style.key_separator = part(1)?;
    }
    options.assert_all_used()?;
    json::write(state, value, &style).map(Value::from)
}
