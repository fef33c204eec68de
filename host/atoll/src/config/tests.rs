//! Which place wins, and what a mistake in the file says.

use atoll_gateway::keys::NewKey;
use clap::Parser as _;

use super::*;
use crate::cli::{Cli, Command};

fn paths(folder: &Path) -> Paths {
    Paths {
        config_file: folder.join("config.toml"),
        models: folder.join("models"),
        plugins: folder.join("plugins"),
        cache: folder.join("cache"),
        responses: folder.join("responses.redb"),
        history: folder.join("history"),
        keys: folder.join("keys.json"),
        audit: folder.join("audit.jsonl"),
        node: folder.join("node"),
    }
}

fn serve(words: &[&str]) -> ServeArgs {
    let cli = Cli::try_parse_from(["atoll", "serve"].iter().chain(words)).unwrap();
    match cli.command {
        Command::Serve(args) => args,
        other => panic!("{other:?}"),
    }
}

fn nothing(_: &str) -> Option<OsString> {
    None
}

#[test]
fn defaults_listen_on_loopback_only() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::resolve(&serve(&[]), &nothing, paths(folder.path())).unwrap();
    assert_eq!(config.listen.value, [DEFAULT_LISTEN]);
    assert_eq!(config.listen.source, Source::Default);
    assert_eq!(config.models.value, [folder.path().join("models")]);
    assert!(config.check_listen(&[]).is_ok());
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let file = "threads = 2\nlisten = [\"127.0.0.1:7000\"]\nmodels = [\"here\"]\nkv_memory = \"1GiB\"\nexecutor = \"cpu\"\n";
    std::fs::write(folder.path().join("config.toml"), file).unwrap();
    let env = |name: &str| match name {
        "ATOLL_THREADS" => Some(OsString::from("3")),
        "ATOLL_LISTEN" => Some(OsString::from("127.0.0.1:6000, [::1]:6000")),
        _ => None,
    };
    let args = serve(&["--threads", "4"]);
    let config = Config::resolve(&args, &env, paths(folder.path())).unwrap();
    assert_eq!(
        config.threads,
        Setting {
            value: Some(4),
            source: Source::Flag
        }
    );
    assert_eq!(config.listen.source, Source::Environment("ATOLL_LISTEN"));
    assert_eq!(config.listen.value.len(), 2);
    assert_eq!(
        config.kv_memory,
        Setting {
            value: Some(Bytes(1 << 30)),
            source: Source::File
        }
    );
    assert_eq!(config.models.value, [folder.path().join("here")]);
    assert_eq!(config.plugins.source, Source::Default);
    assert_eq!(config.executor.value, ExecutorChoice::Cpu);
    assert_eq!(config.executor.source, Source::File);
    let env = |name: &str| (name == "ATOLL_EXECUTOR").then(|| OsString::from("mlx"));
    let config = Config::resolve(&serve(&[]), &env, paths(folder.path())).unwrap();
    assert_eq!(config.executor.value, ExecutorChoice::Mlx);
    let args = serve(&["--executor", "auto"]);
    let config = Config::resolve(&args, &env, paths(folder.path())).unwrap();
    assert_eq!(config.executor.value, ExecutorChoice::Auto);
    let env = |name: &str| (name == "ATOLL_EXECUTOR").then(|| OsString::from("abacus"));
    assert!(Config::resolve(&serve(&[]), &env, paths(folder.path())).is_err());
}

#[test]
fn a_wide_address_needs_a_key_or_insecure() {
    let folder = tempfile::tempdir().unwrap();
    let check = |words: &[&str]| {
        let config = Config::resolve(&serve(words), &nothing, paths(folder.path())).unwrap();
        config.check_listen(&config.key_file().read()?)
    };
    for address in ["0.0.0.0:8000", "[::]:8000", "192.168.1.5:8000"] {
        assert!(check(&["--listen", address]).is_err(), "{address}");
        assert!(
            check(&["--listen", address, "--insecure"]).is_ok(),
            "{address}"
        );
    }
    let loopback = ["--listen", "[::1]:8000", "--listen", "127.0.0.2:1"];
    assert!(check(&loopback).is_ok());
    // Asking everybody for a key when there is none would lock everybody out.
    assert!(check(&["--require-key"]).is_err());

    let keys = KeyFile::at(folder.path().join("keys.json"));
    let expired = NewKey {
        name: "old".to_owned(),
        expires: Some(1),
        ..NewKey::default()
    };
    keys.create(expired, 0).unwrap();
    assert!(check(&["--listen", "0.0.0.0:8000"]).is_err());
    let good = NewKey {
        name: "good".to_owned(),
        ..NewKey::default()
    };
    keys.create(good, 0).unwrap();
    assert!(check(&["--listen", "0.0.0.0:8000"]).is_ok());
    assert!(check(&["--require-key"]).is_ok());
}

#[test]
fn filters_keep_their_order_and_default_to_closed() {
    let file = parse(
        "[[filter]]\nplugin = \"b\"\nsettings = { tag = \"x\" }\n\
         [[filter]]\nplugin = \"a\"\nmodels = [\"qwen*\"]\nkeys = [\"team-*\"]\non_fault = \"open\"\n\
         [plugin.b]\ngrants = [\"log\"]\n",
    )
    .unwrap();
    assert_eq!(file.filter[0].plugin, "b");
    assert_eq!(file.filter[0].on_fault, Fault::Closed);
    assert_eq!(file.filter[1].on_fault, Fault::Open);
    assert_eq!(file.filter[1].keys, ["team-*"]);
    assert_eq!(file.plugin["b"].grants, ["log"]);
}

#[test]
fn mistakes_in_the_file_say_where_and_suggest() {
    for (text, place, better) in [
        ("lisen = []", "line 1", "`listen`"),
        ("[limits]\nmax_bodi = 5", "line 2", "`max_body`"),
        (
            "[[filter]]\nplugin = \"a\"\nonfault = \"open\"",
            "line 3",
            "`on_fault`",
        ),
    ] {
        let reason = parse(text).unwrap_err();
        assert!(reason.contains(place), "{reason}");
        assert!(
            reason.contains(&format!("did you mean {better}?")),
            "{reason}"
        );
    }
    assert!(
        parse("kv_memory = \"much\"")
            .unwrap_err()
            .contains("512MiB")
    );
    assert!(!parse("zzz = 1").unwrap_err().contains("did you mean"));
}

#[test]
fn a_bad_environment_variable_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let env = |name: &str| (name == "ATOLL_THREADS").then(|| OsString::from("many"));
    let error = Config::resolve(&serve(&[]), &env, paths(folder.path())).unwrap_err();
    assert!(error.to_string().contains("ATOLL_THREADS"), "{error}");
}

#[test]
fn the_audit_trail_has_a_place_and_says_whether_it_must_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let config = || Config::resolve(&serve(&[]), &nothing, paths(folder.path())).unwrap();
    let audit = config().audit;
    assert_eq!(audit.path, folder.path().join("audit.jsonl"));
    assert!(!audit.required);
    std::fs::write(
        folder.path().join("config.toml"),
        "[audit]\nfile = \"logs/a.jsonl\"\nmax_size = \"1MiB\"\nkeep = 3\nrequired = true\n",
    )
    .unwrap();
    let audit = config().audit;
    assert_eq!(audit.path, folder.path().join("logs/a.jsonl"));
    assert_eq!(
        (audit.max_bytes, audit.keep, audit.required),
        (1 << 20, 3, true)
    );
}
