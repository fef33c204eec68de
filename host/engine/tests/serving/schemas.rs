//! Answers bound by generated JSON Schemas, on the demo model's real vocabulary and without a model:
//! each token is drawn blindly from the grammar's mask.
//!
//! Two directions, against a validator that is not ours: every answer the grammar lets through parses
//! and validates, and every instance made together with its schema is let through. A growing wish to
//! end keeps strings and arrays finite, so an answer that does not end is a grammar that hangs.

use std::path::Path;

use atoll_engine::engine::ModelText;
use atoll_engine::executor::TokenId;
use atoll_engine::grammar::{Grammar, GrammarCompiler, GrammarSpec};
use atoll_engine::store::{ModelFolder, TextModel};
use serde_json::{Map, Value, json};

/// Schemas, each with one instance and one answer.
const SCHEMAS: u64 = 520;

/// Tokens after which an answer takes every way to its end.
const PATIENCE: usize = 24;

/// Longest answer. The deepest schema of the generator needs a fraction of it.
const LONGEST: usize = 2000;

/// Small, fast, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }
}

/// A schema and an instance of it.
fn generate(random: &mut Random, depth: u32) -> (Value, Value) {
    let kinds = if depth == 0 { 10 } else { 15 };
    match random.below(kinds) {
        0 => (json!({"type": "boolean"}), json!(random.below(2) == 0)),
        1 => (json!({"type": "null"}), Value::Null),
        2 => {
            let low = random.below(2000) as i64 - 1000;
            let high = low + random.below(500) as i64;
            let at = low + random.below((high - low + 1) as u64) as i64;
            (
                json!({"type": "integer", "minimum": low, "maximum": high}),
                json!(at),
            )
        }
        3 => (
            json!({"type": "number", "exclusiveMinimum": 0}),
            json!(0.5 + random.below(9) as f64),
        ),
        4 => {
            let least = random.below(4) as usize;
            let most = least + random.below(12) as usize;
            let text = random
                .pick(&["a", "é", "م", "🌊", "\"", "\\"])
                .repeat(least);
            (
                json!({"type": "string", "minLength": least, "maxLength": most}),
                json!(text),
            )
        }
        5 => {
            let values = [
                json!("red"),
                json!(3),
                Value::Null,
                json!("ازرق"),
                json!([1]),
                json!({"a": 1}),
            ];
            let kept = values.into_iter().cycle().skip(random.below(6) as usize);
            let kept: Vec<Value> = kept.take(1 + random.below(4) as usize).collect();
            (json!({"enum": kept}), random.pick(&kept))
        }
        6 => {
            let value = random.pick(&[json!("fixed"), json!(-7), json!(true), json!([null, "x"])]);
            (json!({"const": value}), value)
        }
        7 => {
            let (pattern, text) = random.pick(&[
                ("^[a-c]{2,4}$", "abca"),
                ("^\\+216 [0-9]{2} [0-9]{3} [0-9]{3}$", "+216 71 123 456"),
                ("^(north|south)-[0-9]+$", "south-4"),
                ("^[A-Z][a-z]*$", "Tunis"),
            ]);
            (json!({"type": "string", "pattern": pattern}), json!(text))
        }
        8 => {
            let (format, text) = random.pick(&[
                ("date", "2026-11-26"),
                ("uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"),
                ("ipv4", "127.0.0.1"),
                ("time", "12:30:00Z"),
            ]);
            (json!({"type": "string", "format": format}), json!(text))
        }
        9 => (
            json!({"type": ["integer", "null"]}),
            random.pick(&[json!(12), Value::Null]),
        ),
        10 => {
            let (items, item) = generate(random, depth - 1);
            let least = random.below(3) as usize;
            let most = least + random.below(3) as usize;
            let schema =
                json!({"type": "array", "items": items, "minItems": least, "maxItems": most});
            (schema, Value::Array(vec![item; least]))
        }
        11 => {
            let (first, one) = generate(random, depth - 1);
            let (second, two) = generate(random, depth - 1);
            let schema = json!({"type": "array", "prefixItems": [first, second], "items": false,
                "minItems": 2});
            (schema, json!([one, two]))
        }
        12 => {
            let (left, instance) = generate(random, depth - 1);
            let (right, other) = generate(random, depth - 1);
            let instance = random.pick(&[instance, other]);
            (json!({"anyOf": [left, right]}), instance)
        }
        _ => object(random, depth),
    }
}

