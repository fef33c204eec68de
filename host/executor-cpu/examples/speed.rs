//! `cargo run -p atoll-executor-cpu --example bench -- [model] [bits] [prompt] [generate] [batch]
//! [threads] [kernels]`: one measurement as JSON-like text, without the rest of Atoll.
#![expect(clippy::print_stdout, reason = "a command line tool")]

use atoll_executor_cpu::bench::{BenchError, BenchOptions, synthetic};

fn main() -> Result<(), BenchError> {
    let mut arguments = std::env::args().skip(1);
    let mut options = BenchOptions::default();
    if let Some(model) = arguments.next() {
        options.model = model;
    }
    let mut number = |default: usize| {
        arguments
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    options.bits = number(4) as u32;
    options.prompt = number(options.prompt);
    options.generate = number(options.generate);
    options.batch = number(options.batch);
    options.threads = Some(number(2));
    options.kernels = arguments.next();
    println!("{:#?}", synthetic(&options)?);
    Ok(())
}
