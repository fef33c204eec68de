//! From what a client demands of an answer to what enforces and reads it.
//!
//! [`AnswerRules`] are the demands: tools and whether they must be called, a form, a limit on reasoning.
//! [`plan`] joins them with what the model writes by itself (its family's markers, where the prompt leaves
//! the reasoning) into an [`AnswerPlan`]: a grammar with its scope, a budget, and the parser for the text.

use std::sync::Arc;

use super::constraint::{Constraint, ReasoningBudget, Scope};
use super::text::ModelText;
use super::{EngineError, PromptReasoning};
use crate::executor::TokenId;
use crate::grammar::{Grammar, GrammarError, GrammarSpec};
use crate::output::{
    CallableTool, OutputParser, OutputSyntax, ToolDemand, ToolSpec, after_reasoning,
    auto_call_grammar, demanded_call_grammar, harmony_answer,
};

/// What a client demands of an answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AnswerRules {
    /// Tools that may be called.
    pub tools: Vec<ToolSpec>,
    /// How many must be; `None` leaves it to the model.
    pub demand: Option<ToolDemand>,
    /// At most one call.
    pub single_call: bool,
    /// Refuse a schema that cannot be enforced, where otherwise well-formed JSON would do.
    pub strict: bool,
    /// What an answer that is no call must look like.
    pub form: Option<GrammarSpec>,
    /// Tokens of reasoning at most.
    pub reasoning_budget: Option<u32>,
    /// A model that cannot reason is refused.
    pub reasoning_required: bool,
}

/// How an answer is enforced and read.
#[derive(Debug, Clone)]
pub struct AnswerPlan {
    /// For `GenerateRequest::constraint`.
    pub constraint: Option<Constraint>,
    /// For `GenerateRequest::reasoning_budget`.
    pub reasoning_budget: Option<ReasoningBudget>,
    /// For `GenerateRequest::shown_tokens`.
    pub shown_tokens: Arc<[TokenId]>,
    /// At most one call; whatever follows it is dropped.
    pub single_call: bool,
    syntax: OutputSyntax,
    tools: Vec<CallableTool>,
    inside_reasoning: bool,
}

impl AnswerPlan {
    /// A plan for text that is passed on as it is.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            constraint: None,
            reasoning_budget: None,
            shown_tokens: Arc::new([]),
            single_call: false,
            syntax: OutputSyntax::default(),
            tools: Vec::new(),
            inside_reasoning: false,
        }
    }

    /// The parser for one choice.
    #[must_use]
    pub fn parser(&self) -> OutputParser {
        OutputParser::new(self.syntax, self.tools.clone(), self.inside_reasoning)
    }

    /// The family's way of calling, where tools were offered.
    #[must_use]
    pub fn call_syntax(&self) -> Option<&'static str> {
        self.syntax.tools.map(|tools| tools.name)
    }
}

/// Plans an answer to a prompt that leaves the reasoning as `reasoning` says; `None` for a prompt that is no
/// conversation. `compile` makes grammars for the model's vocabulary.
pub(super) fn plan(
    text: &dyn ModelText,
    reasoning: Option<PromptReasoning>,
    rules: &AnswerRules,
    compile: impl Fn(&GrammarSpec) -> Result<Arc<Grammar>, GrammarError>,
) -> Result<AnswerPlan, EngineError> {
    let features = text.features();
    let mut plan = AnswerPlan {
        single_call: rules.single_call,
        ..AnswerPlan::plain()
    };
    if rules.reasoning_required && reasoning.is_some() && !features.output.can_reason() {
        return Err(EngineError::unsupported(
            "reasoning",
            "this model does not reason; choose one that does, or do not ask for it",
        ));
    }
    if let Some(reasoning) = reasoning {
        plan.syntax = features.output;
        plan.inside_reasoning = reasoning == PromptReasoning::Open;
        if reasoning == PromptReasoning::Over {
            plan.syntax.reasoning = None;
        }
    }
    if rules.tools.is_empty() {
        // Harmony marks everything, calls or not.
        plan.syntax.tools = plan.syntax.tools.filter(|_| plan.syntax.is_harmony());
    } else if plan.syntax.tools.is_none() {
        return Err(EngineError::unsupported(
            "tools",
            "this model's chat template has no place for tools; choose a model that can call them, or leave \
             them out",
        ));
    }
    plan.tools = rules
        .tools
        .iter()
        .map(|tool| CallableTool::new(&tool.name, &tool.parameters))
        .collect();
    let shown = plan.syntax.markers();
    plan.shown_tokens = shown
        .into_iter()
        .filter_map(|marker| text.marker(marker))
        .filter(|marker| marker.special)
        .map(|marker| marker.token)
        .collect();
    plan.reasoning_budget = budget(text, &plan.syntax, reasoning, rules.reasoning_budget)?;
    plan.constraint = constraint(text, &plan, reasoning, rules, compile)?;
    Ok(plan)
}

