//! The families that are served: one description each, recognised by what their chat templates contain.
//!
//! A family is added here and in `tests/fixtures/outputs`, not in code, as long as it writes calls in one
//! of the ways of [`CallHeader`].

use super::syntax::{CallHeader, NamedHeader, PairHeader, ReasoningSyntax, ToolSyntax};

/// A way to write calls, and the texts that a chat template which teaches it contains.
pub(super) struct Family {
    pub markers: &'static [&'static str],
    pub syntax: ToolSyntax,
}

/// Every way to write calls; the first whose markers are all there is taken, so the special ones stand
/// before the general.
pub(super) const TOOLS: [Family; 13] = [
    Family {
        markers: &["<|channel|>", "<|message|>", "<|start|>"],
        syntax: ToolSyntax::HARMONY,
    },
    Family {
        markers: &["<tool_call>", "<arg_key>"],
        syntax: ToolSyntax::GLM,
    },
    Family {
        markers: &["<tool_call>", "<function="],
        syntax: ToolSyntax::QWEN_CODER,
    },
    Family {
        markers: &["<tool_call>"],
        syntax: ToolSyntax::HERMES,
    },
    Family {
        markers: &["[TOOL_CALLS]", "[ARGS]"],
        syntax: ToolSyntax::MISTRAL_NAMED,
    },
    Family {
        markers: &["[TOOL_CALLS]"],
        syntax: ToolSyntax::MISTRAL,
    },
    Family {
        markers: &["<｜tool▁calls▁begin｜>", "```json"],
        syntax: ToolSyntax::DEEPSEEK_R1,
    },
    Family {
        markers: &["<｜tool▁calls▁begin｜>"],
        syntax: ToolSyntax::DEEPSEEK_V31,
    },
    Family {
        markers: &["<|tool_calls_section_begin|>"],
        syntax: ToolSyntax::KIMI,
    },
    Family {
        markers: &["<|python_start|>"],
        syntax: ToolSyntax::LLAMA4,
    },
    Family {
        markers: &["<|start_header_id|>", "[func_name1("],
        syntax: ToolSyntax::PYTHONIC,
    },
    Family {
        markers: &["<|python_tag|>"],
        syntax: ToolSyntax::LLAMA3,
    },
    Family {
        markers: &["<|start_header_id|>", "\"parameters\""],
        syntax: ToolSyntax::LLAMA3,
    },
];

/// Every way to mark reasoning.
pub(super) const REASONING: [ReasoningSyntax; 4] = [
    ReasoningSyntax::THINK,
    ReasoningSyntax::MAGISTRAL,
    ReasoningSyntax::KIMI_VL,
    ReasoningSyntax::SEED,
];

/// Markers of harmony.
pub(super) const HARMONY_MARKERS: [&str; 7] = [
    "<|start|>",
    "<|channel|>",
    "<|message|>",
    "<|constrain|>",
    "<|end|>",
    "<|call|>",
    "<|return|>",
];

/// Special tokens inside longer markers.
pub(super) const PARTS: [&str; 2] = ["<｜tool▁sep｜>", "<｜tool▁call▁end｜>"];

impl ReasoningSyntax {
    /// `<think>...</think>`: Qwen3, DeepSeek, GLM and many others.
    pub const THINK: Self = Self {
        open: "<think>",
        close: "</think>",
    };
    /// Magistral.
    pub const MAGISTRAL: Self = Self {
        open: "[THINK]",
        close: "[/THINK]",
    };
    /// Kimi-VL and Kimi 1.5.
    pub const KIMI_VL: Self = Self {
        open: "◁think▷",
        close: "◁/think▷",
    };
    /// Seed-OSS.
    pub const SEED: Self = Self {
        open: "<seed:think>",
        close: "</seed:think>",
    };
}

/// What most families share.
const PLAIN: ToolSyntax = ToolSyntax {
    name: "",
    open: "",
    each: None,
    header: CallHeader::Object("arguments"),
    close: None,
    end: None,
    list: false,
    bare: false,
};

