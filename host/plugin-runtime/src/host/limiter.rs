//! Bounds what one store may hold.
//!
//! wasmtime asks before every growth, but about one memory or table at a time; the sum is kept here, so
//! that a component made of many small parts gets no more than one big one. A refused growth is a
//! trap with the reason, not a failed `memory.grow`: a guest cannot do much with the latter, and its
//! own allocator's abort would say less.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use wasmtime::ResourceLimiter;

use crate::error::{FaultKind, LimitHit};
use crate::options::InstanceLimits;

/// An allowance that many instances share: one plugin's, whose parent is the whole runtime's.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    limit: usize,
    used: AtomicUsize,
    parent: Option<Arc<Self>>,
}

impl MemoryBudget {
    pub fn new(limit: usize, parent: Option<Arc<Self>>) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
            parent,
        }
    }

    /// Takes `bytes` here and from all parents, or nothing anywhere.
    fn take(&self, bytes: usize) -> bool {
        let within = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        if self.used.try_update(Relaxed, Relaxed, within).is_err() {
            return false;
        }
        let granted = self.parent.as_ref().is_none_or(|parent| parent.take(bytes));
        if !granted {
            self.used.fetch_sub(bytes, Relaxed);
        }
        granted
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Relaxed);
        if let Some(parent) = &self.parent {
            parent.give_back(bytes);
        }
    }
}

/// The account of one store. Gives its memory back to the shared budgets when dropped.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: InstanceLimits,
    budget: Arc<MemoryBudget>,
    memory: usize,
    elements: usize,
}

impl Limiter {
    pub fn new(limits: InstanceLimits, budget: Arc<MemoryBudget>) -> Self {
        Self {
            limits,
            budget,
            memory: 0,
            elements: 0,
        }
    }

    /// Bytes of linear memory held now.
    pub fn memory(&self) -> usize {
        self.memory
    }

    fn refuse(message: String) -> wasmtime::Error {
        LimitHit::new(FaultKind::Memory, message).into()
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.budget.give_back(self.memory);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_sub(current).saturating_add(desired);
        if total > self.limits.memory_bytes {
            return Err(Self::refuse(format!(
                "wanted {total} bytes of memory where {} are allowed",
                self.limits.memory_bytes
            )));
        }
        // Past the memory's own declared maximum the growth simply fails, as the guest asked for. Looked
        // at second, because the engine folds the pool's maximum into it.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if !self.budget.take(total.saturating_sub(self.memory)) {
            let message = "plugins hold all the memory they may have together";
            return Err(LimitHit::new(FaultKind::Overloaded, message).into());
        }
        self.memory = total;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Self::refuse(format!("memory could not grow: {error:#}")))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self
            .elements
            .saturating_sub(current)
            .saturating_add(desired);
        let allowed = self.limits.table_elements;
        if desired > allowed || total > allowed.saturating_mul(2) {
            return Err(Self::refuse(format!(
                "wanted {total} table elements where {allowed} are allowed"
            )));
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.elements = total;
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        Err(Self::refuse(format!("a table could not grow: {error:#}")))
    }

    fn instances(&self) -> usize {
        self.limits.core_instances
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }

    fn memories(&self) -> usize {
        self.limits.memories
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(memory_bytes: usize) -> Limiter {
        with_budget(memory_bytes, Arc::new(MemoryBudget::new(usize::MAX, None)))
    }

    fn with_budget(memory_bytes: usize, budget: Arc<MemoryBudget>) -> Limiter {
        let limits = InstanceLimits {
            memory_bytes,
            memories: 4,
            tables: 4,
            table_elements: 10,
            core_instances: 4,
            total_output_bytes: 0,
        };
        Limiter::new(limits, budget)
    }

    fn kind(outcome: wasmtime::Result<bool>) -> FaultKind {
        outcome
            .unwrap_err()
            .downcast_ref::<LimitHit>()
            .unwrap()
            .kind
    }

    /// One plugin's instances share its part, and all plugins the whole; what is refused takes nothing,
    /// and what ends gives back.
    #[test]
    fn instances_share_their_plugins_and_the_runtimes_memory() {
        let all = Arc::new(MemoryBudget::new(100, None));
        let one = Arc::new(MemoryBudget::new(70, Some(Arc::clone(&all))));
        let two = Arc::new(MemoryBudget::new(70, Some(Arc::clone(&all))));
        let mut a = with_budget(1000, Arc::clone(&one));
        let mut b = with_budget(1000, Arc::clone(&one));
        let mut c = with_budget(1000, Arc::clone(&two));
        assert!(a.memory_growing(0, 50, None).unwrap());
        assert_eq!(kind(b.memory_growing(0, 30, None)), FaultKind::Overloaded);
        assert!(b.memory_growing(0, 20, None).unwrap());
        assert_eq!(kind(c.memory_growing(0, 40, None)), FaultKind::Overloaded);
        assert!(c.memory_growing(0, 30, None).unwrap());
        drop(a);
        assert!(c.memory_growing(30, 70, None).unwrap());
        assert!(b.memory_growing(20, 30, None).unwrap());
        drop((b, c));
        assert_eq!(all.used.load(Relaxed), 0);
    }

    #[test]
    fn memories_share_one_allowance() {
        let mut limiter = limiter(100);
        assert!(limiter.memory_growing(0, 60, None).unwrap());
        assert!(limiter.memory_growing(0, 40, None).unwrap());
        let error = limiter.memory_growing(40, 41, None).unwrap_err();
        assert_eq!(
            error.downcast_ref::<LimitHit>().unwrap().kind,
            FaultKind::Memory
        );
        assert_eq!(limiter.memory(), 100);
    }

    #[test]
    fn a_memorys_own_maximum_is_not_a_fault() {
        assert!(!limiter(100).memory_growing(0, 60, Some(50)).unwrap());
    }

    #[test]
    fn tables_are_bounded_each_and_together() {
        let mut limiter = limiter(0);
        assert!(limiter.table_growing(0, 11, None).is_err());
        assert!(limiter.table_growing(0, 10, None).unwrap());
        assert!(limiter.table_growing(0, 10, None).unwrap());
        assert!(limiter.table_growing(0, 1, None).is_err());
    }
}