fn budget(
    text: &dyn ModelText,
    syntax: &OutputSyntax,
    reasoning: Option<PromptReasoning>,
    tokens: Option<u32>,
) -> Result<Option<ReasoningBudget>, EngineError> {
    let (Some(tokens), Some(markers), Some(state)) = (tokens, syntax.reasoning, reasoning) else {
        // A model that does not reason keeps every budget.
        return Ok(None);
    };
    let close = text.marker(markers.close).ok_or_else(|| {
        let message = format!(
            "this model's {} is no token of its own, so its reasoning cannot be limited",
            markers.close
        );
        EngineError::invalid("reasoning.budget_tokens", message)
    })?;
    let open = match state {
        PromptReasoning::Open => None,
        // Reasoning that the budget cannot see beginning cannot be counted.
        _ => match text.marker(markers.open) {
            Some(open) => Some(open.token),
            None => return Ok(None),
        },
    };
    Ok(Some(ReasoningBudget {
        tokens,
        open,
        close: close.token,
    }))
}

fn constraint(
    text: &dyn ModelText,
    plan: &AnswerPlan,
    reasoning: Option<PromptReasoning>,
    rules: &AnswerRules,
    compile: impl Fn(&GrammarSpec) -> Result<Arc<Grammar>, GrammarError>,
) -> Result<Option<Constraint>, EngineError> {
    let special = |marker: &str| text.marker(marker).filter(|m| m.special).map(|m| m.token);
    let at_most = if rules.single_call {
        ToolDemand::One
    } else {
        ToolDemand::Several
    };
    if let Some(syntax) = plan.syntax.tools.filter(|_| !rules.tools.is_empty()) {
        if rules.demand.is_some() || rules.form.is_some() {
            let instead = rules.form.as_ref().filter(|_| rules.demand.is_none());
            let demand = rules.demand.unwrap_or(at_most);
            let grammar = with_schemas_or_without(&rules.tools, rules.strict, |tools| {
                compile(&demanded_call_grammar(
                    &syntax, tools, demand, instead, special,
                ))
            })?;
            let scope = whole(text, &plan.syntax, reasoning)?;
            return Ok(Some(Constraint { grammar, scope }));
        }
        // Of its own accord: the grammar waits for the marker.
        let Some(trigger) = text.marker(syntax.open) else {
            return Ok(None);
        };
        if auto_call_grammar(&syntax, &rules.tools, special).is_none() {
            return Ok(None);
        }
        let grammar = with_schemas_or_without(&rules.tools, rules.strict, |tools| {
            let spec = auto_call_grammar(&syntax, tools, special)
                .ok_or_else(|| GrammarError::Unsupported("no marker".to_owned()))?;
            compile(&spec)
        })?;
        let scope = Scope::Each(trigger.token);
        return Ok(Some(Constraint { grammar, scope }));
    }
    let Some(form) = &rules.form else {
        return Ok(None);
    };
    let scope = whole(text, &plan.syntax, reasoning)?;
    let spec = if plan.syntax.is_harmony() {
        harmony_answer(form, special)
    } else if scope == Scope::WholeAnswer {
        form.clone()
    } else {
        after_reasoning(form)
    };
    let grammar = compile(&spec).map_err(|error| refused("response_format", &error))?;
    Ok(Some(Constraint { grammar, scope }))
}

/// Compiles for the tools' schemas, or, if those cannot be enforced and need not be, for any arguments.
fn with_schemas_or_without(
    tools: &[ToolSpec],
    strict: bool,
    compile: impl Fn(&[ToolSpec]) -> Result<Arc<Grammar>, GrammarError>,
) -> Result<Arc<Grammar>, EngineError> {
    match compile(tools) {
        Ok(grammar) => Ok(grammar),
        Err(error) if strict => Err(refused("tools", &error)),
        Err(error) => {
            tracing::debug!(%error, "arguments of tools are not held to their schemas");
            let loose: Vec<ToolSpec> = tools
                .iter()
                .map(|tool| ToolSpec {
                    name: tool.name.clone(),
                    parameters: serde_json::json!({}),
                })
                .collect();
            compile(&loose).map_err(|error| refused("tools", &error))
        }
    }
}

fn refused(param: &str, error: &GrammarError) -> EngineError {
    EngineError::invalid(param, error.to_string())
}

/// The scope of a grammar for everything but the reasoning.
fn whole(
    text: &dyn ModelText,
    syntax: &OutputSyntax,
    reasoning: Option<PromptReasoning>,
) -> Result<Scope, EngineError> {
    let Some(markers) = syntax.reasoning.filter(|_| !syntax.is_harmony()) else {
        return Ok(Scope::WholeAnswer);
    };
    let token = |marker: &str| text.marker(marker).map(|marker| marker.token);
    match (reasoning, token(markers.open), token(markers.close)) {
        (Some(PromptReasoning::Open), _, Some(close)) => Ok(Scope::After(close)),
        (Some(PromptReasoning::Open), _, None) => Err(EngineError::invalid(
            "response_format",
            "this model reasons first and does not mark the end with one token, so the form of what follows \
             cannot be enforced; switch reasoning off",
        )),
        (Some(PromptReasoning::Free), Some(open), Some(close)) => {
            Ok(Scope::AfterOptional { open, close })
        }
        _ => Ok(Scope::WholeAnswer),
    }
}