impl ToolSyntax {
    /// Hermes, Qwen2.5 and Qwen3: one JSON object between tags.
    pub const HERMES: Self = Self {
        name: "hermes",
        open: "<tool_call>",
        close: Some("</tool_call>"),
        ..PLAIN
    };
    /// Llama 3.x: the answer is the call, after `<|python_tag|>` or bare; `;` may separate several.
    pub const LLAMA3: Self = Self {
        name: "llama3",
        open: "<|python_tag|>",
        header: CallHeader::Object("parameters"),
        bare: true,
        ..PLAIN
    };
    /// Llama 3.2 and 4 where the template asks for a Python list of calls.
    pub const PYTHONIC: Self = Self {
        name: "pythonic",
        open: "<|python_tag|>",
        header: CallHeader::Python,
        list: true,
        bare: true,
        ..PLAIN
    };
    /// Llama 4.
    pub const LLAMA4: Self = Self {
        name: "llama4",
        open: "<|python_start|>",
        header: CallHeader::Python,
        end: Some("<|python_end|>"),
        list: true,
        bare: true,
        ..PLAIN
    };
    /// Mistral until mid 2024 (tokenizer v3 to v7): a JSON array.
    pub const MISTRAL: Self = Self {
        name: "mistral",
        open: "[TOOL_CALLS]",
        list: true,
        ..PLAIN
    };
    /// Mistral since tokenizer v11: `[TOOL_CALLS]name[ARGS]{...}`, some with `[CALL_ID]` before `[ARGS]`.
    pub const MISTRAL_NAMED: Self = Self {
        name: "mistral-v11",
        open: "[TOOL_CALLS]",
        header: CallHeader::Named(NamedHeader {
            before: "",
            prefix: "",
            cut: Some("[CALL_ID]"),
            separators: &["[ARGS]", "{"],
        }),
        ..PLAIN
    };
    /// DeepSeek V3 and R1: a section of calls, arguments in a fenced block.
    pub const DEEPSEEK_R1: Self = Self {
        name: "deepseek-r1",
        open: "<｜tool▁calls▁begin｜>",
        each: Some("<｜tool▁call▁begin｜>"),
        header: CallHeader::Named(NamedHeader {
            before: "function<｜tool▁sep｜>",
            prefix: "",
            cut: None,
            separators: &["\n```json\n"],
        }),
        close: Some("```<｜tool▁call▁end｜>"),
        end: Some("<｜tool▁calls▁end｜>"),
        ..PLAIN
    };
    /// DeepSeek V3.1: a section of calls, arguments after the separator.
    pub const DEEPSEEK_V31: Self = Self {
        name: "deepseek-v3.1",
        open: "<｜tool▁calls▁begin｜>",
        each: Some("<｜tool▁call▁begin｜>"),
        header: CallHeader::Named(NamedHeader {
            before: "",
            prefix: "",
            cut: None,
            separators: &["<｜tool▁sep｜>"],
        }),
        close: Some("<｜tool▁call▁end｜>"),
        end: Some("<｜tool▁calls▁end｜>"),
        ..PLAIN
    };
    /// Kimi K2: a section of calls named `functions.name:0`.
    pub const KIMI: Self = Self {
        name: "kimi-k2",
        open: "<|tool_calls_section_begin|>",
        each: Some("<|tool_call_begin|>"),
        header: CallHeader::Named(NamedHeader {
            before: "",
            prefix: "functions.",
            cut: Some(":"),
            separators: &["<|tool_call_argument_begin|>"],
        }),
        close: Some("<|tool_call_end|>"),
        end: Some("<|tool_calls_section_end|>"),
        ..PLAIN
    };
    /// GLM 4.5 and later.
    pub const GLM: Self = Self {
        name: "glm",
        open: "<tool_call>",
        header: CallHeader::Pairs(PairHeader {
            name_open: "",
            name_close: "\n",
            key_open: "<arg_key>",
            key_close: "</arg_key>",
            value_open: "<arg_value>",
            value_close: "</arg_value>",
            end: "</tool_call>",
            lines: false,
        }),
        ..PLAIN
    };
    /// Qwen3-Coder.
    pub const QWEN_CODER: Self = Self {
        name: "qwen3-coder",
        open: "<tool_call>",
        header: CallHeader::Pairs(PairHeader {
            name_open: "<function=",
            name_close: ">",
            key_open: "<parameter=",
            key_close: ">",
            value_open: "",
            value_close: "</parameter>",
            end: "</function>",
            lines: true,
        }),
        close: Some("</tool_call>"),
        ..PLAIN
    };
    /// gpt-oss.
    pub const HARMONY: Self = Self {
        name: "harmony",
        open: "<|channel|>",
        header: CallHeader::Harmony,
        ..PLAIN
    };
}
