//! The lane: rows that decode together, token after token.
//!
//! Sequences that go on together have their keys and values side by side in one array per layer,
//! `[rows, kv_heads, columns, head_dim]`, a shorter row padded in front so that all end in the same
//! column. A step then writes one column and attends once; nothing is gathered. Columns come in
//! multiples that CUDA's fast attention wants, and without padding there is no mask, which it does not
//! take.
//!
//! **The next step begins before this one is read.** Where every row's token is drawn on the device, the
//! next step's tokens are this step's results; the step is handed to MLX at once, and the device computes
//! while the host delivers, schedules and comes back. If something else comes back than was expected, what
//! was begun is dropped; nothing is lost with it, since a draw's number depends on its position alone.
//!
//! **The pages stay the truth.** Columns that are not in the pages yet are written there
//! ([`Lane::flush`]) before anything else looks at the pages: so a block that changes hands, a prefix
//! that is shared, a fork or a preemption find what a step without a lane would have written. The state
//! before a step is held until the step has succeeded; one that fails changes nothing.

use std::time::{Duration, Instant};

use mlx_rs::Array;
use mlx_rs::error::Exception;
use mlx_rs::fast::{rope, rope_dynamic, scaled_dot_product_attention};
use mlx_rs::ops::{arange, concatenate, zeros_dtype};
use mlx_rs::transforms::{async_eval, eval};

use super::attention::{index, project, slot};
use super::budget::Budget;
use super::draw::Pick;
use super::pages::{Fresh, Pages};
use super::results::{Look, Results, Seen};
use super::weights::{Attention, Model, Rope};
use super::worker::Work;
use super::{ffi, forward};

/// Columns by which a lane grows: CUDA's fastest attention wants multiples of this.
const GROWTH: i32 = 256;

/// Columns after which what is new goes into the pages, so that no more than these can be lost.
const PENDING: i32 = 256;

/// Rows that decode together.
pub(super) struct Lane {
    members: Vec<Member>,
    /// `[rows, 1, 1, 1]`, if any row has padding.
    padding: Option<Array>,
    state: State,
    /// Columns that are in the pages.
    written: i32,
    ahead: Option<Ahead>,
    /// How long the graph took to build that was begun last.
    pub(super) last_build: Duration,
    /// Whether the last step had been begun before it was asked for.
    pub(super) was_ahead: bool,
}

/// One row.
struct Member {
    sequence: u64,
    /// Columns in front that hold nothing.
    padding: i32,
    /// Blocks of all positions of its columns.
    blocks: Vec<u32>,
}

/// Keys and values of every layer.
struct State {
    layers: Vec<Fresh>,
    /// Columns that hold something; the arrays may have more.
    columns: i32,
}

/// A step that MLX was asked to compute.
struct Begun {
    state: State,
    results: Results,
    /// How long its graph took to build.
    built: Duration,
}

/// The next step, begun with the tokens that the last one is taken to be followed by.
struct Ahead {
    tokens: Vec<u32>,
    begun: Begun,
}

impl Lane {
    /// Whether works could run in a lane: rows of one token that go on, each looked at once.
    pub(super) fn suits(works: &[Work], windows: &[Option<usize>]) -> bool {
        let single = |work: &Work| work.tokens.len() == 1 && work.start > 0 && work.wants == 1;
        let narrowest = windows.iter().flatten().min().copied();
        // Every window sees everything.
        let seen = |work: &Work| narrowest.is_none_or(|window| work.start < window);
        !works.is_empty() && works.iter().all(|work| single(work) && seen(work))
    }

    /// Whether works are the next step of this lane.
    pub(super) fn continues(&self, works: &[Work]) -> bool {
        let next = |(member, work): (&Member, &Work)| {
            member.sequence == work.sequence
                && usize::try_from(self.state.columns - member.padding) == Ok(work.start)
        };
        self.members.len() == works.len() && self.members.iter().zip(works).all(next)
    }

