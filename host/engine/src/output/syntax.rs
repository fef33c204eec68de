//! How model families mark reasoning and tool calls, as data.

/// Everything one model marks in its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OutputSyntax {
    /// How reasoning is marked, if this model reasons and the split is wanted.
    pub reasoning: Option<ReasoningSyntax>,
    /// How calls are marked, if tools were offered.
    pub tools: Option<ToolSyntax>,
}

/// Reasoning at the beginning of an answer, between two markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasoningSyntax {
    /// `<think>`.
    pub open: &'static str,
    /// `</think>`.
    pub close: &'static str,
}

/// A way to write tool calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToolSyntax {
    /// For logs and `show`.
    pub name: &'static str,
    /// Comes before a call, or before the list of calls.
    pub open: &'static str,
    /// Comes after a call, or nothing.
    pub close: Option<&'static str>,
    /// How name and arguments are written.
    pub header: CallHeader,
    /// The calls are a JSON array after one `open`.
    pub list: bool,
    /// A whole answer that begins with `{` is a call, without `open`; `;` may separate several.
    pub bare: bool,
    /// The key of the arguments in a JSON header.
    pub arguments_key: &'static str,
}

/// How one call begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallHeader {
    /// `{"name": ..., "arguments": ...}`, keys in any order.
    Object,
    /// The name, this separator, then the arguments.
    Named(&'static str),
}

impl ReasoningSyntax {
    /// `<think>...</think>`: Qwen3, DeepSeek and many others.
    pub const THINK: Self = Self {
        open: "<think>",
        close: "</think>",
    };
}

impl ToolSyntax {
    /// Hermes, Qwen2.5 and Qwen3: one JSON object between tags.
    pub const HERMES: Self = Self {
        name: "hermes",
        open: "<tool_call>",
        close: Some("</tool_call>"),
        header: CallHeader::Object,
        list: false,
        bare: false,
        arguments_key: "arguments",
    };
    /// Llama 3.x: the answer is the call, after `<|python_tag|>` or bare.
    pub const LLAMA3: Self = Self {
        name: "llama3",
        open: "<|python_tag|>",
        close: None,
        header: CallHeader::Object,
        list: false,
        bare: true,
        arguments_key: "parameters",
    };
    /// Mistral until mid 2024 (tokenizer v3 to v7): a JSON array.
    pub const MISTRAL: Self = Self {
        name: "mistral",
        open: "[TOOL_CALLS]",
        close: None,
        header: CallHeader::Object,
        list: true,
        bare: false,
        arguments_key: "arguments",
    };
    /// Mistral since tokenizer v11: `[TOOL_CALLS]name[ARGS]{...}`.
    pub const MISTRAL_NAMED: Self = Self {
        name: "mistral-v11",
        open: "[TOOL_CALLS]",
        close: None,
        header: CallHeader::Named("[ARGS]"),
        list: false,
        bare: false,
        arguments_key: "arguments",
    };
}

impl OutputSyntax {
    /// What a chat template teaches its model to write, from the markers in the template's source.
    #[must_use]
    pub fn detect(template: &str) -> Self {
        let tools = if template.contains(ToolSyntax::HERMES.open) {
            Some(ToolSyntax::HERMES)
        } else if template.contains("[TOOL_CALLS]") {
            Some(if template.contains("[ARGS]") {
                ToolSyntax::MISTRAL_NAMED
            } else {
                ToolSyntax::MISTRAL
            })
        } else if template.contains("<|python_tag|>")
            || (template.contains("<|start_header_id|>") && template.contains("\"parameters\""))
        {
            Some(ToolSyntax::LLAMA3)
        } else {
            None
        };
        let reasoning = template
            .contains(ReasoningSyntax::THINK.close)
            .then_some(ReasoningSyntax::THINK);
        Self { reasoning, tools }
    }

    /// Whether there is nothing to look for.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.reasoning.is_none() && self.tools.is_none()
    }
}
