//! Components made by hand: a core module in text form, wrapped into a component of the `dialect` world.
//! For what a compiler never emits: malformed values, endless start functions, growing tables.

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

/// A dialect made of function bodies. The defaults describe a plugin called `handmade` with the route
/// `GET /handmade` and do nothing else right.
pub struct HandMade {
    pub name: Vec<u8>,
    pub version: &'static str,
    pub schema: &'static str,
    pub method: &'static str,
    pub path: &'static str,
    /// Body of each export, in WebAssembly text.
    pub describe: &'static str,
    pub constructor: &'static str,
    pub head: &'static str,
    pub encode: &'static str,
    /// More module fields, such as a start function.
    pub fields: &'static str,
}

impl Default for HandMade {
    fn default() -> Self {
        Self {
            name: b"handmade".to_vec(),
            version: "1.0.0",
            schema: "{}",
            method: "GET",
            path: "/handmade",
            describe: "i32.const 64",
            constructor: "(call $new (i32.const 1))",
            head: "unreachable",
            encode: "unreachable",
            fields: "",
        }
    }
}

impl HandMade {
    /// The component.
    pub fn build(&self) -> Vec<u8> {
        // Strings from 1024 on; the descriptor at 64; the one route at 256.
        let mut strings: Vec<u8> = Vec::new();
        let mut string = |bytes: &[u8]| {
            let at = 1024 + strings.len();
            strings.extend_from_slice(bytes);
            [at as u32, bytes.len() as u32]
        };
        let mut descriptor: Vec<u32> = Vec::new();
        descriptor.extend(string(&self.name));
        descriptor.extend(string(self.version.as_bytes()));
        descriptor.extend(string(b"Made by hand."));
        descriptor.extend(string(self.schema.as_bytes()));
        descriptor.extend([0, 0]); // wants
        descriptor.extend([0, 0, 0]); // ext: none
        descriptor.extend([256, 1]); // routes
        let mut route: Vec<u32> = Vec::new();
        route.extend(string(self.method.as_bytes()));
        route.extend(string(self.path.as_bytes()));
        route.extend([0, 0, 0]); // header: none
        let words = |words: &[u32]| {
            escape(
                &words
                    .iter()
                    .flat_map(|w| w.to_le_bytes())
                    .collect::<Vec<u8>>(),
            )
        };
        let text = format!(
            r#"(module
              (import "[export]atoll:plugin/dialect-guest@0.1.0" "[resource-new]exchange"
                (func $new (param i32) (result i32)))
              (memory (export "memory") 2)
              (table $table 1 funcref)
              (global $heap (mut i32) (i32.const 8192))
              (data (i32.const 64) "{descriptor}")
              (data (i32.const 256) "{route}")
              (data (i32.const 1024) "{strings}")
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                (global.get $heap)
                (global.set $heap (i32.add (global.get $heap) (local.get 3))))
              (func (export "{P}#describe") (result i32) {describe})
              (func (export "{P}#[constructor]exchange") (param i32) (result i32) {constructor})
              (func (export "{P}#[method]exchange.decode") (param i32) (result i32) unreachable)
              (func (export "{P}#[method]exchange.head") (param i32) (result i32) {head})
              (func (export "{P}#[method]exchange.encode") (param i32 i32 i32) (result i32) {encode})
              (func (export "{P}#[method]exchange.reply") (param i32) (result i32) unreachable)
              (func (export "{P}#[method]exchange.fail")
                (param i32 i32 i64 i64 i32 i32 i32 i32 i32 i32 i64 i32 i32 i32) (result i32) unreachable)
              {fields})"#,
            P = "atoll:plugin/dialect-guest@0.1.0",
            descriptor = words(&descriptor),
            route = words(&route),
            strings = escape(&strings),
            describe = self.describe,
            constructor = self.constructor,
            head = self.head,
            encode = self.encode,
            fields = self.fields,
        );
        componentize("dialect", &text)
    }
}

/// Wraps a core module in text form into a component of that world.
pub fn componentize(world: &str, text: &str) -> Vec<u8> {
    encode(text, |resolve, package| {
        resolve.select_world(&[package], Some(world)).unwrap()
    })
}

/// The same for a world of its own, as a plugin's author may write one: its body is given.
pub fn componentize_own(world: &str, text: &str) -> Vec<u8> {
    encode(text, |resolve, _| {
        let source = format!("package test:mine; world mine {{ {world} }}");
        let own = resolve.push_str("mine.wit", &source).unwrap();
        resolve.select_world(&[own], Some("mine")).unwrap()
    })
}

fn encode(
    text: &str,
    world: impl FnOnce(&mut Resolve, wit_parser::PackageId) -> wit_parser::WorldId,
) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");
    let (package, _) = resolve.push_dir(wit).unwrap();
    let world = world(&mut resolve, package);
    let mut module = wat::parse_str(text).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .unwrap();
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

pub fn escape(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("\\{b:02x}")).collect()
}