    /// Puts the rows of `works` side by side, out of the pages.
    pub(super) fn enter(pages: &Pages, works: &[Work], budget: &Budget) -> Result<Self, Exception> {
        let longest = works.iter().map(|work| work.start).max().unwrap_or(0);
        let (rows, columns) = (index(works.len())?, index(longest)?);
        let capacity = (columns / GROWTH + 1)
            .checked_mul(GROWTH)
            .filter(|capacity| rows.checked_mul(*capacity).is_some());
        let capacity = capacity.ok_or_else(|| Exception::custom("a lane too long"))?;
        let positions = (rows * capacity).unsigned_abs() as usize;
        // Padding may make it several times what the rows have in the pages; where no budget stops that, the
        // pages do.
        let most = match budget.bytes {
            Some(_) => pages.positions().saturating_mul(4),
            None => pages.positions(),
        };
        if positions > most {
            return Err(Exception::custom("a lane would take more than the pages"));
        }
        // The state of a step and of the next one, and what is gathered.
        budget.check(3 * positions * pages.position_bytes())?;
        let mut members = Vec::with_capacity(works.len());
        let mut slots = Vec::with_capacity(works.len() * longest);
        for work in works {
            let padding = longest - work.start;
            // Slot 0 exists; what is in the padding is masked.
            slots.extend(std::iter::repeat_n(0, padding));
            for position in 0..work.start {
                slots.push(slot(&work.blocks, position, block_size(pages))?);
            }
            members.push(Member {
                sequence: work.sequence,
                padding: index(padding)?,
                blocks: work.blocks.clone(),
            });
        }
        let slots = Array::from_slice(&slots, &[rows, columns]);
        let mut layers = Vec::with_capacity(pages.layers());
        for layer in 0..pages.layers() {
            let side_by_side = |pages: &Array| {
                let gathered = pages.take_axis(&slots, 0)?.transpose_axes(&[0, 2, 1, 3])?;
                let (heads, width) = (gathered.dim(1), gathered.dim(3));
                let empty = zeros_dtype(&[rows, heads, capacity, width], gathered.dtype())?;
                ffi::put(&empty, &gathered, 2, 0..columns)
            };
            let (keys, values) = pages.layer(layer)?;
            layers.push(Fresh {
                keys: side_by_side(keys)?,
                values: side_by_side(values)?,
            });
        }
        eval(layers.iter().flat_map(Fresh::arrays))?;
        let paddings: Vec<i32> = members.iter().map(|member| member.padding).collect();
        let padded = paddings.iter().any(|&padding| padding > 0);
        Ok(Self {
            members,
            padding: padded.then(|| Array::from_slice(&paddings, &[rows, 1, 1, 1])),
            state: State { layers, columns },
            written: columns,
            ahead: None,
            last_build: Duration::ZERO,
            was_ahead: false,
        })
    }

    /// Runs the next step of every row. After an error the lane is where it was.
    pub(super) fn step(
        &mut self,
        model: &Model,
        works: &[Work],
        budget: &Budget,
    ) -> Result<Vec<Seen>, Exception> {
        // Of the tokens after the one that is fed, so many positions on.
        let picks = |on: usize| -> Option<Vec<Pick<'_>>> {
            works.iter().map(|w| w.pick(w.start + on)).collect()
        };
        let now = picks(1);
        let tokens: Vec<u32> = works
            .iter()
            .flat_map(|w| w.tokens.first().copied())
            .collect();
        let begun = match self.ahead.take() {
            Some(ahead) if now.is_some() && ahead.tokens == tokens => {
                self.was_ahead = true;
                ahead.begun
            }
            _ => {
                self.was_ahead = false;
                let tokens = Array::from_slice(&tokens, &[index(tokens.len())?]);
                self.begin(model, &self.state, &tokens, now.as_deref(), false, budget)?
            }
        };
        let next = match &begun.results {
            Results::Drawn { tokens, .. } => {
                let picks = picks(2);
                let next = self.begin(model, &begun.state, tokens, picks.as_deref(), true, budget);
                let failed = |error: &Exception| tracing::debug!(error = error.what(), "not ahead");
                next.inspect_err(failed).ok()
            }
            Results::Values(_) => None,
        };
        self.last_build = next.as_ref().unwrap_or(&begun).built;
        let seen = begun.results.read()?;
        self.state = begun.state;
        self.ahead = next.map(|begun| Ahead {
            tokens: seen.iter().filter_map(Seen::token).collect(),
            begun,
        });
        for (member, work) in self.members.iter_mut().zip(works) {
            member.blocks.clone_from(&work.blocks);
        }
        Ok(seen)
    }

    /// Asks MLX to compute the step that feeds `tokens` after `state`. Whether it is `ahead`: the host does not
    /// know these tokens yet.
    fn begin(
        &self,
        model: &Model,
        state: &State,
        tokens: &Array,
        picks: Option<&[Pick<'_>]>,
        ahead: bool,
        budget: &Budget,
    ) -> Result<Begun, Exception> {
        let began = Instant::now();
        let column = state.columns;
        let place = Place::new(column, self.padding.as_ref())?;
        let full = state
            .layers
            .first()
            .is_some_and(|fresh| fresh.keys.dim(2) == column);
        if full {
            let bytes: usize = state
                .layers
                .iter()
                .flat_map(Fresh::arrays)
                .map(Array::nbytes)
                .sum();
            // As much again, and the growth.
            budget.check(2 * bytes)?;
        }
        let embedding = model.weights.embedding.as_ref();
        let embedding = embedding.ok_or_else(|| Exception::custom("a lane needs an embedding"))?;
        let mut x = embedding.rows(tokens)?.as_dtype(model.compute.0)?;
        let mut layers = Vec::with_capacity(state.layers.len());
        for (layer, old) in model.weights.layers.iter().zip(&state.layers) {
            let grown = match full {
                true => Some(old.map(grow)?),
                false => None,
            };
            let normed = layer.input_norm.apply(&x)?;
            let old = grown.as_ref().unwrap_or(old);
            let (mixed, new) = place.attend(&normed, &layer.attention, &model.rope, old)?;
            layers.push(new);
            x = x.add(layer.attention.o.apply(&mixed)?)?;
            x = forward::feed_forward(model, layer, &x)?;
        }
        let (norm, _) = model
            .weights
            .head()
            .ok_or_else(|| Exception::custom("a lane needs a head"))?;
        let last = ahead.then_some(tokens);
        let results = Results::new(model, &norm.apply(&x)?, Look::Logits, picks, last)?;
        let built = began.elapsed();
        // Every layer's new keys and values are on the way to it.
        async_eval([results.array()])?;
        Ok(Begun {
            state: State {
                layers,
                columns: column + 1,
            },
            results,
            built,
        })
    }

    /// Whether it is time to [`flush`](Self::flush).
    pub(super) fn pending(&self) -> bool {
        self.state.columns - self.written >= PENDING
    }

    /// Writes the columns into the pages that are not there yet.
    pub(super) fn flush(&mut self, pages: &mut Pages) -> Result<(), Exception> {
        let (from, to) = (self.written, self.state.columns);
        if from == to {
            return Ok(());
        }
        let mut slots = Vec::new();
        for member in &self.members {
            for column in from..to {
                let position = usize::try_from(column - member.padding)
                    .map_err(|_| Exception::custom("padding is not written"))?;
                slots.push(slot(&member.blocks, position, block_size(pages))?);
            }
        }
        let count = index(slots.len())?;
        let columns = |state: &Array| {
            let (heads, width) = (state.dim(1), state.dim(3));
            ffi::part(state, 2, from..to)?
                .transpose_axes(&[0, 2, 1, 3])?
                .reshape(&[count, heads, width])
        };
        let layers = self.state.layers.iter();
        let fresh = layers
            .map(|layer| layer.map(columns))
            .collect::<Result<Vec<_>, _>>()?;
        eval(fresh.iter().flat_map(Fresh::arrays))?;
        pages.write(&Array::from_slice(&slots, &[count]), fresh)?;
        self.written = to;
        Ok(())
    }
}

