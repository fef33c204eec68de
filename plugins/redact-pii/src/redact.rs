//! The way in: detects over every text of an operation, then replaces.
//!
//! Two passes over the same fields. The first only reads: it finds, checks for what blocks, and learns
//! which tags the request already mentions. The second writes. So nothing is replaced in a request that
//! is refused, and a token that a user typed never equals one that is issued.

use atoll_sdk::filter::Finding;
use atoll_sdk::types::{Error, Operation};

use crate::detect::{Found, Kind};
use crate::json_text::{self, Leaf, LeafKind};
use crate::pseudonym::{self, Vault};
use crate::settings::{Action, Policy, Unreadable};
use crate::walk::{self, Fields, Slot};

/// What redacting a request gives.
#[derive(Debug, Default)]
pub struct Redacted {
    /// Values and tokens.
    pub vault: Vault,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Whether the operation was changed.
    pub changed: bool,
}

/// A request that the policy does not let through, and what was found in it.
#[derive(Debug)]
pub struct Refused {
    /// For the client.
    pub error: Error,
    /// For the audit.
    pub findings: Vec<Finding>,
}

impl Refused {
    fn new(error: Error, findings: Vec<Finding>) -> Box<Self> {
        Box::new(Refused { error, findings })
    }
}

/// One finding in one text, ready to replace.
#[derive(Debug)]
struct Hit {
    /// Range in the text as it is.
    start: usize,
    end: usize,
    kind: Kind,
    action: Action,
    /// The value as written, decoded; `None` if that is the range of the text.
    original: Option<String>,
    /// The value as the rules saw it; `None` if that is the original.
    folded: Option<String>,
    /// A bare JSON number, whose replacement needs quotes.
    number: bool,
}

/// Redacts `operation` in place.
///
/// # Errors
/// `blocked`, with paths and kinds but never content, when the policy refuses a kind or something cannot
/// be read.
pub fn redact(
    policy: &Policy,
    conversation: Option<&str>,
    operation: &mut Operation,
) -> Result<Redacted, Box<Refused>> {
    let root = conversation.map_or_else(
        || walk::root(operation),
        |c| format!("conversation\u{1f}{c}"),
    );
    let mut fields = Fields::of(operation);
    if policy.unreadable == Unreadable::Block
        && let Some(path) = fields.unreadable.first()
    {
        let findings = fields
            .unreadable
            .iter()
            .map(|p| finding("UNREADABLE", p, 0, 0, Action::Block))
            .collect();
        let message =
            format!("The redaction policy does not let through what it cannot read: {path}.");
        return Err(Refused::new(
            Error::blocked(message).with_param(path.clone()),
            findings,
        ));
    }
    let mut findings: Vec<Finding> = fields
        .unreadable
        .iter()
        .map(|p| finding("UNREADABLE", p, 0, 0, Action::Report))
        .collect();
    let mut hits: Vec<Vec<Hit>> = Vec::with_capacity(fields.texts.len());
    let mut any = false;
    for field in &fields.texts {
        let found = match &field.slot {
            Slot::Text(text) => free_text(policy, text),
            Slot::Json(text) => json(policy, text, false).unwrap_or_else(|| plain(policy, text)),
            Slot::Schema(text) => json(policy, text, true).unwrap_or_else(|| plain(policy, text)),
            Slot::Bytes(bytes) => std::str::from_utf8(bytes)
                .map(|text| free_text(policy, text))
                .unwrap_or_default(),
        };
        for hit in &found {
            findings.push(finding(
                policy.detector.name(hit.kind),
                &field.path,
                hit.start,
                hit.end,
                hit.action,
            ));
        }
        any |= found.iter().any(|h| h.action != Action::Report);
        hits.push(found);
    }
    if let Some(blocked) = findings.iter().find(|f| f.action == Action::Block.name()) {
        let message = format!(
            "The request holds {} in {}, which the redaction policy does not let through.",
            blocked.kind, blocked.path
        );
        return Err(Refused::new(
            Error::blocked(message).with_param(blocked.path.clone()),
            findings,
        ));
    }
    if !any {
        return Ok(Redacted {
            vault: Vault::default(),
            findings,
            changed: false,
        });
    }
    let texts: Vec<&str> = fields
        .texts
        .iter()
        .filter_map(|f| slot_text(&f.slot))
        .filter(|t| pseudonym::has_sentinel(t))
        .collect();
    let secrets_stay = !policy.restore_secrets;
    let tag = pseudonym::choose_tag(&policy.key, root.as_bytes(), |tag| {
        texts
            .iter()
            .any(|t| pseudonym::mentions(t, tag, secrets_stay))
    });
    let Some(tag) = tag else {
        return Err(Refused::new(
            Error::blocked("The request holds too many strings that look like pseudonyms."),
            findings,
        ));
    };
    drop(texts);
    let mut vault = Vault::new(tag);
    for (field, hits) in fields.texts.iter_mut().zip(&hits) {
        if hits.iter().all(|h| h.action == Action::Report) {
            continue;
        }
        let Some(text) = slot_text(&field.slot) else {
            continue;
        };
        let replaced = replace(policy, &mut vault, text, hits);
        match &mut field.slot {
            Slot::Text(t) | Slot::Json(t) | Slot::Schema(t) => **t = replaced,
            Slot::Bytes(b) => **b = replaced.into_bytes(),
        }
    }
    Ok(Redacted {
        vault,
        findings,
        changed: true,
    })
}

