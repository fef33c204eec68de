//! What plugins report through `metrics`, and what the host counts of their `http-out`, on `/metrics`.
//!
//! The plugin and the name of its number are labels: two plugins may count under one name, and what a
//! plugin makes up is a value of a label (of which it has a bounded number), never a metric of the host's.

use std::fmt;

use atoll_plugin_runtime::{HistogramSnapshot, PluginMetricsSnapshot, PluginRuntime};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Asks the runtime at each scrape.
#[derive(Debug)]
pub(crate) struct PluginMetrics(pub(crate) PluginRuntime);

impl Collector for PluginMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        encode(&self.0.metrics(), encoder)
    }
}

fn encode(plugins: &[PluginMetricsSnapshot], mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let counts = plugins.iter().flat_map(|plugin| {
        let counters = plugin.counters.iter();
        counters.map(|(name, count)| ([("plugin", plugin.plugin.as_str()), ("name", name)], *count))
    });
    counters(&mut encoder, "plugin_count", "What plugins count", counts)?;
    let mut family = encoder.encode_descriptor(
        "plugin_observed",
        "Values that plugins observe",
        None,
        MetricType::Histogram,
    )?;
    for plugin in plugins {
        for (name, histogram) in &plugin.histograms {
            let labels = [("plugin", plugin.plugin.as_str()), ("name", name)];
            family
                .encode_family(&labels)?
                .encode_histogram::<NoLabelSet>(
                    histogram.sum,
                    histogram.count,
                    &buckets(histogram),
                    None,
                )?;
        }
    }
    let dropped = plugins
        .iter()
        .filter(|plugin| plugin.dropped > 0)
        .map(|plugin| ([("plugin", plugin.plugin.as_str())], plugin.dropped));
    counters(
        &mut encoder,
        "plugin_reports_dropped",
        "Reports of plugins with a malformed name or value, or one name too many",
        dropped,
    )?;
    let asked = plugins.iter().flat_map(|plugin| {
        let http = plugin.http_out;
        [
            ("answered", http.answered),
            ("refused", http.refused),
            ("failed", http.failed),
        ]
        .into_iter()
        .map(|(outcome, count)| {
            let labels = [("plugin", plugin.plugin.as_str()), ("outcome", outcome)];
            (labels, count)
        })
        .filter(|(_, count)| *count > 0)
    });
    counters(
        &mut encoder,
        "plugin_http_out_requests",
        "Requests of plugins to other hosts, by what came of them",
        asked,
    )?;
    let bytes = plugins.iter().flat_map(|plugin| {
        let http = plugin.http_out;
        [("sent", http.sent_bytes), ("received", http.received_bytes)]
            .into_iter()
            .map(|(direction, bytes)| {
                let labels = [("plugin", plugin.plugin.as_str()), ("direction", direction)];
                (labels, bytes)
            })
            .filter(|(_, bytes)| *bytes > 0)
    });
    counters(
        &mut encoder,
        "plugin_http_out_bytes",
        "Bytes of the bodies that plugins exchanged with other hosts",
        bytes,
    )
}

fn counters<'a, const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    samples: impl Iterator<Item = ([(&'a str, &'a str); N], u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, count) in samples {
        family
            .encode_family(&labels)?
            .encode_counter::<NoLabelSet, u64, u64>(&count, None)?;
    }
    Ok(())
}

/// Each bucket's own count, and a last one for what is larger: the encoder adds them up.
fn buckets(histogram: &HistogramSnapshot) -> Vec<(f64, u64)> {
    let mut below = 0;
    let mut own: Vec<(f64, u64)> = histogram
        .buckets
        .iter()
        .map(|(bound, upto)| {
            let count = upto.saturating_sub(below);
            below = *upto;
            (*bound, count)
        })
        .collect();
    own.push((f64::INFINITY, histogram.count.saturating_sub(below)));
    own
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use atoll_plugin_runtime::HttpOutSnapshot;
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    #[derive(Debug)]
    struct Fixed(Vec<PluginMetricsSnapshot>);

    impl Collector for Fixed {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
            super::encode(&self.0, encoder)
        }
    }

    #[test]
    fn every_number_has_its_plugin_and_name() {
        let histogram = HistogramSnapshot {
            count: 4,
            sum: 9.5,
            buckets: vec![(1.0, 1), (4.0, 3)],
        };
        let plugin = |name: &str| PluginMetricsSnapshot {
            plugin: name.to_owned(),
            counters: BTreeMap::from([("refused".to_owned(), 3)]),
            histograms: BTreeMap::from([("size".to_owned(), histogram.clone())]),
            dropped: 1,
            http_out: HttpOutSnapshot {
                answered: 2,
                sent_bytes: 7,
                ..HttpOutSnapshot::default()
            },
        };
        let mut registry = Registry::with_prefix("atoll");
        registry.register_collector(Box::new(Fixed(vec![plugin("a"), plugin("b")])));
        let mut out = String::new();
        text::encode(&mut out, &registry).unwrap();
        for line in [
            r#"atoll_plugin_count_total{plugin="a",name="refused"} 3"#,
            r#"atoll_plugin_count_total{plugin="b",name="refused"} 3"#,
            r#"atoll_plugin_observed_sum{plugin="a",name="size"} 9.5"#,
            r#"atoll_plugin_observed_count{plugin="a",name="size"} 4"#,
            r#"atoll_plugin_observed_bucket{le="1.0",plugin="a",name="size"} 1"#,
            r#"atoll_plugin_observed_bucket{le="4.0",plugin="a",name="size"} 3"#,
            r#"atoll_plugin_observed_bucket{le="+Inf",plugin="a",name="size"} 4"#,
            r#"atoll_plugin_reports_dropped_total{plugin="b"} 1"#,
            r#"atoll_plugin_http_out_requests_total{plugin="a",outcome="answered"} 2"#,
            r#"atoll_plugin_http_out_bytes_total{plugin="a",direction="sent"} 7"#,
        ] {
            assert!(out.lines().any(|l| l == line), "{line} is not in:\n{out}");
        }
        assert!(!out.contains("refused\"} 0"), "{out}");
    }
}
