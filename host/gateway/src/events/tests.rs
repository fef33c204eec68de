//! The order of events, for any order in which engines may speak.

use atoll_engine::engine::{
    EngineError, Timings as EngineTimings, TokenEvent, Usage as EngineUsage,
};
use proptest::prelude::*;

use super::*;

fn started() -> Started {
    Started {
        response_id: "r1".to_owned(),
        created_at: 7,
        model: "m".to_owned(),
        prompt_tokens: 0,
        cached_tokens: 0,
        fingerprint: None,
    }
}

fn text(choice: u32, text: &str) -> GenerationEvent {
    let token = TokenEvent {
        token: 1,
        bytes: text.into(),
        logprob: Some(-0.5),
        top: vec![],
    };
    GenerationEvent::Text {
        choice,
        text: text.to_owned(),
        tokens: vec![token],
    }
}

fn finished(choice: u32) -> GenerationEvent {
    GenerationEvent::Finished {
        choice,
        reason: EngineFinish::Stop,
        output_tokens: 1,
    }
}

fn done(prompt: u32, output: u32) -> GenerationEvent {
    GenerationEvent::Done {
        usage: EngineUsage {
            prompt,
            cached: 1,
            written: 2,
            output,
        },
        timings: EngineTimings::default(),
    }
}

fn run(mut translator: Translator, events: Vec<(usize, Option<GenerationEvent>)>) -> Vec<Event> {
    let mut out = Vec::new();
    for (input, event) in events {
        translator.push(input, event, Elapsed::default(), &mut out);
    }
    out
}

/// What every dialect relies on.
fn check(events: &[Event], choices: u32) {
    let terminal = |event: &Event| matches!(event, Event::Finished(_) | Event::Failed(_));
    assert_eq!(
        events.iter().filter(|event| terminal(event)).count(),
        1,
        "{events:?}"
    );
    assert!(events.last().is_some_and(terminal), "{events:?}");
    let mut state = vec![0u8; choices as usize];
    let mut step = |choice: u32, from: u8, to: u8| {
        let state = &mut state[choice as usize];
        assert_eq!(*state, from, "choice {choice} in {events:?}");
        *state = to;
    };
    let mut begun = false;
    for event in events {
        match event {
            Event::Started(_) => {
                assert!(!begun, "two starts: {events:?}");
                begun = true;
                continue;
            }
            Event::Progress(_) | Event::Failed(_) => continue,
            Event::ItemStarted(item) => step(item.choice, 0, 1),
            Event::TextDelta(delta) => step(delta.choice, 1, 1),
            Event::ItemFinished(end) => step(end.choice, 1, 2),
            Event::ChoiceFinished(end) => step(end.choice, 2, 3),
            Event::Finished(_) => {}
            other => panic!("{other:?}"),
        }
        assert!(begun, "before the start: {events:?}");
    }
    if matches!(events.last(), Some(Event::Finished(_))) {
        assert!(state.iter().all(|&state| state == 3), "{events:?}");
    }
}

#[test]
fn one_prompt_one_choice() {
    let translator = Translator::new(started(), vec![(3, None)], 1, false);
    let events = run(
        translator,
        vec![
            (
                0,
                Some(GenerationEvent::Started {
                    prompt_tokens: 3,
                    cached_tokens: 2,
                }),
            ),
            (0, Some(text(0, "Hel"))),
            (0, Some(text(0, "lo"))),
            (0, Some(finished(0))),
            (0, Some(done(3, 2))),
            (0, None),
        ],
    );
    check(&events, 1);
    let Event::Started(start) = &events[0] else {
        panic!("{events:?}")
    };
    assert_eq!((start.prompt_tokens, start.cached_tokens), (3, 2));
    let Some(Event::Finished(end)) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!((end.usage.prompt_tokens, end.usage.output_tokens), (3, 2));
    assert!(events.iter().all(|event| match event {
        Event::TextDelta(delta) => delta.tokens.is_empty(),
        _ => true,
    }));
}

