//! Two nodes whose posts go straight to each other.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;

use super::*;

/// Delivers to the other side's sessions, unless it is cut.
#[derive(Clone, Default)]
struct Wire {
    inner: Arc<WireInner>,
}

#[derive(Default)]
struct WireInner {
    sides: OnceLock<(Weak, Weak)>,
    service: OnceLock<Arc<dyn Service>>,
    cut: std::sync::atomic::AtomicBool,
    work: TaskTracker,
}

type Weak = std::sync::Weak<Sessions<Wire>>;

impl Post for Wire {
    async fn up(&self, _: NodeId, frame: Vec<u8>) -> Result<(), ClusterError> {
        let (_, answering) = self.inner.sides.get().unwrap();
        if let Some(answering) = answering.upgrade()
            && !self.inner.cut.load(Ordering::Acquire)
        {
            let spawn = |work| drop(self.inner.work.spawn(work));
            answering.asked(&frame, self.inner.service.get(), spawn);
        }
        Ok(())
    }

    async fn down(&self, _: NodeId, frame: Vec<u8>) -> Result<(), ClusterError> {
        let (asking, _) = self.inner.sides.get().unwrap();
        if let Some(asking) = asking.upgrade()
            && !self.inner.cut.load(Ordering::Acquire)
        {
            asking.told(&frame);
        }
        Ok(())
    }
}

struct Sides {
    asking: Arc<Sessions<Wire>>,
    answering: Arc<Sessions<Wire>>,
    wire: Wire,
}

fn sides(service: impl Service) -> Sides {
    let wire = Wire::default();
    let side = || Sessions::new(NodeId::random(), wire.clone());
    let (asking, answering) = (side(), side());
    let weak = (Arc::downgrade(&asking), Arc::downgrade(&answering));
    assert!(wire.inner.sides.set(weak).is_ok());
    assert!(wire.inner.service.set(Arc::new(service)).is_ok());
    Sides {
        asking,
        answering,
        wire,
    }
}

/// As many parts as the request's first byte says times a hundred; counts what it has made.
struct Counter(Arc<AtomicUsize>);

impl Service for Counter {
    fn answer(&self, request: Vec<u8>) -> BoxStream<'static, Vec<u8>> {
        let made = Arc::clone(&self.0);
        let count = usize::from(request[0]) * 100;
        futures::stream::iter(0..count)
            .map(move |part| {
                made.fetch_add(1, Ordering::AcqRel);
                part.to_le_bytes().to_vec()
            })
            .boxed()
    }
}

const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn every_part_comes_once_and_in_order() {
    let made = Arc::new(AtomicUsize::new(0));
    let sides = sides(Counter(made));
    let node = sides.answering.me;
    let answer = sides.asking.ask(node, vec![10], PATIENCE).await.unwrap();
    let parts: Vec<_> = answer.map(Result::unwrap).collect().await;
    let expected: Vec<_> = (0..1000_usize)
        .map(|part| part.to_le_bytes().to_vec())
        .collect();
    assert_eq!(parts, expected);
    assert_eq!(sides.answering.answering(), 0);
    assert!(lock(&sides.asking.asking).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_holds_the_work_back() {
    let made = Arc::new(AtomicUsize::new(0));
    let sides = sides(Counter(Arc::clone(&made)));
    let node = sides.answering.me;
    let mut answer = sides.asking.ask(node, vec![200], PATIENCE).await.unwrap();
    tokio::time::sleep(Duration::from_secs(10)).await;
    let ahead = made.load(Ordering::Acquire);
    assert!(
        ahead <= WINDOW as usize + 2,
        "{ahead} parts were made for nobody"
    );
    for part in 0..500_usize {
        let next = answer.next().await.unwrap().unwrap();
        assert_eq!(next, part.to_le_bytes());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_goes_cancels() {
    struct Endless(Arc<()>);
    impl Service for Endless {
        fn answer(&self, _: Vec<u8>) -> BoxStream<'static, Vec<u8>> {
            let held = Arc::clone(&self.0);
            futures::stream::pending()
                .chain(futures::stream::once(async move {
                    drop(held);
                    Vec::new()
                }))
                .boxed()
        }
    }
    let held = Arc::new(());
    let sides = sides(Endless(Arc::clone(&held)));
    let node = sides.answering.me;
    let mut answer = sides.asking.ask(node, vec![], PATIENCE).await.unwrap();
    // It lives, with nothing to say.
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(answer.next().now_or_never().is_none());
    assert_eq!(Arc::strong_count(&held), 3);
    drop(answer);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(sides.answering.answering(), 0);
    assert_eq!(Arc::strong_count(&held), 2);
}

#[tokio::test]
async fn silence_and_loss_end_an_answer() {
    let sides = sides(Counter(Arc::default()));
    let node = sides.answering.me;
    sides.wire.inner.cut.store(true, Ordering::Release);
    let patience = Duration::from_millis(100);
    let mut answer = sides.asking.ask(node, vec![1], patience).await.unwrap();
    let end = answer.next().await.unwrap();
    assert!(
        matches!(end, Err(ClusterError::Unreachable { .. })),
        "{end:?}"
    );
    assert!(answer.next().await.is_none());
    let mut answer = sides.asking.ask(node, vec![1], PATIENCE).await.unwrap();
    sides.asking.lost(node);
    let end = answer.next().await.unwrap();
    assert_eq!(end, Err(ClusterError::Lost { node }));
}

#[tokio::test]
async fn frames_of_nobody_change_nothing() {
    let sides = sides(Counter(Arc::default()));
    for frame in [&b""[..], b"\x01", b"\xff\xff\xff", &[1, 9, 9, 9, 9]] {
        sides.asking.told(frame);
        sides.answering.asked(frame, None, |_| {});
    }
    let late = wire::encode(&Down {
        session: 7,
        body: DownBody::End,
    });
    sides.asking.told(&late.unwrap());
    assert_eq!(sides.answering.answering(), 0);
}
