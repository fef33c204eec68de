//! One suite for every executor: the same models, the same steps, the same answers.
//!
//! An executor's crate implements [`Rig`] in a test and calls [`suite!`]; one test function appears for
//! each property. What only one executor promises (bit-for-bit invariance on the CPU) is tested in its
//! own crate, with the help of [`support`].
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at what should not be"
)]

pub mod draws;
pub mod golden;
pub mod hostile;
pub mod pooling;
pub mod precision;
pub mod sequences;
pub mod stages;
pub mod support;

use std::ops::Range;

use atoll_engine::executor::{Executor, Row, RowError, StageExecutor};
use atoll_engine::model::ModelSpec;
use atoll_engine::model::checkpoint::Checkpoint;

/// How to make an executor of one kind: 64 blocks of 16 positions, keys and values as computed.
pub trait Rig {
    /// What runs a whole model.
    type Whole: Executor;
    /// What runs a range of its layers.
    type Stage: StageExecutor;

    /// How far a fixture's logit may be from the reference, relative to the largest.
    fn tolerance(&self, model: &str) -> f32;

    /// Whether a row's result is the same bit for bit, whatever runs beside it and however it is cut.
    fn exact(&self) -> bool;

    /// Bytes that a bf16 number of a checkpoint takes once it is loaded.
    fn bf16_bytes(&self) -> u64;

    /// Runs one row now and returns the raw logits of its last `sample.positions` positions, one
    /// vocabulary after the other.
    ///
    /// # Errors
    /// The row's own.
    fn logits(&self, executor: &mut Self::Whole, row: &Row) -> Result<Vec<f32>, RowError>;

    /// Loads a model, or says in words why not.
    ///
    /// # Errors
    /// The executor's own, in words.
    fn try_load(&self, spec: &ModelSpec, checkpoint: &Checkpoint) -> Result<Self::Whole, String>;

    /// Loads some of its layers.
    ///
    /// # Errors
    /// As [`Rig::try_load`].
    fn try_stage(
        &self,
        spec: &ModelSpec,
        layers: Range<usize>,
        checkpoint: &Checkpoint,
    ) -> Result<Self::Stage, String>;

    /// Loads a fixture.
    fn load(&self, model: &str) -> Self::Whole {
        let (spec, checkpoint) = support::opened(model);
        self.try_load(&spec, &checkpoint).unwrap()
    }
}

/// One `#[test]` for each property, on the rig that the expression makes.
#[macro_export]
macro_rules! suite {
    ($rig:expr) => {
        #[test]
        fn every_model_matches_the_reference() {
            $crate::golden::check_all(&$rig);
        }
        $crate::suite!(@each $rig;
            sequences::a_fork_shares_its_parents_blocks_and_goes_its_own_way,
            sequences::truncation_forgets_a_rejected_continuation,
            sequences::a_row_of_several_positions_verifies_a_speculation,
            sequences::a_cached_prefix_can_be_skipped,
            sequences::penalties_see_the_prompt_even_where_rows_skipped_it,
            sequences::feeding_again_after_a_preemption_gives_the_same_answer,
            sequences::a_mask_decides_and_an_empty_one_is_the_rows_own_error,
            sequences::calls_out_of_order_are_refused,
            sequences::neighbours_and_chunks_change_no_token,
            draws::a_seed_draws_what_the_sampler_draws_from_the_same_logits,
            draws::neighbours_change_no_draw,
            draws::many_seeds_draw_every_token_as_often_as_the_model_says,
            hostile::a_bad_row_fails_alone,
            hostile::a_bad_block_copy_fails_the_step_and_not_the_process,
            hostile::a_file_that_shrank_is_refused,
            hostile::another_models_description_is_refused,
            hostile::broken_weights_are_the_rows_error,
            hostile::a_folder_changed_at_random_is_refused_or_runs,
            pooling::the_last_state_times_the_head_is_the_logits,
            pooling::the_sum_is_that_of_every_prefixs_last_state_however_it_is_cut,
            stages::stages_in_a_row_draw_the_tokens_of_the_whole_model,
            stages::a_row_that_fails_leaves_its_neighbours_their_own_hidden_states,
            stages::hidden_states_that_do_not_fit_are_refused,
            stages::a_stage_reads_only_its_own_tensors,
        );
    };
    (@each $rig:expr; $($module:ident::$test:ident,)*) => {
        $(
            #[test]
            fn $test() {
                $crate::$module::$test(&$rig);
            }
        )*
    };
}