#[test]
fn a_choice_that_says_nothing_still_has_an_item() {
    let translator = Translator::new(started(), vec![(3, None)], 1, false);
    let events = run(
        translator,
        vec![(0, Some(finished(0))), (0, Some(done(3, 0)))],
    );
    check(&events, 1);
    assert!(matches!(events[1], Event::ItemStarted(_)), "{events:?}");
}

#[test]
fn an_echo_comes_first_and_once_for_each_choice() {
    let translator = Translator::new(started(), vec![(3, Some("Once".to_owned()))], 2, true);
    let events = run(
        translator,
        vec![
            (0, Some(text(1, " upon"))),
            (0, Some(finished(0))),
            (0, Some(text(1, " a"))),
            (0, Some(finished(1))),
            (0, Some(done(3, 2))),
        ],
    );
    check(&events, 2);
    let texts = |choice| -> Vec<&str> {
        let deltas = events.iter().filter_map(|event| match event {
            Event::TextDelta(delta) if delta.choice == choice => Some(delta.text.as_str()),
            _ => None,
        });
        deltas.collect()
    };
    assert_eq!(texts(0), ["Once"]);
    assert_eq!(texts(1), ["Once", " upon", " a"]);
}

#[test]
fn the_prompts_of_a_batch_share_one_usage_and_number_their_choices_on() {
    let translator = Translator::new(started(), vec![(3, None), (4, None)], 2, false);
    let mut events = vec![];
    for input in [1, 0] {
        for choice in [1, 0] {
            events.push((input, Some(text(choice, "x"))));
            events.push((input, Some(finished(choice))));
        }
        events.push((input, Some(done(3 + u32::try_from(input).unwrap(), 5))));
        events.push((input, None));
    }
    let events = run(translator, events);
    check(&events, 4);
    let Some(Event::Finished(end)) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!((end.usage.prompt_tokens, end.usage.output_tokens), (7, 10));
    assert_eq!(end.usage.cached_tokens, 2);
}

#[test]
fn an_engine_that_just_stops_is_an_error() {
    let translator = Translator::new(started(), vec![(3, None)], 1, false);
    let events = run(
        translator,
        vec![(0, Some(text(0, "a"))), (0, None), (0, Some(text(0, "b")))],
    );
    check(&events, 1);
    let translator = Translator::new(started(), vec![(3, None)], 1, false);
    let events = run(
        translator,
        vec![(0, Some(text(0, "a"))), (0, Some(done(3, 1)))],
    );
    check(&events, 1);
    assert!(
        matches!(events.last(), Some(Event::Failed(_))),
        "unfinished choice: {events:?}"
    );
}

fn any_event() -> impl Strategy<Value = Option<GenerationEvent>> {
    prop_oneof![
        4 => (0..4u32, "[a-c]{0,3}").prop_map(|(choice, piece)| Some(text(choice, &piece))),
        2 => (0..4u32).prop_map(|choice| Some(finished(choice))),
        1 => Just(Some(GenerationEvent::Started { prompt_tokens: 2, cached_tokens: 1 })),
        1 => Just(Some(GenerationEvent::Progress { done: 1, total: 2 })),
        1 => Just(Some(done(2, 2))),
        1 => Just(Some(GenerationEvent::Failed(EngineError::ShuttingDown))),
        1 => Just(None),
    ]
}

proptest! {
    /// Whatever engines say, legal or not, what leaves is in order.
    #[test]
    fn any_sequence_of_engine_events_becomes_a_legal_answer(
        events in proptest::collection::vec((0..3usize, any_event()), 0..40),
        per_input in 1..3u32,
        inputs in 1..3usize,
        logprobs: bool,
        echo: bool,
    ) {
        let prompt = (2, echo.then(|| "echo".to_owned()));
        let translator = Translator::new(started(), vec![prompt; inputs], per_input, logprobs);
        let mut events = events;
        // However it began, the streams end.
        events.extend((0..inputs).map(|input| (input, None)));
        let out = run(translator, events);
        check(&out, per_input * u32::try_from(inputs).unwrap());
    }
}
