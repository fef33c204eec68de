//! Values that are not what their types say, from components no compiler would make.

use atoll_plugin_runtime::{Breach, FaultKind};

use crate::handmade::HandMade;
use crate::support::{fault, healthy, load_dialect, request, runtime, text};

#[tokio::test]
async fn a_handmade_dialect_loads() {
    let dialect = load_dialect(&runtime(), &HandMade::default().build()).await;
    let info = dialect.info();
    assert_eq!(
        (
            info.name.as_str(),
            info.version.as_str(),
            info.contract.as_str()
        ),
        ("handmade", "1.0.0", "0.1.0")
    );
    assert!(info.imports.is_empty());
    assert_eq!(info.routes[0].path, "/handmade");
    dialect.open(request("x")).await.unwrap();
}

/// Each malformed value is a fault of the plugin that returned it, not a crash, and a healthy plugin in
/// the same runtime notices nothing.
#[tokio::test]
async fn malformed_values_are_faults() {
    let runtime = runtime();
    let neighbour = crate::support::dialect(&runtime).await;
    // A result<list<u8>, error> at 512: discriminant, then pointer and length at offset 8.
    let list = |discriminant: u32, pointer: u32, length: u32| {
        let body = format!(
            "(i32.store8 (i32.const 512) (i32.const {discriminant}))
             (i32.store (i32.const 520) (i32.const {pointer}))
             (i32.store (i32.const 524) (i32.const {length}))
             (i32.const 512)"
        );
        HandMade {
            encode: body.leak(),
            ..HandMade::default()
        }
    };
    for (name, plugin) in [
        ("a list that ends past the memory", list(0, 131_000, 4_096)),
        (
            "a list that starts past the memory",
            list(0, u32::MAX - 8, 4),
        ),
        ("a length that overflows", list(0, 512, u32::MAX)),
        ("a case that does not exist", list(7, 0, 0)),
        (
            "a result past the memory",
            HandMade {
                encode: "i32.const 131064",
                ..HandMade::default()
            },
        ),
        (
            "a misaligned result",
            HandMade {
                encode: "i32.const 513",
                ..HandMade::default()
            },
        ),
        (
            "a negative result",
            HandMade {
                encode: "i32.const -8",
                ..HandMade::default()
            },
        ),
    ] {
        let dialect = load_dialect(&runtime, &plugin.build()).await;
        let mut exchange = dialect.open(request("x")).await.unwrap();
        let kind = fault(exchange.encode(&[text("x")]).await);
        assert_eq!(kind, FaultKind::Contract(Breach::Encoding), "{name}");
        healthy(&neighbour, 1).await;
    }
}

/// A header name that is not UTF-8: one header at 600, its name two bytes at 700.
#[tokio::test]
async fn text_that_is_not_utf8_is_a_fault() {
    let head = "(i32.store16 (i32.const 512) (i32.const 200))
        (i32.store (i32.const 516) (i32.const 600)) (i32.store (i32.const 520) (i32.const 1))
        (i32.store (i32.const 600) (i32.const 700)) (i32.store (i32.const 604) (i32.const 2))
        (i32.store16 (i32.const 700) (i32.const 0xfffe))
        (i32.const 512)";
    let dialect = load_dialect(
        &runtime(),
        &HandMade {
            head,
            ..HandMade::default()
        }
        .build(),
    )
    .await;
    let mut exchange = dialect.open(request("x")).await.unwrap();
    let error = exchange.head().await.unwrap_err();
    assert_eq!(
        error.fault().unwrap().kind,
        FaultKind::Contract(Breach::Encoding)
    );
    assert!(error.to_string().contains("utf-8"), "{error}");
}

/// A table that grows for ever, and native recursion.
#[tokio::test]
async fn tables_and_the_native_stack_are_bounded() {
    let runtime = runtime();
    for (encode, fields, expected) in [
        (
            "(loop $again (drop (table.grow $table (ref.null func) (i32.const 1000))) (br $again)) unreachable",
            "",
            FaultKind::Memory,
        ),
        (
            "(call $deep (i32.const 0))",
            "(func $deep (param i32) (result i32)
            (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (local.get 0)))",
            FaultKind::Stack,
        ),
        (
            "(loop $again (drop (memory.grow (i32.const 16))) (br $again)) unreachable",
            "",
            FaultKind::Memory,
        ),
    ] {
        let plugin = HandMade {
            encode,
            fields,
            ..HandMade::default()
        };
        let dialect = load_dialect(&runtime, &plugin.build()).await;
        let mut exchange = dialect.open(request("x")).await.unwrap();
        assert_eq!(
            fault(exchange.encode(&[text("x")]).await),
            expected,
            "{encode}"
        );
    }
}
