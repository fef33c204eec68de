//! What a signature promises in a folder that is followed: who made a file, that it is what its name says, and that it
//! is no older than what was in force.

use atoll_plugin_runtime::{Library, LibraryOptions, PluginsLock, SeenVersions, Standing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blake2::{Blake2b512, Digest as _};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::library::{Rig, dialect, listed, problem, replace, serves};
use crate::support::runtime;

/// Somebody with a minisign key, who signs as `minisign -S` does.
struct Maker {
    pair: Ed25519KeyPair,
    id: [u8; 8],
}

impl Maker {
    fn new(id: u8) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self {
            pair: Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap(),
            id: [id; 8],
        }
    }

    /// The second line of its `.pub` file.
    fn public(&self) -> String {
        let key = self.pair.public_key();
        BASE64.encode([b"Ed", self.id.as_slice(), key.as_ref()].concat())
    }

    /// The `.minisig` of a component: over its BLAKE2b hash, and over that signature with the trusted comment.
    fn sign(&self, wasm: &[u8]) -> String {
        let signature = self.pair.sign(&Blake2b512::digest(wasm));
        let signature = signature.as_ref();
        let comment = "timestamp:1700000000\tfile:a.wasm\thashed";
        let over_both = self.pair.sign(&[signature, comment.as_bytes()].concat());
        format!(
            "untrusted comment: by a test\n{}\ntrusted comment: {comment}\n{}\n",
            BASE64.encode([b"ED", self.id.as_slice(), signature].concat()),
            BASE64.encode(over_both.as_ref())
        )
    }
}

impl Rig {
    /// Drops a component with its maker's signature, the signature first.
    fn put_signed(&self, name: &str, wasm: &[u8], maker: &Maker) {
        let signature = self.folder.join(format!("{name}.wasm.minisig"));
        replace(&signature, maker.sign(wasm).as_bytes());
        self.put(name, wasm);
    }

    /// The server is started again.
    async fn restart(&mut self, options: LibraryOptions) {
        self.library = Library::new(runtime(), options).unwrap().recording();
        self.library.refresh().await;
    }
}

/// A running server that trusts this maker, and what to start it again with.
async fn trusting(maker: &Maker) -> (Rig, LibraryOptions) {
    let mut kept = None;
    let mut rig = Rig::new(|options| {
        options.trust.keys.push(maker.public());
        options.trust.versions = Some(SeenVersions::path_for(&options.folder));
        kept = Some(options.clone());
    });
    let options = kept.unwrap();
    rig.restart(options.clone()).await;
    (rig, options)
}

#[tokio::test]
async fn a_signature_of_a_trusted_maker_over_this_very_file_counts() {
    let maker = Maker::new(1);
    let (mut rig, _) = trusting(&maker).await;
    let wasm = dialect("a", "1.0.0", "/a");
    rig.put_signed("a", &wasm, &Maker::new(1));
    assert!(problem(&rig.look().await, "a").contains("not by a trusted key"));
    rig.put_signed("a", &wasm, &maker);
    assert_eq!(serves(&rig.look().await, "/a").as_deref(), Some("1.0.0"));
    rig.put("a", &dialect("a", "1.0.1", "/a"));
    let inventory = rig.look().await;
    assert!(problem(&inventory, "a").contains("not for this file"));
    assert_eq!(serves(&inventory, "/a").as_deref(), Some("1.0.0"));
}

#[tokio::test]
async fn a_signed_file_is_what_its_name_says() {
    let maker = Maker::new(1);
    let (mut rig, _) = trusting(&maker).await;
    rig.put_signed("a", &dialect("a", "1.0.0", "/a"), &maker);
    rig.look().await;
    // Well signed, and another plugin.
    let other = dialect("b", "9.0.0", "/b");
    rig.put_signed("a", &other, &maker);
    let inventory = rig.look().await;
    assert!(problem(&inventory, "a").contains("the plugin b, and not a"));
    assert_eq!(serves(&inventory, "/a").as_deref(), Some("1.0.0"));
    assert_eq!(serves(&inventory, "/b"), None);
    // Under its own name it is welcome; under another it is somebody's decision.
    rig.put_signed("b", &other, &maker);
    assert_eq!(serves(&rig.look().await, "/b").as_deref(), Some("9.0.0"));
    let third = dialect("c", "1.0.0", "/c");
    rig.put_signed("renamed", &third, &maker);
    assert_eq!(serves(&rig.look().await, "/c"), None);
    rig.pin("renamed", &third, vec![]);
    assert_eq!(serves(&rig.look().await, "/c").as_deref(), Some("1.0.0"));
}

