//! The filter as a whole, natively: requests in, events out.

use atoll_sdk::filter::{Session, Verdict};
use atoll_sdk::types::*;
use proptest::prelude::*;

use crate::component::{Redaction, policy};
use crate::settings::Settings;

fn session(settings: &str) -> Redaction {
    let s: Settings = serde_json::from_str(settings).unwrap();
    Redaction::new(policy(s).unwrap(), None)
}

fn chat(messages: Vec<Message>) -> GenerateRequest {
    GenerateRequest::new("m", Prompt::Conversation(messages))
}

fn user(text: &str) -> Message {
    Message::text(Role::User, text)
}

fn pass_through(s: &mut Redaction, r: GenerateRequest) -> GenerateRequest {
    match s.on_request(Operation::Generate(r.clone())).unwrap() {
        Verdict::Replace(Operation::Generate(r)) => r,
        Verdict::Pass => r,
        other => panic!("{other:?}"),
    }
}

fn texts(r: &GenerateRequest) -> Vec<String> {
    let Prompt::Conversation(messages) = &r.prompt else {
        panic!()
    };
    messages
        .iter()
        .flat_map(|m| &m.parts)
        .map(|p| match &p.content {
            PartContent::Text(t) => t.clone(),
            PartContent::ToolCall(c) => c.arguments.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn delta(choice: u32, item: u32, text: &str) -> Event {
    Event::TextDelta(Delta {
        choice,
        item,
        text: text.into(),
        tokens: vec![],
    })
}

fn joined(events: &[Event], choice: u32) -> String {
    events
        .iter()
        .filter_map(|e| match e {
            Event::TextDelta(d) | Event::ArgumentsDelta(d) | Event::ReasoningDelta(d)
                if d.choice == choice =>
            {
                Some(d.text.as_str())
            }
            _ => None,
        })
        .collect()
}

fn end(choice: u32, item: u32) -> Event {
    Event::ItemFinished(ItemEnd {
        choice,
        item,
        complete: true,
        signature: None,
    })
}

fn call_started(item: u32, name: &str) -> Event {
    let start = ToolCallStart {
        call_id: "c".into(),
        name: name.into(),
        namespace: None,
        custom: false,
    };
    Event::ItemStarted(Item {
        choice: 0,
        index: item,
        kind: ItemKind::ToolCall(start),
    })
}

#[test]
fn the_model_sees_tokens_and_the_user_sees_values() {
    let mut s = session("{}");
    let masked = texts(&pass_through(
        &mut s,
        chat(vec![user(
            "Mon CIN est ٠٩٨٧٦٥٤٣, mail alice@example.com, clé ghp_0123456789abcdefghijABCDEFGHIJ012345; alice@example.com",
        )]),
    ));
    let token = |label: &str| {
        masked[0]
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .find(|w| w.starts_with(&format!("PII_{label}_")))
            .unwrap()
            .to_owned()
    };
    assert!(
        !masked[0].contains("alice") && !masked[0].contains("ghp_") && !masked[0].contains('٩'),
        "{masked:?}"
    );
    assert_eq!(masked[0].matches(&token("EMAIL")).count(), 2);
    let findings = s.findings();
    assert_eq!(
        findings.iter().map(|f| f.kind.as_str()).collect::<Vec<_>>(),
        ["TN_CIN", "EMAIL_ADDRESS", "GITHUB_TOKEN", "EMAIL_ADDRESS"]
    );
    assert!(findings.iter().all(|f| f.path == "messages[0].parts[0]"));
    assert!(s.findings().is_empty());

    let answer = format!(
        "Your CIN {} and {} and {}",
        token("ID"),
        token("EMAIL"),
        token("SECRET")
    );
    let (a, b) = answer.split_at(15);
    let mut out = s.on_events(vec![delta(0, 0, a)]).unwrap();
    out.extend(s.on_events(vec![delta(0, 0, b), end(0, 0)]).unwrap());
    // The secret stays a token: restoring secrets is not asked for.
    assert_eq!(
        joined(&out, 0),
        format!(
            "Your CIN ٠٩٨٧٦٥٤٣ and alice@example.com and {}",
            token("SECRET")
        )
    );
}

#[test]
fn later_turns_repeat_the_same_bytes() {
    let first = vec![
        Message::text(Role::System, "Be kind."),
        user("I am bob@example.com"),
    ];
    let one = texts(&pass_through(&mut session("{}"), chat(first.clone())));
    let mut second = first;
    second.push(Message::text(Role::Assistant, "Hello bob@example.com"));
    second.push(user("and eve@example.com, card 4111 1111 1111 1111"));
    let two = texts(&pass_through(&mut session("{}"), chat(second)));
    assert_eq!(one[..], two[..2]);
    assert!(two[2].starts_with("Hello PII_EMAIL_1_"));
    assert!(two[3].contains("PII_EMAIL_2_") && two[3].contains("PII_CARD_1_"));
}

/// A secret's token reaches the client as it is, and comes back in the next turn's history.
#[test]
fn an_unrestored_token_in_the_history_changes_nothing() {
    let first = vec![user(
        "key ghp_0123456789abcdefghijABCDEFGHIJ012345, a@example.com",
    )];
    let one = texts(&pass_through(&mut session("{}"), chat(first.clone())));
    let token = one[0].split([' ', ',']).nth(1).unwrap();
    assert!(token.starts_with("PII_SECRET_1_"), "{one:?}");
    let mut second = first;
    second.push(Message::text(Role::Assistant, format!("I noted {token}.")));
    second.push(user("and b@example.com"));
    let two = texts(&pass_through(&mut session("{}"), chat(second)));
    assert_eq!(one[0], two[0]);
    assert_eq!(two[1], format!("I noted {token}."));
}

#[test]
fn a_token_that_a_user_typed_is_never_resolved() {
    let plain = texts(&pass_through(
        &mut session("{}"),
        chat(vec![user("x@example.com")]),
    ));
    let mut s = session("{}");
    let masked = texts(&pass_through(
        &mut s,
        chat(vec![user("x@example.com"), user(&plain[0])]),
    ));
    assert_ne!(masked[0], plain[0]);
    assert_eq!(masked[1], plain[0]);
    let out = s
        .on_events(vec![
            delta(0, 0, &format!("{} {}", plain[0], masked[0])),
            end(0, 0),
        ])
        .unwrap();
    assert_eq!(joined(&out, 0), format!("{} x@example.com", plain[0]));
}

#[test]
fn tool_arguments_are_json_both_ways() {
    let call = PartContent::ToolCall(ToolCall {
        call_id: "1".into(),
        name: "send".into(),
        namespace: None,
        arguments: r#"{"to":"dora\u0040example.com", "phone": 21620123456,"note":"line\nDora <dora@example.com>","n":12}"#.into(),
        custom: false,
    });
    let mut s = session(r#"{"restore_in_tools":["send"]}"#);
    let masked = texts(&pass_through(
        &mut s,
        chat(vec![
            user("hi"),
            Message::new(Role::Assistant, vec![Part::new(call)]),
        ]),
    ));
    let v: serde_json::Value = serde_json::from_str(&masked[1]).unwrap();
    let token = v["to"].as_str().unwrap().to_owned();
    assert!(token.starts_with("PII_EMAIL_1_"), "{}", masked[1]);
    assert_eq!(v["note"], format!("line\nDora <{token}>"));
    assert_eq!(v["n"], 12);

    let args = format!("{{\"to\":\"{token}\"}}");
    let arguments = |item: u32, text: &str| {
        Event::ArgumentsDelta(Delta {
            choice: 0,
            item,
            text: text.into(),
            tokens: vec![],
        })
    };
    let out = s
        .on_events(vec![
            call_started(0, "send"),
            arguments(0, &args[..12]),
            arguments(0, &args[12..]),
            end(0, 0),
        ])
        .unwrap();
    assert_eq!(joined(&out, 0), r#"{"to":"dora@example.com"}"#);
    let out = s
        .on_events(vec![
            call_started(1, "http_get"),
            arguments(1, &args),
            end(0, 1),
        ])
        .unwrap();
    assert_eq!(joined(&out, 0), args);
}

/// Every cut of a tool call's arguments gives the same JSON, with values that need escapes inside.
#[test]
fn arguments_cut_anywhere_are_the_same_json() {
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMIIEvQ\\\"x=\n-----END PRIVATE KEY-----";
    let settings = r#"{"restore_in_tools":"always","restore_secrets":true}"#;
    let mut s = session(settings);
    let masked = texts(&pass_through(
        &mut s,
        chat(vec![user(&format!("zoë@example.com {KEY} end"))]),
    ));
    let (mail, rest) = masked[0].split_once(' ').unwrap();
    let (key, _) = rest.split_once(' ').unwrap();
    let arguments = format!("{{\"to\":\"{mail}\",\"k\":\"{key}\",\"n\":\"P PII_ {mail}x\"}}");
    let mut item = 0;
    let mut stream = |pieces: &[&str]| {
        item += 1;
        let mut out = s.on_events(vec![call_started(item, "any")]).unwrap();
        for piece in pieces {
            let delta = Delta {
                choice: 0,
                item,
                text: (*piece).to_owned(),
                tokens: vec![],
            };
            out.extend(s.on_events(vec![Event::ArgumentsDelta(delta)]).unwrap());
        }
        out.extend(s.on_events(vec![end(0, item)]).unwrap());
        joined(&out, 0)
    };
    let whole = stream(&[&arguments]);
    let json: serde_json::Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(
        (json["to"].as_str(), json["k"].as_str()),
        (Some("zoë@example.com"), Some(KEY))
    );
    for cut in 0..=arguments.len() {
        let (a, b) = arguments.split_at(cut);
        assert_eq!(stream(&[a, b]), whole, "cut at {cut}");
    }
    let bytes: Vec<String> = arguments.chars().map(String::from).collect();
    let single: Vec<&str> = bytes.iter().map(String::as_str).collect();
    assert_eq!(stream(&single), whole);
}

#[test]
fn schemas_keep_their_names() {
    let mut r = chat(vec![user("hi")]);
    r.tools.push(Tool {
        kind: ToolKind::Function,
        name: "f".into(),
        namespace: None,
        description: Some("Ask root@example.com".into()),
        parameters: r#"{"type":"object","properties":{"email":{"type":"string","description":"like a@example.com","default":"b@example.com"}},"required":["email"]}"#.into(),
        strict: None,
        ext: None,
    });
    let out = pass_through(&mut session("{}"), r.clone());
    let tool = &out.tools[0];
    assert!(
        tool.description
            .as_deref()
            .unwrap()
            .starts_with("Ask PII_EMAIL_1_")
    );
    assert!(
        !tool.parameters.contains('@') && tool.parameters.contains(r#""properties":{"email":{"#)
    );
    r.tools[0].parameters = r#"{"properties":{"a@example.com":{}}}"#.into();
    assert_eq!(
        session("{}")
            .on_request(Operation::Generate(r))
            .unwrap_err()
            .kind,
        ErrorKind::Blocked
    );
}

#[test]
fn what_cannot_be_read_follows_the_policy() {
    let image = || {
        let media = Media {
            source: MediaSource::Url("data:image/png;base64,AAAA".into()),
            media_type: "image/png".into(),
            detail: None,
        };
        chat(vec![Message::new(
            Role::User,
            vec![Part::new(PartContent::Image(media))],
        )])
    };
    let error = session("{}")
        .on_request(Operation::Generate(image()))
        .unwrap_err();
    assert_eq!(
        (error.kind, error.param.as_deref()),
        (ErrorKind::Blocked, Some("messages[0].parts[0]"))
    );
    for settings in [r#"{"strict":false}"#, r#"{"unreadable":"pass"}"#] {
        let mut s = session(settings);
        assert!(matches!(
            s.on_request(Operation::Generate(image())),
            Ok(Verdict::Pass)
        ));
        assert_eq!(s.findings()[0].kind, "UNREADABLE");
    }
    let embed = EmbedRequest {
        model: "m".into(),
        inputs: vec![CompletionInput::Text("a@example.com".into())],
        dimensions: None,
        truncate: false,
        normalize: true,
        keep_alive: None,
        ext: None,
    };
    let Verdict::Replace(Operation::Embed(e)) =
        session("{}").on_request(Operation::Embed(embed)).unwrap()
    else {
        panic!()
    };
    assert!(matches!(&e.inputs[0], CompletionInput::Text(t) if t.starts_with("PII_EMAIL_1_")));
}

#[test]
fn actions() {
    let text = "a@example.com 536-90-4399 4111 1111 1111 1111";
    let run =
        |settings: &str| session(settings).on_request(Operation::Generate(chat(vec![user(text)])));
    let error = run(r#"{"actions":{"US_SSN":"block"}}"#).unwrap_err();
    assert!(
        error.kind == ErrorKind::Blocked
            && error.message.contains("US_SSN")
            && !error.message.contains("536")
    );
    let Verdict::Replace(Operation::Generate(r)) =
        run(r#"{"actions":{"US_SSN":"drop","CREDIT_CARD":"mask","EMAIL_ADDRESS":"report"}}"#)
            .unwrap()
    else {
        panic!()
    };
    assert_eq!(texts(&r)[0], "a@example.com  XXXX XXXX XXXX XXXX");
    assert!(matches!(run(r#"{"action":"report"}"#), Ok(Verdict::Pass)));
}

#[test]
fn held_text_is_dropped_on_failure_and_lanes_are_apart() {
    let mut s = session("{}");
    let masked = texts(&pass_through(&mut s, chat(vec![user("z@example.com")])));
    let (a, b) = masked[0].split_at(6);
    let out = s
        .on_events(vec![
            delta(0, 0, a),
            delta(1, 0, a),
            delta(1, 0, "!"),
            delta(0, 0, b),
            end(0, 0),
            end(1, 0),
        ])
        .unwrap();
    assert_eq!(
        (joined(&out, 0).as_str(), joined(&out, 1)),
        ("z@example.com", format!("{a}!"))
    );
    let out = s
        .on_events(vec![delta(2, 0, a), Event::Failed(Error::internal("x"))])
        .unwrap();
    assert!(matches!(out[..], [Event::Failed(_)]));
}

proptest! {
    #[test]
    fn whatever_is_sent_comes_back(cuts in proptest::collection::vec(1usize..7, 1..40)) {
        let text = "Cher ami, écrivez à zoë@example.com ou +216 20 123 456, IBAN TN59 1000 6035 1835 9847 8831.";
        let mut s = session("{}");
        let masked = texts(&pass_through(&mut s, chat(vec![user(text)])))[0].clone();
        prop_assert!(!masked.contains('@') && !masked.contains("TN59"));
        let chars: Vec<char> = masked.chars().collect();
        let mut out = Vec::new();
        let (mut i, mut k) = (0, 0);
        while i < chars.len() {
            let n = cuts[k % cuts.len()];
            let piece: String = chars[i..(i + n).min(chars.len())].iter().collect();
            out.extend(s.on_events(vec![delta(0, 0, &piece)]).unwrap());
            (i, k) = (i + n, k + 1);
        }
        out.extend(s.on_events(vec![end(0, 0)]).unwrap());
        prop_assert_eq!(joined(&out, 0), text);
    }
}
