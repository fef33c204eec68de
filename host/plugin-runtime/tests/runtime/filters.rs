//! Filters: refusals are answers, tampering with the answer's structure is a fault.

use atoll_plugin_runtime::{Breach, FaultKind, Filter, PluginError, PluginRuntime, Session, types};

use crate::support::{fault, filter, finished, item_started, patient, runtime, text};

fn context(what: &str) -> types::FilterContext {
    types::FilterContext {
        request_id: "req-1".into(),
        dialect: "test".into(),
        model: what.into(),
        key_name: None,
        conversation: None,
        ext: None,
    }
}

async fn session(filter: &Filter, what: &str) -> Session {
    filter.open(context(what)).await.unwrap().unwrap()
}

fn answer() -> Vec<types::Event> {
    let end = types::Event::ItemFinished(types::ItemEnd {
        choice: 0,
        item: 0,
        complete: true,
        signature: None,
    });
    vec![item_started(), text("hello"), end, finished()]
}

#[tokio::test]
async fn an_honest_filter_changes_text_only() {
    let filter = filter(&runtime()).await;
    assert!(filter.sees_requests() && filter.sees_events());
    assert_eq!(filter.info().max_held_bytes, Some(16));
    let mut session = session(&filter, "honest").await;
    let verdict = session
        .on_request(&types::Operation::ListModels)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(verdict, types::Verdict::Pass);
    let mut expected = answer();
    expected[1] = text("HELLO");
    assert_eq!(
        session.on_events(answer()).await.unwrap().unwrap(),
        expected
    );
    let findings = session.findings().await.unwrap();
    assert_eq!(
        (findings[0].kind.as_str(), findings[0].action.as_str()),
        ("TEST", "report")
    );
}

#[tokio::test]
async fn a_refusal_is_an_answer() {
    let filter = filter(&runtime()).await;
    let refused = filter.open(context("refuse-open")).await.unwrap();
    assert_eq!(refused.unwrap_err().kind, types::ErrorKind::Blocked);
    let mut one = session(&filter, "block").await;
    let refused = one.on_request(&types::Operation::ListModels).await.unwrap();
    assert_eq!(refused.unwrap_err().kind, types::ErrorKind::Blocked);
    let mut two = session(&filter, "refuse-answer").await;
    assert_eq!(
        two.on_events(answer()).await.unwrap().unwrap_err().kind,
        types::ErrorKind::Blocked
    );
}

#[tokio::test]
async fn the_structure_of_the_answer_is_not_the_filters() {
    let filter = filter(&runtime()).await;
    let mut honest = session(&filter, "honest").await;
    for (what, breach) in [
        ("swallow-terminal", Breach::EventOrder),
        ("duplicate-terminal", Breach::EventOrder),
        ("reverse", Breach::EventOrder),
        ("amplify", Breach::HeldBack),
    ] {
        let mut session = session(&filter, what).await;
        let outcome = session.on_events(answer()).await;
        assert_eq!(fault(outcome), FaultKind::Contract(breach), "{what}");
        // Poisoned: it cannot go on as if nothing had happened.
        assert_eq!(
            fault(session.on_events(vec![]).await),
            FaultKind::Contract(breach)
        );
    }
    assert_eq!(honest.on_events(answer()).await.unwrap().unwrap().len(), 4);
}

#[tokio::test]
async fn holding_back_more_than_declared_is_a_fault() {
    let filter = filter(&runtime()).await;
    let mut session = session(&filter, "hold-forever").await;
    assert_eq!(
        session
            .on_events(vec![item_started(), text("0123456789")])
            .await
            .unwrap()
            .unwrap()
            .len(),
        1
    );
    let outcome = session.on_events(vec![text("0123456789")]).await;
    assert_eq!(fault(outcome), FaultKind::Contract(Breach::HeldBack));
}

#[tokio::test]
async fn an_operation_cannot_become_another() {
    let filter = filter(&runtime()).await;
    let show = types::Operation::ShowModel("m".into());
    let mut one = session(&filter, "other-operation").await;
    assert!(matches!(
        fault(one.on_request(&show).await),
        FaultKind::Contract(_)
    ));
    let mut two = session(&filter, "replace").await;
    assert_eq!(
        two.on_request(&show).await.unwrap().unwrap(),
        types::Verdict::Replace(show)
    );
}

/// Opens a session and calls what `place` names.
async fn provoke(filter: &Filter, place: &str, what: &str) -> Result<(), PluginError> {
    let mut session = match filter.open(context(&format!("{place}:{what}"))).await {
        Ok(session) => session.unwrap(),
        Err(fault) => return Err(fault),
    };
    let outcome = session.on_request(&types::Operation::None).await;
    if place == "request" {
        return outcome.map(|_| ());
    }
    outcome.unwrap().unwrap();
    let outcome = session.on_events(answer()).await;
    if place == "events" {
        return outcome.map(|_| ());
    }
    outcome.unwrap().unwrap();
    session.findings().await.map(|_| ())
}

/// Each misdeed in each export, with a neighbour's session open all along.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_misdeed_ends_its_own_session_only() {
    let runtime = runtime();
    let hurried = filter(&runtime).await;
    let patient = filter(&PluginRuntime::new(patient()).unwrap()).await;
    let mut neighbour = session(&hurried, "honest").await;
    for place in ["open", "request", "events", "findings"] {
        for (what, expected) in [
            ("loop", &[FaultKind::Deadline][..]),
            ("grow", &[FaultKind::Memory]),
            ("recurse", &[FaultKind::Stack, FaultKind::Trap]),
            ("trap", &[FaultKind::Trap]),
            ("exit", &[FaultKind::Trap]),
            ("panic", &[FaultKind::Trap]),
            ("flood", &[FaultKind::HostCalls]),
        ] {
            let filter = if what == "loop" { &hurried } else { &patient };
            let kind = fault(provoke(filter, place, what).await);
            assert!(expected.contains(&kind), "{place}:{what} gave {kind:?}");
        }
    }
    neighbour.on_events(answer()).await.unwrap().unwrap();
    drop(neighbour);
    assert_eq!(
        runtime.free_instances(),
        12,
        "every instance was given back"
    );
}
