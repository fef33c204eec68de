//! The contract as pages for people: `docs/plugins/wit/` is what `wit/` says.
//!
//! `UPDATE_FIXTURES=1 cargo test -p atoll-bundled-plugins --test wit_page` writes the pages again.

use std::path::Path;

use wit_bindgen_core::{Files, wit_parser::Resolve};
use wit_bindgen_markdown::Opts;

#[test]
fn the_pages_say_what_the_contract_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for name in ["dialect", "filter", "placement", "scheduling"] {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(root.join("wit")).unwrap();
        let world = resolve.select_world(&[package], Some(name)).unwrap();
        let mut files = Files::default();
        Opts::default()
            .build()
            .generate(&mut resolve, world, &mut files)
            .unwrap();
        let (_, page) = files
            .iter()
            .find(|(file, _)| file.ends_with(".md"))
            .unwrap();
        let path = root.join(format!("docs/plugins/wit/{name}.md"));
        if std::env::var_os("UPDATE_FIXTURES").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, page).unwrap();
        }
        assert!(
            std::fs::read(&path).unwrap_or_default() == page,
            "{} is not what wit/ says: see the head of this test",
            path.display()
        );
    }
}