fn block_size(pages: &Pages) -> usize {
    usize::try_from(pages.block_size()).unwrap_or(1).max(1)
}

/// As many columns as before, and [`GROWTH`] more.
fn grow(state: &Array) -> Result<Array, Exception> {
    let more = [state.dim(0), state.dim(1), GROWTH, state.dim(3)];
    concatenate(&[state.clone(), zeros_dtype(&more, state.dtype())?], 2)
}

/// Where a step's tokens are, the same in every layer.
struct Place {
    column: i32,
    /// Of each row: its position, and which columns it sees; without padding all are alike.
    padded: Option<(Array, Array)>,
}

impl Place {
    fn new(column: i32, padding: Option<&Array>) -> Result<Self, Exception> {
        let padded = padding.map(|padding| {
            let columns = arange::<i32, i32>(None, column + 1, None)?;
            let seen = columns.ge(padding)?;
            let positions = Array::from_int(column).subtract(padding)?.reshape(&[-1])?;
            Ok::<_, Exception>((positions, seen))
        });
        Ok(Self {
            column,
            padded: padded.transpose()?,
        })
    }

    /// Attention's output before `o_proj`, `[rows, heads * head_dim]`, and the keys and values with the
    /// new column.
    fn attend(
        &self,
        x: &Array,
        attention: &Attention,
        frequencies: &Rope,
        old: &Fresh,
    ) -> Result<(Array, Fresh), Exception> {
        let (rows, width) = (x.dim(0), attention.head_dim);
        let [q, k, v] = project(attention, x, |heads| [rows, heads, 1, width])?;
        let (q, k) = (self.rotate(&q, frequencies)?, self.rotate(&k, frequencies)?);
        let column = self.column..self.column + 1;
        let new = Fresh {
            keys: ffi::put(&old.keys, &k, 2, column.clone())?,
            values: ffi::put(&old.values, &v, 2, column)?,
        };
        let keys = ffi::part(&new.keys, 2, 0..self.column + 1)?;
        let values = ffi::part(&new.values, 2, 0..self.column + 1)?;
        let scale = attention.scale;
        let mixed = match &self.padded {
            None => scaled_dot_product_attention(q, keys, values, scale, None, None),
            Some((_, seen)) => scaled_dot_product_attention(q, keys, values, scale, seen, None),
        }?;
        let mixed = mixed.reshape(&[rows, attention.heads * width])?;
        Ok((mixed, new))
    }

    fn rotate(&self, x: &Array, by: &Rope) -> Result<Array, Exception> {
        let (width, frequencies) = (by.dim, &by.frequencies);
        match &self.padded {
            None => rope(x, width, false, None, 1.0, self.column, frequencies),
            Some((positions, _)) => {
                rope_dynamic(x, width, false, None, 1.0, positions, frequencies)
            }
        }
    }
}
