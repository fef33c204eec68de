//! How fast MLX runs a model folder through the executor, and how much of a step is not MLX.
//!
//! `mlx_speed FOLDER --prompt 128 --generate 64 --batch 1 [--rounds 3] [--shortest 128] [--temperature 0.8] [--top-p 1]
//! [--repetition-penalty 1]`
//! prints one line of JSON for each round: tokens per second of prefill and decode, per decode step the
//! milliseconds in all and those before MLX was asked to compute (rows checked, graph built), and how many of
//! the steps had been begun ahead. Prompts have from `--shortest` to `--prompt` tokens, evenly; greedy unless a
//! temperature is given. A repetition penalty looks at the last 64 tokens.
#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::error::Error;
use std::path::PathBuf;

#[cfg(any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64")))]
mod measure {
    use std::error::Error;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use atoll_engine::executor::{
        BlockId, Epoch, Executor, KvMemory, Row, SampleRequest, SequenceId, SequenceSpec, Step,
        StepId,
    };
    use atoll_engine::model::ModelSpec;
    use atoll_engine::model::checkpoint::Checkpoint;
    use atoll_engine::sampling::SamplingParams;
    use atoll_executor_mlx::{MlxExecutor, MlxOptions};

    /// What to run.
    pub struct Sizes {
        pub prompt: usize,
        pub generate: usize,
        pub batch: usize,
        pub rounds: usize,
        pub shortest: usize,
        pub temperature: f32,
        pub top_p: f32,
        pub repetition_penalty: f32,
    }

    impl Sizes {
        /// Tokens of a row's prompt.
        fn prompt(&self, row: usize) -> usize {
            let more = self.prompt.saturating_sub(self.shortest);
            self.prompt - more + more * row / (self.batch - 1).max(1)
        }
    }

    pub fn run(folder: &Path, sizes: &Sizes) -> Result<(), Box<dyn Error>> {
        let checkpoint = Checkpoint::open(folder)?;
        let spec = ModelSpec::read(folder, &checkpoint)?;
        let mut options = MlxOptions::default();
        let blocks = (sizes.prompt + sizes.generate).div_ceil(options.block_size) + 1;
        options.kv = KvMemory::Blocks(blocks * sizes.batch);
        options.max_tokens = options.max_tokens.max(sizes.prompt * sizes.batch);
        let mut executor = MlxExecutor::load(&spec, &checkpoint, &options)?;
        let name = executor.capabilities().name.clone();
        for round in 0..sizes.rounds {
            let result = measure(&mut executor, sizes, blocks, (round * sizes.batch) as u64)?;
            let Measured {
                prefill,
                decode,
                building,
                ahead,
            } = result;
            let prompts: usize = (0..sizes.batch).map(|row| sizes.prompt(row)).sum();
            let decoded = (sizes.generate - 1).max(1);
            let per_step = |time: Duration| time.as_secs_f64() * 1e3 / decoded as f64;
            println!(
                "{{\"executor\": \"{name}\", \"batch\": {}, \"prefill_tokens_per_s\": {:.1}, \
                 \"decode_tokens_per_s\": {:.1}, \"step_ms\": {:.3}, \"step_before_mlx_ms\": {:.3}, \
                 \"begun_ahead\": {ahead}}}",
                sizes.batch,
                prompts as f64 / prefill.as_secs_f64(),
                (decoded * sizes.batch) as f64 / decode.as_secs_f64(),
                per_step(decode),
                per_step(building),
            );
        }
        Ok(())
    }

    struct Measured {
        prefill: Duration,
        decode: Duration,
        building: Duration,
        ahead: u64,
    }

