//! Numbers a plugin reports: counters and histograms, by name, kept until the process ends.
//!
//! Names are bounded in form and number, because each becomes a time series; a plugin that makes names
//! up loses the surplus, and the loss is itself a number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::http_out::{HttpOutCounters, HttpOutSnapshot};

/// Upper bounds of the histogram buckets: powers of four from a thousandth to 65,536, which spans
/// microseconds in milliseconds and bytes alike. The last bucket has no bound.
pub(crate) const BUCKET_BOUNDS: [f64; 14] = [
    0.001, 0.004, 0.016, 0.064, 0.25, 1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0,
];

/// One plugin's numbers.
#[derive(Debug)]
pub(crate) struct PluginMetrics {
    max_names: usize,
    inner: Mutex<Inner>,
    /// Counted by the host, not reported by the plugin.
    pub http_out: Arc<HttpOutCounters>,
}

#[derive(Debug, Default)]
struct Inner {
    counters: BTreeMap<String, u64>,
    histograms: BTreeMap<String, HistogramSnapshot>,
    dropped: u64,
}

/// A histogram as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HistogramSnapshot {
    /// Values seen.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// Pairs of upper bound and how many values were at most that, cumulative.
    pub buckets: Vec<(f64, u64)>,
}

/// Everything one plugin reported.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PluginMetricsSnapshot {
    /// The plugin's name.
    pub plugin: String,
    /// Counters by name.
    pub counters: BTreeMap<String, u64>,
    /// Histograms by name.
    pub histograms: BTreeMap<String, HistogramSnapshot>,
    /// Reports dropped: too many names, a malformed name, or a value that is not a finite number.
    pub dropped: u64,
    /// What it sent through `http-out`, counted by the host.
    pub http_out: HttpOutSnapshot,
}

impl PluginMetrics {
    pub fn new(max_names: usize) -> Self {
        Self {
            max_names,
            inner: Mutex::default(),
            http_out: Arc::default(),
        }
    }

    pub fn count(&self, name: &str, by: u64) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(counter) = inner.counters.get_mut(name) {
            *counter = counter.saturating_add(by);
        } else if is_metric_name(name) && inner.counters.len() < self.max_names {
            inner.counters.insert(name.to_owned(), by);
        } else {
            inner.dropped = inner.dropped.saturating_add(1);
        }
    }

    pub fn observe(&self, name: &str, value: f64) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let known = inner.histograms.contains_key(name);
        if !value.is_finite()
            || (!known && (!is_metric_name(name) || inner.histograms.len() >= self.max_names))
        {
            inner.dropped = inner.dropped.saturating_add(1);
            return;
        }
        let histogram =
            inner
                .histograms
                .entry(name.to_owned())
                .or_insert_with(|| HistogramSnapshot {
                    count: 0,
                    sum: 0.0,
                    buckets: BUCKET_BOUNDS.iter().map(|&bound| (bound, 0)).collect(),
                });
        histogram.count = histogram.count.saturating_add(1);
        histogram.sum += value;
        for (bound, count) in &mut histogram.buckets {
            if value <= *bound {
                *count = count.saturating_add(1);
            }
        }
    }

    /// Whether there is nothing to tell.
    pub fn is_untouched(&self) -> bool {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let reported = !inner.counters.is_empty() || !inner.histograms.is_empty();
        let sent = self.http_out.snapshot() != HttpOutSnapshot::default();
        !reported && inner.dropped == 0 && !sent
    }

    pub fn snapshot(&self, plugin: &str) -> PluginMetricsSnapshot {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        PluginMetricsSnapshot {
            plugin: plugin.to_owned(),
            counters: inner.counters.clone(),
            histograms: inner.histograms.clone(),
            dropped: inner.dropped,
            http_out: self.http_out.snapshot(),
        }
    }
}

/// Lower-case letters, digits and `_`, starting with a letter, at most 64: what Prometheus takes.
fn is_metric_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_capped_and_the_loss_is_counted() {
        let metrics = PluginMetrics::new(2);
        for name in ["a", "b", "c", "a", "Bad name", ""] {
            metrics.count(name, 2);
        }
        metrics.observe("size", 3.0);
        metrics.observe("size", 1e9);
        metrics.observe("size", f64::NAN);
        let snapshot = metrics.snapshot("p");
        assert_eq!(
            snapshot.counters,
            BTreeMap::from([("a".into(), 4), ("b".into(), 2)])
        );
        assert_eq!(snapshot.dropped, 4);
        let size = &snapshot.histograms["size"];
        assert_eq!(
            (
                size.count,
                size.buckets[5],
                size.buckets[6],
                size.buckets[13]
            ),
            (2, (1.0, 0), (4.0, 1), (65536.0, 1))
        );
    }
}