fn slot_text<'a>(slot: &'a Slot<'_>) -> Option<&'a str> {
    match slot {
        Slot::Text(t) | Slot::Json(t) | Slot::Schema(t) => Some(t),
        Slot::Bytes(b) => std::str::from_utf8(b).ok(),
    }
}

fn finding(kind: &str, path: &str, start: usize, end: usize, action: Action) -> Finding {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Finding {
        kind: kind.to_owned(),
        path: path.to_owned(),
        start: small(start),
        end: small(end),
        action: action.name().to_owned(),
    }
}

/// Free text; an object or array in it is read as JSON, so that escapes hide nothing.
fn free_text(policy: &Policy, text: &str) -> Vec<Hit> {
    if text.trim_start().starts_with(['{', '['])
        && text.contains('"')
        && let Some(hits) = json(policy, text, false)
    {
        return hits;
    }
    plain(policy, text)
}

fn plain(policy: &Policy, text: &str) -> Vec<Hit> {
    policy
        .detector
        .find(text)
        .into_iter()
        .map(|f| Hit {
            start: f.start,
            end: f.end,
            kind: f.kind,
            action: policy.action(f.kind),
            original: None,
            folded: f.folded,
            number: false,
        })
        .collect()
}

/// Keys of a JSON Schema whose values are structure.
const STRUCTURE: &[&str] = &[
    "type",
    "format",
    "pattern",
    "$ref",
    "$schema",
    "$id",
    "$anchor",
    "required",
    "contentEncoding",
    "contentMediaType",
];

/// The strings, keys and numbers of a JSON text. A value is read behind its key (`cin: 09876543`), which
/// is often the only context it has.
fn json(policy: &Policy, text: &str, schema: bool) -> Option<Vec<Hit>> {
    let leaves = json_text::leaves(text)?;
    let mut hits = Vec::new();
    let mut buf = String::new();
    for (i, leaf) in leaves.iter().enumerate() {
        if schema && leaf.kind != LeafKind::Key && STRUCTURE.contains(&leaf.key.as_ref()) {
            continue;
        }
        if leaf.value.len() < 5 || (leaf.kind == LeafKind::Number && leaf.value.len() < 7) {
            continue;
        }
        let key = json_text::name_of(&leaves, i);
        let shown = if leaf.kind == LeafKind::Key
            || key.is_empty()
            || key.len() > 64
            || leaf.value.len() > 256
        {
            0
        } else {
            buf.clear();
            // The value's own words decide when it has many; the key is one more.
            buf.push_str(key);
            buf.push_str(": ");
            buf.len()
        };
        let found = if shown == 0 {
            policy.detector.find(&leaf.value)
        } else {
            buf.push_str(&leaf.value);
            policy.detector.find(&buf)
        };
        for f in found {
            if f.start < shown {
                continue;
            }
            hits.push(leaf_hit(policy, leaf, f, shown, schema));
        }
    }
    Some(hits)
}

fn leaf_hit(policy: &Policy, leaf: &Leaf<'_>, f: Found, shown: usize, schema: bool) -> Hit {
    let (from, to) = (f.start - shown, f.end - shown);
    let number = leaf.kind == LeafKind::Number;
    let (start, end) = if number {
        (leaf.start, leaf.end)
    } else {
        leaf.range(from, to)
    };
    let original = if number {
        leaf.value.to_string()
    } else {
        leaf.value.get(from..to).unwrap_or_default().to_owned()
    };
    // A property's name cannot change without breaking the tool.
    let action = if schema && leaf.kind == LeafKind::Key && policy.action(f.kind) != Action::Report
    {
        Action::Block
    } else {
        policy.action(f.kind)
    };
    Hit {
        start,
        end,
        kind: f.kind,
        action,
        original: Some(original),
        folded: f.folded,
        number,
    }
}

fn replace(policy: &Policy, vault: &mut Vault, text: &str, hits: &[Hit]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for hit in hits {
        if hit.action == Action::Report || hit.start < from {
            continue;
        }
        out.push_str(text.get(from..hit.start).unwrap_or_default());
        if hit.number {
            out.push('"');
        }
        let written = text.get(hit.start..hit.end).unwrap_or_default();
        let original = hit.original.as_deref().unwrap_or(written);
        match hit.action {
            Action::Mask => out.extend(
                original
                    .chars()
                    .filter(|c| !c.is_control() && !matches!(c, '"' | '\\'))
                    .map(|c| if c.is_alphanumeric() { 'X' } else { c }),
            ),
            Action::Drop => {}
            _ => {
                let normal = pseudonym::normal_form(
                    hit.kind,
                    hit.folded.as_deref().unwrap_or(original),
                    original,
                    policy.detector.rules(),
                );
                out.push_str(vault.token(
                    policy.detector.label(hit.kind),
                    normal,
                    original,
                    policy.restorable(hit.kind),
                ));
            }
        }
        if hit.number {
            out.push('"');
        }
        from = hit.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}
