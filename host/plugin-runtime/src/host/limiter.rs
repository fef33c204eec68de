//! Bounds what one store may hold.
//!
//! wasmtime asks before every growth, but about one memory or table at a time; the sum is kept here, so
//! that a component made of many small parts gets no more than one big one. A refused growth is a
//! trap with the reason, not a failed `memory.grow`: a guest cannot do much with the latter, and its
//! own allocator's abort would say less.

use wasmtime::ResourceLimiter;

use crate::error::{FaultKind, LimitHit};
use crate::options::InstanceLimits;

/// The account of one store.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: InstanceLimits,
    memory: usize,
    elements: usize,
}

impl Limiter {
    pub fn new(limits: InstanceLimits) -> Self {
        Self {
            limits,
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
        Limiter::new(InstanceLimits {
            memory_bytes,
            memories: 4,
            tables: 4,
            table_elements: 10,
            core_instances: 4,
            total_output_bytes: 0,
        })
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
