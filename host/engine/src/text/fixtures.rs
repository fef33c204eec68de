//! Small tokenizers for tests, in the two shapes that published models have.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::tokenizer::Tokenizer;

/// Byte-level BPE as in GPT-2, Llama 3 and Qwen: 256 byte tokens, a few merges, ChatML tokens.
pub fn byte_level_json() -> String {
    // GPT-2's order: the printable bytes first, then the others from U+0100.
    let printable = ('!'..='~').chain('¡'..='¬').chain('®'..='ÿ');
    let mut vocab: Map<String, Value> = Map::new();
    for char in printable.chain('\u{100}'..='\u{143}') {
        vocab.insert(char.to_string(), vocab.len().into());
    }
    let merges = [
        ("h", "e"),
        ("l", "l"),
        ("he", "ll"),
        ("hell", "o"),
        ("Ø", "§"),
        ("ð", "Ł"),
        ("ðŁ", "ĺ"),
    ];
    for (left, right) in merges {
        vocab.insert(format!("{left}{right}"), vocab.len().into());
    }
    let merges: Vec<String> = merges
        .iter()
        .map(|(left, right)| format!("{left} {right}"))
        .collect();
    let added: Vec<Value> = [
        ("<|endoftext|>", true),
        ("<|im_start|>", true),
        ("<|im_end|>", true),
        ("<think>", false),
    ]
    .iter()
    .enumerate()
    .map(|(index, (content, special))| {
        json!({"id": vocab.len() + index, "content": content, "single_word": false, "lstrip": false,
                   "rstrip": false, "normalized": false, "special": special})
    })
    .collect();
    let byte_level = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": true});
    json!({
        "version": "1.0", "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        "padding": null, "added_tokens": added, "normalizer": null, "pre_tokenizer": byte_level,
        "post_processor": null, "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocab, "merges": merges},
    })
    .to_string()
}

/// Sentencepiece as in Llama 2 and Mistral: `▁` for spaces, byte fallback, a BOS.
pub fn sentencepiece_json() -> String {
    let mut vocab: Map<String, Value> = Map::new();
    for token in ["<unk>", "<s>", "</s>"] {
        vocab.insert(token.to_owned(), vocab.len().into());
    }
    for byte in 0..=255_u8 {
        vocab.insert(format!("<0x{byte:02X}>"), vocab.len().into());
    }
    for char in "▁abcdefghijklmnopqrstuvwxyz".chars() {
        vocab.insert(char.to_string(), vocab.len().into());
    }
    let merges = [
        ("h", "e"),
        ("l", "l"),
        ("he", "ll"),
        ("hell", "o"),
        ("▁", "hello"),
    ];
    for (left, right) in merges {
        vocab.insert(format!("{left}{right}"), vocab.len().into());
    }
    let merges: Vec<String> = merges
        .iter()
        .map(|(left, right)| format!("{left} {right}"))
        .collect();
    let added: Vec<Value> = ["<unk>", "<s>", "</s>"]
        .iter()
        .enumerate()
        .map(|(id, content)| {
            json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                   "normalized": false, "special": true})
        })
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null,
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
                  "vocab": vocab, "merges": merges},
    })
    .to_string()
}

/// The byte-level fixture, loaded once.
pub fn byte_level() -> Tokenizer {
    static TOKENIZER: LazyLock<Tokenizer> =
        LazyLock::new(|| Tokenizer::from_bytes(byte_level_json().as_bytes()).unwrap());
    TOKENIZER.clone()
}

/// The sentencepiece fixture, loaded once.
pub fn sentencepiece() -> Tokenizer {
    static TOKENIZER: LazyLock<Tokenizer> =
        LazyLock::new(|| Tokenizer::from_bytes(sentencepiece_json().as_bytes()).unwrap());
    TOKENIZER.clone()
}

/// Latin, Arabic, CJK, emoji with joiners, spaces and newlines.
pub fn any_text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "hello",
        " ",
        "  ",
        "\n",
        "\t",
        "a",
        "é",
        "مرحبا",
        "العالم ",
        "日本",
        "👩‍👩‍👧",
        "😀",
        "🇫🇷",
        "ß",
        "\u{301}",
        "0",
        "!",
        "z",
    ]);
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}