#[tokio::test]
async fn an_older_signed_version_is_refused_also_after_a_restart() {
    let maker = Maker::new(1);
    let (mut rig, options) = trusting(&maker).await;
    let old = dialect("a", "1.9.0", "/a");
    rig.put_signed("a", &old, &maker);
    assert_eq!(serves(&rig.look().await, "/a").as_deref(), Some("1.9.0"));
    rig.put_signed("a", &dialect("a", "1.10.0", "/a"), &maker);
    assert_eq!(serves(&rig.look().await, "/a").as_deref(), Some("1.10.0"));

    rig.put_signed("a", &old, &maker);
    let inventory = rig.look().await;
    assert!(problem(&inventory, "a").contains("older than 1.10.0"));
    assert_eq!(serves(&inventory, "/a").as_deref(), Some("1.10.0"));
    // Nor when it was taken away first, nor by another server on the same folder.
    std::fs::remove_file(rig.path("a")).unwrap();
    rig.look().await;
    rig.put_signed("a", &old, &maker);
    assert_eq!(serves(&rig.look().await, "/a"), None);
    rig.restart(options).await;
    let inventory = rig.look().await;
    assert!(problem(&inventory, "a").contains("atoll plugin update a --allow-downgrade"));
    assert_eq!(serves(&inventory, "/a"), None);

    // Somebody decides that it is meant, and no longer: that is an order, which does not wait for a change of the file.
    rig.pin("a", &old, vec![]);
    let inventory = rig.look().await;
    assert_eq!(serves(&inventory, "/a").as_deref(), Some("1.9.0"));
    assert_eq!(listed(&inventory, "a").standing, Some(Standing::Pinned));
    std::fs::remove_file(&rig.lock).unwrap();
    assert_eq!(serves(&rig.look().await, "/a"), None);
    // What comes after is taken as ever.
    rig.put_signed("a", &dialect("a", "1.10.1", "/a"), &maker);
    assert_eq!(serves(&rig.look().await, "/a").as_deref(), Some("1.10.1"));
}

/// A command that lists the plugins leaves the record to the server, and without keys there is nothing to record.
#[tokio::test]
async fn who_only_looks_writes_nothing() {
    let maker = Maker::new(1);
    let (mut rig, options) = trusting(&maker).await;
    let record = SeenVersions::path_for(&rig.folder);
    rig.library = Library::new(runtime(), options.clone()).unwrap();
    rig.put_signed("a", &dialect("a", "1.0.0", "/a"), &maker);
    assert_eq!(serves(&rig.look().await, "/a").as_deref(), Some("1.0.0"));
    assert!(!record.exists());

    let mut without = options;
    without.trust.keys.clear();
    rig.restart(without).await;
    rig.put("a", &dialect("a", "2.0.0", "/a"));
    assert_eq!(serves(&rig.look().await, "/a").as_deref(), Some("2.0.0"));
    rig.put("a", &dialect("a", "1.0.0", "/a"));
    assert_eq!(serves(&rig.look().await, "/a").as_deref(), Some("1.0.0"));
    assert!(!record.exists());
}

/// Like a lock file that nobody can read: nothing may be concluded from it.
#[tokio::test]
async fn a_damaged_record_leaves_everything_as_it_is() {
    let maker = Maker::new(1);
    let (mut rig, _) = trusting(&maker).await;
    rig.put_signed("a", &dialect("a", "1.0.0", "/a"), &maker);
    rig.look().await;
    let record = SeenVersions::path_for(&rig.folder);
    replace(&record, b"version = 7");
    rig.put_signed("a", &dialect("a", "1.0.1", "/a"), &maker);
    let inventory = rig.look().await;
    assert!(problem(&inventory, "plugins").contains("written by another Atoll"));
    assert_eq!(serves(&inventory, "/a").as_deref(), Some("1.0.0"));
    std::fs::remove_file(&record).unwrap();
    assert_eq!(serves(&rig.look().await, "/a").as_deref(), Some("1.0.1"));
    assert!(PluginsLock::read(&rig.lock).unwrap() == PluginsLock::default());
}
