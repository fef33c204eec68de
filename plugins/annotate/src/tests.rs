//! The filter without a host: everything but reading the settings.

use atoll_sdk::types::{
    ChoiceEnd, Completion, CompletionInput, FinishReason, Item, ItemEnd, ToolCallStart,
};
use proptest::prelude::*;

use super::*;

fn session(system_note: &str, tag: &str) -> Annotation {
    let (system_note, tag) = (system_note.to_owned(), tag.to_owned());
    Annotation::new(Settings { system_note, tag })
}

fn conversation(roles: &[Role]) -> GenerateRequest {
    let messages = roles
        .iter()
        .map(|role| Message::text(*role, "text"))
        .collect();
    GenerateRequest::new("m", Prompt::Conversation(messages))
}

fn messages(operation: Operation) -> Vec<Message> {
    match operation {
        Operation::Generate(GenerateRequest {
            prompt: Prompt::Conversation(messages),
            ..
        })
        | Operation::CountTokens(GenerateRequest {
            prompt: Prompt::Conversation(messages),
            ..
        }) => messages,
        other => panic!("{other:?}"),
    }
}

fn replaced(session: &mut Annotation, operation: Operation) -> Vec<Message> {
    match session.on_request(operation).unwrap() {
        Verdict::Replace(operation) => messages(operation),
        Verdict::Pass => panic!("passed"),
    }
}

#[test]
fn the_note_joins_the_system_message_or_becomes_one() {
    for (roles, expected) in [
        (vec![Role::System, Role::User], 2),
        (vec![Role::Developer], 1),
        (vec![Role::User], 2),
        (vec![], 1),
    ] {
        let operation = Operation::Generate(conversation(&roles));
        let messages = replaced(&mut session("note", ""), operation);
        assert_eq!(messages.len(), expected);
        assert_eq!(messages[0].parts.last(), Some(&Part::text("note")));
        assert!(matches!(messages[0].role, Role::System | Role::Developer));
    }
    let count = Operation::CountTokens(conversation(&[Role::User]));
    assert_eq!(replaced(&mut session("note", ""), count).len(), 2);
}

#[test]
fn whatever_has_no_place_for_a_note_passes() {
    let completion = Completion {
        inputs: vec![CompletionInput::Text("x".to_owned())],
        suffix: None,
        echo: false,
        raw: true,
    };
    let completion = GenerateRequest::new("m", Prompt::Completion(completion));
    for operation in [Operation::ListModels, Operation::Generate(completion)] {
        assert_eq!(
            session("note", "tag").on_request(operation).unwrap(),
            Verdict::Pass
        );
    }
    let operation = Operation::Generate(conversation(&[Role::User]));
    assert_eq!(
        session("", "tag").on_request(operation).unwrap(),
        Verdict::Pass
    );
}

fn started(choice: u32, index: u32, kind: ItemKind) -> Event {
    Event::ItemStarted(Item {
        choice,
        index,
        kind,
    })
}

fn text(choice: u32, item: u32, text: &str) -> Event {
    Event::TextDelta(Delta {
        choice,
        item,
        text: text.to_owned(),
        tokens: Vec::new(),
    })
}

fn finished(choice: u32, item: u32) -> Event {
    Event::ItemFinished(ItemEnd {
        choice,
        item,
        complete: true,
        signature: None,
    })
}

fn answer() -> Vec<Event> {
    let call = ItemKind::ToolCall(ToolCallStart {
        call_id: "c".to_owned(),
        name: "f".to_owned(),
        namespace: None,
        custom: false,
    });
    vec![
        started(1, 0, ItemKind::Message),
        started(0, 0, ItemKind::Reasoning),
        finished(0, 0),
        finished(1, 0),
        started(0, 1, ItemKind::Message),
        text(0, 1, "Hi"),
        finished(0, 1),
        started(0, 2, call),
        finished(0, 2),
        started(0, 3, ItemKind::Message),
        finished(0, 3),
        Event::ChoiceFinished(ChoiceEnd {
            choice: 0,
            reason: FinishReason::Stop,
        }),
    ]
}

#[test]
fn the_tag_ends_the_first_message_of_the_first_choice_once() {
    let out = session("", "[tag]").on_events(answer()).unwrap();
    let mut expected = answer();
    expected.insert(6, text(0, 1, "\n[tag]"));
    assert_eq!(out, expected);
}

#[test]
fn an_answer_in_a_format_is_left_alone() {
    let mut session = session("", "[tag]");
    let mut request = conversation(&[Role::User]);
    request.format = OutputFormat::JsonObject;
    session.on_request(Operation::Generate(request)).unwrap();
    assert_eq!(session.on_events(answer()).unwrap(), answer());
}

#[test]
fn the_schema_and_the_settings_agree() {
    let settings = atoll_sdk::settings::parse::<Settings>;
    assert_eq!(settings("{\"tag\":\"x\"}").unwrap().tag, "x");
    assert!(settings("{\"tga\":\"x\"}").is_err());
    for name in ["system_note", "tag"] {
        assert!(SETTINGS_SCHEMA.contains(&format!("\"{name}\"")));
    }
}

proptest! {
    #[test]
    fn batching_makes_no_difference_and_no_tag_changes_nothing(
        cuts in prop::collection::vec(0usize..12, 0..4),
    ) {
        let mut cuts = cuts;
        cuts.extend([0, 12]);
        cuts.sort_unstable();
        for tag in ["", "[tag]"] {
            let mut parts = session("", tag);
            let mut out = Vec::new();
            for window in cuts.windows(2) {
                out.extend(parts.on_events(answer()[window[0]..window[1]].to_vec()).unwrap());
            }
            prop_assert_eq!(&out, &session("", tag).on_events(answer()).unwrap());
            if tag.is_empty() {
                prop_assert_eq!(out, answer());
            }
        }
    }
}
