//! Reads the dep-info that cargo writes beside an artifact: a line of make, `artifact: source source
//! ...`, in which a space inside a path is written `\ `.

use std::path::{Path, PathBuf};

/// The sources named in a dep-info file; none if there is no such file.
pub(crate) fn read(path: &Path) -> Vec<PathBuf> {
    std::fs::read_to_string(path)
        .map(|text| parse(&text))
        .unwrap_or_default()
}

fn parse(text: &str) -> Vec<PathBuf> {
    // ": " ends the artifact; a drive letter's colon has no space after it.
    let sources = text.lines().next().and_then(|line| line.split_once(": "));
    let Some((_, sources)) = sources else {
        return Vec::new();
    };
    let mut paths = Vec::new();
    let mut path = String::new();
    let mut characters = sources.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.peek() == Some(&' ') => {
                characters.next();
                path.push(' ');
            }
            ' ' => paths.push(std::mem::take(&mut path)),
            other => path.push(other),
        }
    }
    paths.push(path);
    paths
        .into_iter()
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_spaces_stay_whole() {
        let paths = parse("/t/a.wasm: /w/src/lib.rs /w/my\\ files/x.rs  C:\\w\\y.rs\n");
        let expected = ["/w/src/lib.rs", "/w/my files/x.rs", "C:\\w\\y.rs"].map(PathBuf::from);
        assert_eq!(paths, expected);
        assert!(parse("").is_empty());
        assert!(parse("/t/a.wasm:").is_empty());
    }
}
