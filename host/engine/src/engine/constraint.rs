//! What a request's grammar means for each of its answers, token by token.
//!
//! A [`Constraint`] is a compiled grammar and its [`Scope`]: the whole answer, what follows the
//! reasoning, or what follows each tool-call marker. A [`Guard`] is one answer's place in it. Masks are
//! computed by one [`MaskWorker`] thread while the executor runs the forward pass of the same step.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use super::EngineError;
use crate::executor::{PendingMask, TokenId, TokenMask};
use crate::grammar::{Grammar, GrammarError, GrammarState};

/// Which part of an answer a grammar rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of it.
    WholeAnswer,
    /// What follows the first appearance of this token, to the end.
    After(TokenId),
    /// As `After(close)` if the answer begins with `open`, all of it if not.
    AfterOptional {
        /// Begins what the grammar does not rule.
        open: TokenId,
        /// Ends it.
        close: TokenId,
    },
    /// What follows each appearance of this token, until the grammar is satisfied.
    Each(TokenId),
}

/// A grammar and where it applies.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// The compiled grammar.
    pub grammar: Arc<Grammar>,
    /// Where it applies.
    pub scope: Scope,
}

impl PartialEq for Constraint {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.grammar, &other.grammar) && self.scope == other.scope
    }
}

/// A limit on reasoning: after `tokens` of it, `close` is the only token allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReasoningBudget {
    /// Tokens of reasoning at most.
    pub tokens: u32,
    /// The token that begins the reasoning; `None` if the prompt did. An answer that begins with anything
    /// else does not reason.
    pub open: Option<TokenId>,
    /// The token that ends the reasoning.
    pub close: TokenId,
}

/// One answer's place in its constraint and budget.
#[derive(Debug)]
pub(super) struct Guard {
    constraint: Option<Constraint>,
    /// The grammar's state while it rules.
    active: Option<GrammarState>,
    /// At the first token: this one is allowed too, and puts the grammar off.
    or_open: Option<TokenId>,
    /// Tokens of reasoning left, until the closing token appears.
    budget: Option<ReasoningBudget>,
}

impl Guard {
    /// A guard for an answer that has not begun; `None` if nothing restrains it.
    pub fn new(constraint: Option<Constraint>, budget: Option<ReasoningBudget>) -> Option<Self> {
        let (active, or_open) = match &constraint {
            Some(Constraint { grammar, scope }) => match scope {
                Scope::WholeAnswer => (Some(grammar.start()), None),
                Scope::AfterOptional { open, .. } => (Some(grammar.start()), Some(*open)),
                Scope::After(_) | Scope::Each(_) => (None, None),
            },
            None => (None, None),
        };
        (constraint.is_some() || budget.is_some()).then_some(Self {
            constraint,
            active,
            or_open,
            budget,
        })
    }

    /// Whether the next token needs a mask.
    pub fn restrains(&self) -> bool {
        self.active.is_some() || self.spent().is_some()
    }

    /// The token that must come because the reasoning's budget is used up.
    fn spent(&self) -> Option<TokenId> {
        self.budget
            .filter(|budget| budget.open.is_none() && budget.tokens == 0)
            .map(|budget| budget.close)
    }

    /// The mask for the next token; only meaningful while [`restrains`](Self::restrains).
    fn mask(&mut self) -> Result<Vec<u32>, GrammarError> {
        if let Some(close) = self.spent() {
            let mut words = Vec::new();
            allow(&mut words, close);
            return Ok(words);
        }
        let Some(state) = &mut self.active else {
            return Ok(Vec::new());
        };
        let mut words = state.mask()?;
        if let Some(open) = self.or_open {
            allow(&mut words, open);
        }
        Ok(words)
    }

