use super::*;

const CLUSTER: &str = r#"
    context = 100
    sequences = 3
    [model]
    name = "m"
    layers = 4
    parameters = 1000
    active_parameters = 600
    bits = 8
    hidden_size = 10
    vocab_size = 20
    kv_bytes_per_position = 6
    [[machine]]
    name = "a"
    count = 2
    memory = "4GiB"
    memory_bandwidth = 1e11
    [[machine]]
    name = "b"
    memory = "8GiB"
    reserved = "1GiB"
    executor = "mlx-metal"
    memory_bandwidth = 1e11
    efficiency = 1.0
    [network]
    latency = 1e-3
    bandwidth = 1e9
    [[link]]
    between = ["b", "a-1"]
    kind = "thunderbolt"
    latency = 1e-5
    bandwidth = 1e10
"#;

fn description() -> Description {
    Description::parse(CLUSTER).unwrap()
}

#[test]
fn machines_and_links_are_counted_out() {
    let topology = description().topology(None).unwrap();
    let names: Vec<&str> = topology.nodes.iter().map(|node| node.id.as_str()).collect();
    assert_eq!(names, ["a-1", "a-2", "b"]);
    let free: Vec<u64> = topology
        .nodes
        .iter()
        .map(|node| node.memory_free >> 30)
        .collect();
    assert_eq!(free, [3, 3, 7]);
    assert_eq!(topology.nodes[0].executors[0].memory_bandwidth, 0.8e11);
    assert_eq!(topology.links.len(), 6);
    let kind = |source: &str, target: &str| {
        let mut links = topology.links.iter();
        let link = links.find(|link| link.source == source && link.target == target);
        link.unwrap().kind.clone()
    };
    assert_eq!(
        (kind("b", "a-1").as_str(), kind("a-1", "b").as_str()),
        ("thunderbolt", "thunderbolt")
    );
    assert_eq!(kind("a-1", "a-2"), "unknown");
    let two = description().topology(Some(2)).unwrap();
    assert_eq!((two.nodes.len(), two.links.len()), (2, 2));
    assert_eq!(description().options().kv_positions, 300);
}

#[test]
fn counts_become_layers_and_ends() {
    let facts = description().model.unwrap().facts(Path::new(".")).unwrap();
    assert_eq!(facts.layers.len(), 4);
    // 1000 parameters of a byte, less twice 20 * 10.
    assert_eq!(facts.layers[0].weight_bytes, 150);
    assert_eq!(facts.layers[0].active_bytes, 100);
    assert_eq!((facts.embedding_bytes, facts.head_bytes), (200, 200));
}

#[test]
fn a_configuration_gives_the_bytes_that_the_engine_counts() {
    for (tied, layers) in [(false, 3), (true, 3), (true, 1), (false, 1)] {
        let config = format!(
            r#"{{"model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
            "num_hidden_layers": {layers}, "num_attention_heads": 2, "num_key_value_heads": 1,
            "vocab_size": 64, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
            "tie_word_embeddings": {tied}}}"#
        );
        let spec = ModelSpec::from_config(config.as_bytes()).unwrap();
        let facts = facts("m".to_owned(), spec.clone());
        let sum: u64 = facts.layers.iter().map(|layer| layer.weight_bytes).sum();
        let ends = match tied {
            // The embedding is the head, but for the norm.
            true => facts.head_bytes,
            false => facts.embedding_bytes + facts.head_bytes,
        };
        assert_eq!(sum + ends, spec.weight_bytes(0..layers), "{tied} {layers}");
    }
}

#[test]
fn mistakes_are_named() {
    let wrong = |from: &str, to: &str| {
        let text = CLUSTER.replace(from, to);
        let description = Description::parse(&text);
        description.and_then(|description| {
            description.topology(None)?;
            description.model.unwrap_or_default().facts(Path::new("."))
        })
    };
    for (from, to, said) in [
        ("memory = \"8GiB\"", "memroy = 8", "memroy"),
        ("\"b\", \"a-1\"", "\"b\", \"c\"", "\"c\""),
        (
            "memory_bandwidth = 1e11",
            "memory_bandwidth = -1",
            "memory_bandwidth",
        ),
        ("name = \"b\"", "name = \"a-1\"", "two machines"),
        ("layers = 4", "", "layers"),
        ("bits = 8", "", "bits"),
    ] {
        let reason = wrong(from, to).unwrap_err();
        assert!(reason.contains(said), "{said}: {reason}");
    }
}
