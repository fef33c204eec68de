//! Work that the host does for a guest, which takes longer than it takes the guest to ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atoll_plugin_runtime::{FaultKind, PluginRuntime, RuntimeOptions, TokenizerHost, types};

use crate::support::{dialect, fault, healthy, options, provoke};

/// A tokenizer that takes as long for each text as the real one does for a quarter of a megabyte.
#[derive(Default)]
struct Slow(AtomicUsize);

impl TokenizerHost for Slow {
    fn count(&self, _: &str, _: &str) -> Result<u32, types::Error> {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        Ok(1)
    }

    fn encode(&self, _: &str, _: &str) -> Result<Vec<u32>, types::Error> {
        Ok(Vec::new())
    }

    fn decode(&self, _: &str, _: &[u32]) -> Result<String, types::Error> {
        Ok(String::new())
    }
}

/// 60 ms of processor time are three such texts, and not sixty because it asks once a tick.
#[tokio::test]
async fn what_the_host_works_for_a_guest_is_its_own_time() {
    let tokenizer = Arc::new(Slow::default());
    let runtime = PluginRuntime::new(RuntimeOptions {
        tokenizer: Some(Arc::clone(&tokenizer) as Arc<dyn TokenizerHost>),
        ..options()
    })
    .unwrap();
    let dialect = dialect(&runtime).await;
    let (_, outcome) = provoke(&dialect, "decode", "tokenize").await;
    assert_eq!(fault(outcome), FaultKind::Deadline);
    let asked = tokenizer.0.load(Ordering::SeqCst);
    assert!((1..=4).contains(&asked), "{asked} texts");
    healthy(&dialect, 1).await;
}