    fn measure(
        executor: &mut MlxExecutor,
        sizes: &Sizes,
        blocks: usize,
        first: u64,
    ) -> Result<Measured, Box<dyn Error>> {
        let vocab = executor.capabilities().vocab_size;
        let sequences: Vec<SequenceId> = (0..sizes.batch as u64)
            .map(|i| SequenceId(first + i))
            .collect();
        let prompts: Vec<Vec<u32>> = (0..sizes.batch)
            .map(|row| {
                (0..sizes.prompt(row))
                    .map(|i| ((i * i * 31 + row * 101) % vocab) as u32)
                    .collect()
            })
            .collect();
        for (sequence, prompt) in sequences.iter().zip(&prompts) {
            let spec = SequenceSpec {
                sampling: Arc::new(SamplingParams {
                    temperature: sizes.temperature,
                    top_p: sizes.top_p,
                    repetition_penalty: sizes.repetition_penalty,
                    repeat_last_n: Some(64),
                    seed: sequence.0,
                    ..SamplingParams::default()
                }),
                prompt: prompt.as_slice().into(),
            };
            executor.open(*sequence, spec)?;
        }
        let before = executor.begun_ahead()?;
        let mut starts = vec![0; prompts.len()];
        let mut feed = prompts;
        let (mut prefill, mut decode) = (Duration::ZERO, Duration::ZERO);
        let mut building = Duration::ZERO;
        for step in 0..sizes.generate {
            let rows = feed.iter().zip(&sequences).zip(&starts).enumerate();
            let rows = rows.map(|(row, ((tokens, &sequence), &start))| Row {
                sequence,
                start,
                tokens: tokens.clone(),
                block_table: (0..blocks)
                    .map(|b| BlockId((row * blocks + b) as u32))
                    .collect(),
                sample: Some(SampleRequest {
                    positions: 1,
                    mask: None,
                }),
            });
            let step_of = Step {
                id: StepId(step as u64),
                epoch: Epoch(0),
                block_copies: Vec::new(),
                rows: rows.collect(),
            };
            let began = Instant::now();
            executor.submit(step_of)?;
            let output = executor.complete()?;
            if step == 0 {
                prefill = began.elapsed();
            } else {
                decode += began.elapsed();
                building += executor.last_build()?;
            }
            for (start, fed) in starts.iter_mut().zip(&feed) {
                *start += fed.len();
            }
            feed.clear();
            for row in output.rows {
                feed.push(row.result?.into_iter().map(|drawn| drawn.token).collect());
            }
        }
        for sequence in sequences {
            executor.close(sequence)?;
        }
        Ok(Measured {
            prefill,
            decode,
            building,
            ahead: executor.begun_ahead()? - before,
        })
    }
}

#[cfg(any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64")))]
fn main() -> Result<(), Box<dyn Error>> {
    let mut sizes = measure::Sizes {
        prompt: 128,
        generate: 64,
        batch: 1,
        rounds: 3,
        shortest: usize::MAX,
        temperature: 0.0,
        top_p: 1.0,
        repetition_penalty: 1.0,
    };
    let mut folder = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let place = match argument.as_str() {
            "--prompt" => &mut sizes.prompt,
            "--generate" => &mut sizes.generate,
            "--batch" => &mut sizes.batch,
            "--rounds" => &mut sizes.rounds,
            "--shortest" => &mut sizes.shortest,
            "--temperature" => {
                sizes.temperature = arguments.next().unwrap_or_default().parse()?;
                continue;
            }
            "--repetition-penalty" => {
                sizes.repetition_penalty = arguments.next().unwrap_or_default().parse()?;
                continue;
            }
            "--top-p" => {
                sizes.top_p = arguments.next().unwrap_or_default().parse()?;
                continue;
            }
            _ => {
                folder = Some(PathBuf::from(argument));
                continue;
            }
        };
        *place = arguments
            .next()
            .unwrap_or_default()
            .parse::<usize>()?
            .max(1);
    }
    measure::run(&folder.ok_or("which folder?")?, &sizes)
}

#[cfg(not(any(feature = "mlx", all(target_os = "macos", target_arch = "aarch64"))))]
fn main() -> Result<(), Box<dyn Error>> {
    let _: Option<PathBuf> = None;
    println!("{}", atoll_executor_mlx::Unavailable::NotBuilt);
    Ok(())
}
