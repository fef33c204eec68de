//! What the misbehaving plugins do when a request asks for it. A file of both plugins.

use std::hint::black_box;

use atoll_sdk::host;

/// Goes wrong as `what` says; does nothing for words that only the caller knows.
#[expect(clippy::exit, reason = "going wrong is its purpose")]
pub fn commit(what: &str) {
    match what {
        "loop" => spin(),
        "grow" => grow(),
        "recurse" => {
            black_box(recurse(black_box(1)));
        }
        "trap" => std::process::abort(),
        "exit" => std::process::exit(3),
        "panic" => explode(),
        "flood" => flood(),
        "sleep" => std::thread::sleep(std::time::Duration::from_secs(600)),
        "drip" => std::thread::sleep(std::time::Duration::from_millis(500)),
        "print" => print(),
        _ => {}
    }
}

fn spin() -> ! {
    let mut n = 0u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

fn grow() {
    let mut blocks = Vec::new();
    loop {
        blocks.push(vec![black_box(1u8); 1 << 20]);
    }
}

/// Each frame keeps something alive across the call, so that it cannot become a loop.
#[expect(unconditional_recursion, reason = "going wrong is its purpose")]
fn recurse(n: u64) -> u64 {
    let frame = black_box([n; 16]);
    let below = recurse(black_box(n + 1));
    below.wrapping_add(frame[(n % 16) as usize])
}

#[expect(clippy::panic, reason = "going wrong is its purpose")]
fn explode() -> ! {
    panic!("boom: \u{1b}[31mred");
}

fn flood() {
    loop {
        black_box(host::clock::now());
    }
}

#[expect(clippy::print_stdout, reason = "going wrong is its purpose")]
fn print() {
    for _ in 0..10_000 {
        println!("a line that is printed very often");
    }
}
