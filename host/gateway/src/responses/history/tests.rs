//! Continuing conversations, on plain data.

use atoll_plugin_runtime::types::{Delta, Item, ToolCallStart};

use super::*;

fn text(role: Role, text: &str) -> Message {
    Message {
        role,
        parts: vec![Part {
            content: PartContent::Text(text.to_owned()),
            cache_ttl: None,
            ext: None,
        }],
        name: None,
        id: None,
        ext: None,
    }
}

fn request(messages: Vec<Message>, transient: u32) -> GenerateRequest {
    let mut request = crate::generate::tests::request();
    request.prompt = Prompt::Conversation(messages);
    request.state.transient_messages = transient;
    request
}

fn kept(request: GenerateRequest, said: &str, status: StoredStatus) -> Kept {
    let delta = |item, text: &str| Delta {
        choice: 0,
        item,
        text: text.to_owned(),
        tokens: Vec::new(),
    };
    let item = |index, kind| {
        Event::ItemStarted(Item {
            choice: 0,
            index,
            kind,
        })
    };
    let call = ItemKind::ToolCall(ToolCallStart {
        call_id: "c1".to_owned(),
        name: "f".to_owned(),
        namespace: None,
        custom: false,
    });
    Kept {
        owner: None,
        whole: false,
        cuts: None,
        response: StoredResponse {
            id: "r1".to_owned(),
            created_at: 1,
            status,
            request,
            events: vec![
                item(0, ItemKind::Reasoning),
                Event::ReasoningDelta(delta(0, "hm")),
                item(1, ItemKind::Message),
                Event::TextDelta(delta(1, said)),
                item(2, call),
                Event::ArgumentsDelta(delta(2, "{}")),
            ],
        },
    }
}

fn words(request: &GenerateRequest) -> Vec<String> {
    let Prompt::Conversation(messages) = &request.prompt else {
        panic!("no conversation")
    };
    messages
        .iter()
        .map(|message| {
            let parts = message.parts.iter().map(|part| match &part.content {
                PartContent::Text(text) => text.clone(),
                PartContent::Reasoning(reasoning) => format!("({})", reasoning.text),
                PartContent::ToolCall(call) => format!("{}{}", call.name, call.arguments),
                other => panic!("{other:?}"),
            });
            parts.collect::<Vec<_>>().join(" ")
        })
        .collect()
}

#[test]
fn history_goes_after_the_instructions_without_its_own() {
    let first = request(
        vec![text(Role::System, "old rules"), text(Role::User, "hi")],
        1,
    );
    let chain = [kept(first, "hello", StoredStatus::Finished)];
    let mut next = request(
        vec![text(Role::System, "new rules"), text(Role::User, "and?")],
        1,
    );
    let splice = splice(&mut next, &chain).unwrap();
    assert_eq!(words(&next), ["new rules", "hi", "(hm) hello f{}", "and?"]);
    // What is kept of it is its own, so that no text is kept twice.
    let (own, whole) = own_request(&next, splice);
    assert_eq!(words(&own), ["new rules", "and?"]);
    assert!(!whole);
}

/// A filter that adds a message blurs whose is whose; losing one would be worse than keeping all.
#[test]
fn what_a_filter_has_rearranged_is_kept_whole() {
    let first = request(vec![text(Role::User, "hi")], 0);
    let chain = [kept(first, "hello", StoredStatus::Finished)];
    let mut next = request(vec![text(Role::User, "and?")], 0);
    let splice = splice(&mut next, &chain).unwrap();
    if let Prompt::Conversation(messages) = &mut next.prompt {
        messages.insert(0, text(Role::System, "a filter's note"));
    }
    let (own, whole) = own_request(&next, splice);
    assert!(whole);
    assert_eq!(
        words(&own),
        ["a filter's note", "hi", "(hm) hello f{}", "and?"]
    );
}

#[test]
fn an_unfinished_answer_cannot_be_continued() {
    let first = request(vec![text(Role::User, "hi")], 0);
    let chain = [kept(first, "", StoredStatus::InProgress)];
    let error = splice(&mut request(vec![], 0), &chain).unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Conflict), "{error:?}");
}

/// A hostile count must not reach past the messages.
#[test]
fn more_transient_messages_than_there_are_is_all_of_them() {
    let mut next = request(vec![text(Role::User, "a")], 9);
    let splice = splice(&mut next, &[]).unwrap();
    let (own, _) = own_request(&next, splice);
    assert_eq!(words(&own), ["a"]);
}
