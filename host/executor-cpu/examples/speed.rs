//! What `atoll bench` measures, without building the rest of Atoll, and with a choice of kernels:
//!
//! ```text
//! cargo run --release -p atoll-executor-cpu --example speed -- \
//!     --synthetic qwen3-0.6b --bits 4 --threads 2 --prompt 128 --generate 32 --batch 1 \
//!     --kernels avx2 --rounds 5
//! ```
//!
//! Every option has the default of `atoll bench`. Prints one JSON object.
#![expect(clippy::print_stdout, reason = "a command line tool")]

use atoll_executor_cpu::bench::{BenchError, BenchOptions, synthetic};

fn main() -> Result<(), BenchError> {
    let mut options = BenchOptions::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        let number = || {
            let parsed = value.parse::<usize>();
            parsed.map_err(|error| BenchError::Option(format!("{name} {value}: {error}")))
        };
        match name.as_str() {
            "--synthetic" => options.model = value,
            "--kernels" => options.kernels = Some(value),
            "--bits" => options.bits = number()?.try_into().unwrap_or(u32::MAX),
            "--group-size" => options.group_size = number()?,
            "--threads" => options.threads = Some(number()?),
            "--prompt" => options.prompt = number()?,
            "--generate" => options.generate = number()?,
            "--batch" => options.batch = number()?,
            "--rounds" => options.rounds = number()?,
            _ => return Err(BenchError::Option(format!("there is no option {name}"))),
        }
    }
    let report = synthetic(&options)?;
    let json = serde_json::to_string(&report);
    println!(
        "{}",
        json.map_err(|error| BenchError::Option(error.to_string()))?
    );
    Ok(())
}