    /// Moves past a token of the answer (not one that ends it).
    pub fn accept(&mut self, token: TokenId) -> Result<(), GrammarError> {
        self.budget = self.budget.and_then(|mut budget| match budget.open {
            Some(open) if open == token => Some(ReasoningBudget {
                open: None,
                ..budget
            }),
            // It answers without reasoning.
            Some(_) => None,
            None if token == budget.close => None,
            None => {
                budget.tokens = budget.tokens.saturating_sub(1);
                Some(budget)
            }
        });
        if self.or_open.take() == Some(token) {
            self.active = None;
            return Ok(());
        }
        if let Some(state) = &mut self.active {
            state.accept(token)?;
            let each = matches!(
                self.constraint,
                Some(Constraint {
                    scope: Scope::Each(_),
                    ..
                })
            );
            if each && state.is_finished() {
                self.active = None;
            }
            return Ok(());
        }
        if let Some(Constraint { grammar, scope }) = &self.constraint
            && let Scope::After(trigger)
            | Scope::Each(trigger)
            | Scope::AfterOptional { close: trigger, .. } = scope
            && *trigger == token
        {
            self.active = Some(grammar.start());
        }
        Ok(())
    }
}

/// Sets a token's bit.
fn allow(words: &mut Vec<u32>, token: TokenId) {
    let at = token as usize / 32;
    if words.len() <= at {
        words.resize(at + 1, 0);
    }
    words[at] |= 1 << (token % 32);
}

/// A guard shared between the loop and the mask thread.
pub(super) type SharedGuard = Arc<Mutex<Guard>>;

/// Moves a shared guard past a token.
///
/// # Errors
/// The parser's limits, or a token that the mask should have ruled out.
pub(super) fn accept(guard: &SharedGuard, token: TokenId) -> Result<(), EngineError> {
    let mut guard = guard.lock().unwrap_or_else(PoisonError::into_inner);
    guard.accept(token).map_err(EngineError::from)
}

/// One thread that fills masks.
#[derive(Debug)]
pub(super) struct MaskWorker {
    jobs: mpsc::Sender<(SharedGuard, PendingMask)>,
}

