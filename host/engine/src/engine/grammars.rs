//! The grammars of one model: a compiler made on first use, and the grammars used lately.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::text::ModelText;
use crate::grammar::{Grammar, GrammarCompiler, GrammarError, GrammarSpec};

/// Grammars kept. Agents send the same tools with every request, and compiling a large set takes longer than
/// a step.
const KEPT: usize = 32;

/// Compiles grammars for one vocabulary.
#[derive(Debug, Default)]
pub(super) struct Grammars {
    compiler: OnceLock<Result<GrammarCompiler, GrammarError>>,
    /// Latest last.
    recent: Mutex<VecDeque<(GrammarSpec, Arc<Grammar>)>>,
}

impl Grammars {
    /// The grammar for `spec`, compiled unless it was used lately.
    ///
    /// # Errors
    /// The vocabulary cannot be constrained, or `spec` cannot be enforced.
    pub fn compile(
        &self,
        text: &dyn ModelText,
        spec: &GrammarSpec,
    ) -> Result<Arc<Grammar>, GrammarError> {
        if let Some(grammar) = self.find(spec) {
            return Ok(grammar);
        }
        let compiler = self
            .compiler
            .get_or_init(|| GrammarCompiler::new(&text.vocabulary(), text.eos()))
            .as_ref()
            .map_err(Clone::clone)?;
        let grammar = Arc::new(compiler.compile(spec)?);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_back((spec.clone(), Arc::clone(&grammar)));
        if recent.len() > KEPT {
            recent.pop_front();
        }
        Ok(grammar)
    }

    fn find(&self, spec: &GrammarSpec) -> Option<Arc<Grammar>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let at = recent.iter().position(|(known, _)| known == spec)?;
        let found = recent.remove(at)?;
        let grammar = Arc::clone(&found.1);
        recent.push_back(found);
        Some(grammar)
    }
}