fn object(random: &mut Random, depth: u32) -> (Value, Value) {
    let names = ["name", "age", "a b", "اسم", "quote\"", "x_1", "default"];
    let mut properties = Map::new();
    let mut required = Vec::new();
    let mut instance = Map::new();
    for name in names
        .into_iter()
        .skip(random.below(4) as usize)
        .take(random.below(5) as usize)
    {
        let (schema, value) = generate(random, depth - 1);
        properties.insert(name.to_owned(), schema);
        let must = random.below(3) > 0;
        if must {
            required.push(json!(name));
        }
        if must || random.below(2) == 0 {
            instance.insert(name.to_owned(), value);
        }
    }
    let mut schema = json!({"type": "object", "properties": properties, "required": required,
        "additionalProperties": false});
    if random.below(4) == 0 {
        schema["additionalProperties"] = json!({"type": "integer"});
    }
    (schema, Value::Object(instance))
}

/// Every tenth schema is recursive.
fn top(random: &mut Random, index: u64) -> (Value, Value) {
    if !index.is_multiple_of(10) {
        return generate(random, 3);
    }
    let (payload, value) = generate(random, 1);
    let schema = json!({
        "$defs": {"node": {
            "type": "object",
            "properties": {
                "value": payload,
                "next": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]},
            },
            "required": ["value", "next"],
            "additionalProperties": false,
        }},
        "$ref": "#/$defs/node",
    });
    (
        schema,
        json!({"value": value, "next": {"value": value, "next": null}}),
    )
}

struct Vocabulary {
    model: TextModel,
    /// Tokens that bring JSON closer to its end.
    closers: Vec<TokenId>,
}

impl Vocabulary {
    fn open() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/atoll-demo");
        let model = ModelFolder::new("atoll-demo", path).load_text().unwrap();
        let size = model.spec.vocab_size as TokenId;
        let closes = |token: &TokenId| {
            matches!(
                model.token_bytes(*token).as_slice(),
                b"\"" | b"}" | b"]" | b"\"}" | b"null"
            )
        };
        let closers = (0..size)
            .filter(closes)
            .chain(model.eos().iter().copied())
            .collect();
        Self { model, closers }
    }

    /// An answer drawn blindly, or `None` if it does not end.
    fn answer(&self, grammar: &Grammar, random: &mut Random) -> Option<String> {
        let mut state = grammar.start();
        let mut bytes = Vec::new();
        for drawn in 0..LONGEST {
            let mask = state.mask().unwrap();
            let allows = |token: TokenId| mask[token as usize / 32] >> (token % 32) & 1 == 1;
            let all = (0..mask.len() as TokenId * 32).filter(|&token| allows(token));
            let allowed: Vec<TokenId> = all.collect();
            assert!(
                !allowed.is_empty(),
                "nothing may follow {:?}",
                String::from_utf8_lossy(&bytes)
            );
            let closers = self.closers.iter().copied().filter(|&token| allows(token));
            let closers: Vec<TokenId> = closers.collect();
            let hurry = drawn > PATIENCE && !closers.is_empty();
            let token = random.pick(if hurry { &closers } else { &allowed });
            if self.model.eos().contains(&token) {
                return Some(String::from_utf8(bytes).unwrap());
            }
            state.accept(token).unwrap();
            bytes.extend(self.model.token_bytes(token));
        }
        None
    }

    /// Whether a grammar lets this text through as a whole.
    fn takes(&self, grammar: &Grammar, text: &str) -> bool {
        let mut state = grammar.start();
        let tokens = self.model.encode(text, false).unwrap();
        tokens.iter().all(|&token| state.accept(token).is_ok()) && state.may_end()
    }
}

#[test]
fn answers_under_generated_schemas_parse_and_validate_and_none_hangs() {
    let vocabulary = Vocabulary::open();
    let model = &vocabulary.model;
    let compiler = GrammarCompiler::new(&model.vocabulary(), model.eos()).unwrap();
    let mut random = Random(0x5EED_1234_ABCD_0001);
    for index in 0..SCHEMAS {
        let (schema, instance) = top(&mut random, index);
        let grammar = compiler
            .compile(&GrammarSpec::JsonSchema(schema.clone()))
            .unwrap_or_else(|error| panic!("{schema}: {error}"));
        let validator = jsonschema::validator_for(&schema).unwrap();
        assert!(
            validator.is_valid(&instance),
            "the generator erred: {instance} under {schema}"
        );
        assert!(
            vocabulary.takes(&grammar, &instance.to_string()),
            "{instance} is refused under {schema}"
        );
        let answer = vocabulary
            .answer(&grammar, &mut random)
            .unwrap_or_else(|| panic!("no end under {schema}"));
        let value: Value = serde_json::from_str(&answer)
            .unwrap_or_else(|error| panic!("{answer}: {error}, under {schema}"));
        assert!(
            validator.is_valid(&value),
            "{value} was let through under {schema}"
        );
    }
}
