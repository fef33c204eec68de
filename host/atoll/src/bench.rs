//! `atoll bench`: how fast this machine runs a model's shape.

use atoll_executor_cpu::bench::{BenchOptions, synthetic};

use crate::cli::BenchArgs;
use crate::error::CliError;
use crate::output;
use crate::units::Bytes;

/// Runs the command.
pub fn command(args: &BenchArgs) -> Result<(), CliError> {
    let options = BenchOptions {
        model: args.synthetic.clone(),
        bits: args.bits,
        prompt: args.prompt as usize,
        generate: args.generate as usize,
        batch: args.batch as usize,
        threads: args.threads.map(|count| count as usize),
        ..BenchOptions::default()
    };
    let report = synthetic(&options).map_err(|error| CliError::Bench(error.to_string()))?;
    if args.json {
        let json =
            serde_json::to_string(&report).map_err(|error| CliError::Output(error.to_string()))?;
        return output::line(json);
    }
    output::line(format_args!(
        "{} at {} bits, {} threads, {} kernels",
        report.model, report.bits, report.threads, report.kernels
    ))?;
    output::line(format_args!("  weights  {}", Bytes(report.weight_bytes)))?;
    if let Some(peak) = report.peak_rss_bytes {
        output::line(format_args!("  memory   {} at most", Bytes(peak)))?;
    }
    output::line(format_args!(
        "  prefill  {:.1} tokens/s ({} sequences of {})",
        report.prefill_tokens_per_second, report.batch, report.prompt
    ))?;
    output::line(format_args!(
        "  decode   {:.1} tokens/s ({} tokens each)",
        report.decode_tokens_per_second, report.generate
    ))
}