impl MaskWorker {
    /// Starts the thread; it ends when the worker is dropped.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start() -> Result<Self, EngineError> {
        // At most one job per row of the steps in flight, so the channel stays short.
        let (jobs, inbox) = mpsc::channel::<(SharedGuard, PendingMask)>();
        std::thread::Builder::new()
            .name("grammar masks".to_owned())
            .spawn(move || {
                for (guard, mask) in inbox {
                    let words = guard.lock().unwrap_or_else(PoisonError::into_inner).mask();
                    match words {
                        Ok(words) => mask.fill(words),
                        // Left unfilled, the mask allows nothing and the row fails by itself.
                        Err(error) => tracing::warn!(%error, "no mask"),
                    }
                }
            })
            .map_err(|error| EngineError::Internal(format!("no thread for masks: {error}")))?;
        Ok(Self { jobs })
    }

    /// A mask for the next token of this guard's answer, or `None` if it is free.
    pub fn mask(&self, guard: &SharedGuard) -> Option<Arc<TokenMask>> {
        if !guard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .restrains()
        {
            return None;
        }
        let (mask, pending) = TokenMask::pending();
        // If the thread is gone, the job is dropped unfilled, which fails the row.
        self.jobs.send((Arc::clone(guard), pending)).ok();
        Some(mask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grammar::{GrammarCompiler, GrammarSpec, VocabularyEntry};

    const EOS: TokenId = 256;
    const OPEN: TokenId = 257;

    fn grammar(regex: &str) -> Arc<Grammar> {
        let mut vocabulary: Vec<_> = (0..=255u8)
            .map(|b| VocabularyEntry::Bytes(vec![b]))
            .collect();
        vocabulary.push(VocabularyEntry::Special("<eos>".to_owned()));
        vocabulary.push(VocabularyEntry::Special("<open>".to_owned()));
        let compiler = GrammarCompiler::new(&vocabulary, &[EOS]).unwrap();
        Arc::new(compiler.compile(&GrammarSpec::Regex(regex.into())).unwrap())
    }

    fn guard(scope: Scope) -> Guard {
        let constraint = Constraint {
            grammar: grammar("ab"),
            scope,
        };
        Guard::new(Some(constraint), None).unwrap()
    }

    fn allows(guard: &mut Guard, token: TokenId) -> bool {
        !guard.restrains() || TokenMask::from_words(guard.mask().unwrap()).allows(token)
    }

    #[test]
    fn a_whole_answer_is_ruled_to_its_end() {
        let mut guard = guard(Scope::WholeAnswer);
        assert!(allows(&mut guard, u32::from(b'a')) && !allows(&mut guard, u32::from(b'x')));
        guard.accept(u32::from(b'a')).unwrap();
        guard.accept(u32::from(b'b')).unwrap();
        assert!(allows(&mut guard, EOS) && !allows(&mut guard, u32::from(b'a')));
    }

    #[test]
    fn rule_begins_after_its_token() {
        let mut guard = guard(Scope::After(OPEN));
        assert!(allows(&mut guard, u32::from(b'x')));
        guard.accept(u32::from(b'x')).unwrap();
        guard.accept(OPEN).unwrap();
        assert!(!allows(&mut guard, u32::from(b'x')) && allows(&mut guard, u32::from(b'a')));
    }

    #[test]
    fn each_marker_starts_the_grammar_anew_and_freedom_returns() {
        let mut guard = guard(Scope::Each(OPEN));
        for _ in 0..2 {
            assert!(allows(&mut guard, u32::from(b'x')));
            guard.accept(OPEN).unwrap();
            assert!(!allows(&mut guard, u32::from(b'x')));
            guard.accept(u32::from(b'a')).unwrap();
            guard.accept(u32::from(b'b')).unwrap();
        }
        assert!(!guard.restrains());
    }

    #[test]
    fn reasoning_may_come_before_the_rule_but_need_not() {
        let scope = Scope::AfterOptional {
            open: OPEN,
            close: u32::from(b'>'),
        };
        let mut without = guard(scope);
        assert!(allows(&mut without, OPEN) && allows(&mut without, u32::from(b'a')));
        assert!(!allows(&mut without, u32::from(b'x')));
        without.accept(u32::from(b'a')).unwrap();
        assert!(!allows(&mut without, OPEN) && allows(&mut without, u32::from(b'b')));

        let mut with = guard(scope);
        with.accept(OPEN).unwrap();
        assert!(allows(&mut with, u32::from(b'x')));
        with.accept(u32::from(b'>')).unwrap();
        assert!(!allows(&mut with, u32::from(b'x')) && allows(&mut with, u32::from(b'a')));
    }

    #[test]
    fn a_budget_counts_reasoning_only() {
        let budget = ReasoningBudget {
            tokens: 1,
            open: Some(OPEN),
            close: 7,
        };
        let mut silent = Guard::new(None, Some(budget)).unwrap();
        for token in [1, 2, 3] {
            silent.accept(token).unwrap();
            assert!(
                !silent.restrains(),
                "an answer without reasoning is not cut"
            );
        }
        let mut thinking = Guard::new(None, Some(budget)).unwrap();
        for token in [OPEN, 1] {
            assert!(!thinking.restrains());
            thinking.accept(token).unwrap();
        }
        assert!(allows(&mut thinking, 7) && !allows(&mut thinking, 3));
    }

    #[test]
    fn a_spent_reasoning_budget_allows_only_the_close() {
        let budget = ReasoningBudget {
            tokens: 2,
            open: None,
            close: OPEN,
        };
        let mut guard = Guard::new(None, Some(budget)).unwrap();
        for token in [1, 2] {
            assert!(!guard.restrains());
            guard.accept(token).unwrap();
        }
        assert!(allows(&mut guard, OPEN) && !allows(&mut guard, 3) && !allows(&mut guard, EOS));
        guard.accept(OPEN).unwrap();
        assert!(!guard.restrains());
    }

    #[test]
    fn the_worker_fills_masks_and_skips_the_free() {
        let worker = MaskWorker::start().unwrap();
        let ruled = Arc::new(Mutex::new(guard(Scope::WholeAnswer)));
        let mask = worker.mask(&ruled).unwrap();
        assert!(mask.allows(u32::from(b'a')) && !mask.allows(u32::from(b'b')));
        let free = Arc::new(Mutex::new(guard(Scope::After(OPEN))));
        assert!(worker.mask(&free).is_none());
    }
}
