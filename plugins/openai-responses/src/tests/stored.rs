//! Stored responses: asked for, shown, streamed from their middle, listed.

use atoll_sdk::dialect::Exchange;
use atoll_sdk::types::*;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::streams::follow;
use super::*;

#[test]
fn a_stored_answer_is_asked_for_by_its_id() {
    let mut get = about("GET", "/v1/responses/resp_9", &[]);
    assert!(matches!(get.decode(), Ok(Operation::GetResponse(id)) if id == "9"));
    let mut cancel = about("POST", "/v1/responses/resp_9/cancel", &[]);
    assert!(matches!(cancel.decode(), Ok(Operation::CancelResponse(id)) if id == "9"));
    let mut delete = about("DELETE", "/v1/responses/resp_9", &[]);
    assert!(matches!(delete.decode(), Ok(Operation::DeleteResponse(id)) if id == "9"));
    let reply: Value =
        serde_json::from_slice(&delete.reply(OperationResult::None).unwrap().body).unwrap();
    assert_eq!(
        reply,
        json!({"id": "resp_9", "object": "response", "deleted": true})
    );
}

#[test]
fn what_is_missing_is_called_by_the_id_that_the_client_knows() {
    let mut asked = exchange("/v1/responses", &json!({"model": "m", "input": "x"}));
    let error = Error::new(
        ErrorKind::PreviousResponseNotFound,
        "the previous response \"9\" was not found",
    );
    let reply: Value = serde_json::from_slice(&asked.fail(error).body).unwrap();
    assert_eq!(
        reply["error"]["message"],
        "the previous response \"resp_9\" was not found"
    );
}

#[test]
fn an_answer_under_way_shows_its_status() {
    for (status, name) in [
        (StoredStatus::Queued, "queued"),
        (StoredStatus::InProgress, "in_progress"),
    ] {
        let mut get = about("GET", "/v1/responses/resp_9", &[]);
        get.decode().unwrap();
        let reply = get.reply(stored(vec![], status)).unwrap();
        let response: Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(
            (response["status"].as_str(), response["id"].as_str()),
            (Some(name), Some("resp_9"))
        );
        assert_eq!(response["usage"], Value::Null);
    }
    let cancelled = vec![Event::Failed(Error::new(ErrorKind::Cancelled, "cancelled"))];
    let mut get = about("GET", "/v1/responses/resp_9", &[]);
    get.decode().unwrap();
    let reply = get
        .reply(stored(cancelled, StoredStatus::Cancelled))
        .unwrap();
    let response: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(
        (response["status"].as_str(), &response["error"]),
        (Some("cancelled"), &Value::Null)
    );
}

#[test]
fn input_items_come_in_pages() {
    let page = |query: &[(&str, &str)]| -> Value {
        let mut list = about("GET", "/v1/responses/resp_9/input_items", query);
        list.decode().unwrap();
        let mut request = decode(&json!({"model": "m", "instructions": "I", "input": [
            {"role": "user", "content": "one"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "done"},
        ]}))
        .unwrap();
        request.state.store = true;
        let stored = StoredResponse {
            id: "9".into(),
            created_at: 5,
            status: StoredStatus::Finished,
            request,
            events: vec![],
        };
        serde_json::from_slice(&list.reply(OperationResult::Stored(stored)).unwrap().body).unwrap()
    };
    let kinds = |page: &Value| -> Vec<String> {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|i| i["type"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = page(&[("order", "asc")]);
    assert_eq!(
        kinds(&all),
        ["message", "function_call", "function_call_output"]
    );
    assert_eq!(all["has_more"], false);
    let first = page(&[("limit", "2")]);
    assert_eq!(kinds(&first), ["function_call_output", "function_call"]);
    assert_eq!(first["has_more"], true);
    let last = first["last_id"].as_str().unwrap().to_owned();
    assert_eq!(kinds(&page(&[("after", &last)])), ["message"]);
}

#[test]
fn pictures_come_back_when_asked_for() {
    let url = "data:image/png;base64,iVBORw==";
    let request = decode(&json!({"model": "m", "input": [
        {"role": "user", "content": [{"type": "input_image", "image_url": url}]}]}))
    .unwrap();
    let picture = |query: &[(&str, &str)]| {
        let mut list = about("GET", "/v1/responses/resp_9/input_items", query);
        list.decode().unwrap();
        let OperationResult::Stored(response) = stored(vec![], StoredStatus::Finished) else {
            panic!()
        };
        let request = request.clone();
        let outcome = OperationResult::Stored(StoredResponse {
            request,
            ..response
        });
        let page: Value = serde_json::from_slice(&list.reply(outcome).unwrap().body).unwrap();
        page["data"][0]["content"][0]["image_url"].clone()
    };
    assert_eq!(picture(&[]), Value::Null);
    assert_eq!(
        picture(&[("include[]", "message.input_image.image_url")]),
        url
    );
}

#[test]
fn queries_that_make_no_sense_are_refused() {
    for (query, param) in [
        (&[("stream", "yes")][..], "stream"),
        (&[("starting_after", "3")], "starting_after"),
        (
            &[("stream", "true"), ("starting_after", "-1")],
            "starting_after",
        ),
        (
            &[("stream", "true"), ("include_obfuscation", "true")],
            "include_obfuscation",
        ),
    ] {
        let error = about("GET", "/v1/responses/resp_9", query)
            .decode()
            .unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param), "{query:?}");
    }
}

#[test]
fn an_answer_that_runs_is_followed_to_its_end() {
    let all = events(&[(0, vec!["a".into(), "b".into()])], FinishReason::Stop);
    let so_far = all[..3].to_vec();
    let mut get = about("GET", "/v1/responses/resp_9", &[("stream", "true")]);
    let Ok(Operation::Other(asked)) = get.decode() else {
        panic!("a stream is followed")
    };
    assert_eq!(
        (asked.kind.as_str(), asked.value.as_str()),
        ("follow-response", "{\"id\":\"9\",\"resumed\":false}")
    );
    let begun = get.reply(stored(so_far, StoredStatus::InProgress)).unwrap();
    assert_eq!(begun.head.headers[0].value, atoll_sdk::sse::CONTENT_TYPE);
    let mut bytes = begun.body;
    bytes.extend(get.encode(all[3..].to_vec()).unwrap());
    let response = follow(&bytes);
    assert_eq!(response["output"][0]["content"][0]["text"], "ab");
}

#[test]
fn sealed_reasoning_is_included_when_asked_for() {
    let said = events(&[(1, vec!["hm".into()])], FinishReason::Stop);
    for (query, expected) in [
        (&[][..], false),
        (&[("include[]", "reasoning.encrypted_content")], true),
        (&[("include", "reasoning.encrypted_content")], true),
    ] {
        let mut get = about("GET", "/v1/responses/resp_9", query);
        get.decode().unwrap();
        let plain = decode(&json!({"model": "m", "input": "x"})).unwrap();
        let OperationResult::Stored(response) = stored(said.clone(), StoredStatus::Finished) else {
            panic!()
        };
        let outcome = OperationResult::Stored(StoredResponse {
            request: plain,
            ..response
        });
        let response: Value = serde_json::from_slice(&get.reply(outcome).unwrap().body).unwrap();
        assert_eq!(
            response["output"][0].get("encrypted_content").is_some(),
            expected
        );
    }
}

proptest! {
    /// From the store an answer is what it was, whole and as a stream.
    #[test]
    fn a_stored_answer_is_the_answer(
        items in prop::collection::vec((0u8..5, prop::collection::vec("[a-zé\"\\\\\\n]{1,5}", 1..3)), 0..5),
    ) {
        let events = events(&items, FinishReason::Stop);
        let whole: Value = serde_json::from_slice(&run(false, [events.clone()])).unwrap();
        let mut get = about("GET", "/v1/responses/resp_9", &[]);
        get.decode().unwrap();
        let reply = get.reply(stored(events.clone(), StoredStatus::Finished)).unwrap();
        prop_assert_eq!(&serde_json::from_slice::<Value>(&reply.body).unwrap(), &whole);
        let mut get = about("GET", "/v1/responses/resp_9", &[("stream", "true")]);
        get.decode().unwrap();
        let reply = get.reply(stored(events, StoredStatus::Finished)).unwrap();
        prop_assert_eq!(&follow(&reply.body), &whole);
    }

    /// A stream that broke off anywhere and is taken up after its last event is the whole stream.
    #[test]
    fn a_stream_is_taken_up_where_it_broke_off(
        items in prop::collection::vec((0u8..5, prop::collection::vec("[a-z\n]{1,5}", 1..3)), 0..4),
        running in 0usize..20,
        last in 0usize..40,
    ) {
        let all = events(&items, FinishReason::Stop);
        let whole = run(true, [all.clone()]);
        let whole = std::str::from_utf8(&whole).unwrap();
        let pieces: Vec<&str> = whole.split_inclusive("\n\n").collect();
        let last = last.min(pieces.len() - 1);
        let number = last.to_string();
        let query = [("stream", "true"), ("starting_after", number.as_str())];
        let mut get = about("GET", "/v1/responses/resp_9", &query);
        let Ok(Operation::Other(asked)) = get.decode() else { panic!() };
        prop_assert!(asked.value.contains("\"resumed\":true"));
        let so_far = running.min(all.len());
        let status = if so_far == all.len() { StoredStatus::Finished } else { StoredStatus::InProgress };
        let begun = get.reply(stored_as(&rich(true), all[..so_far].to_vec(), status)).unwrap();
        let mut rest = begun.body;
        rest.extend(get.encode(all[so_far..].to_vec()).unwrap());
        let expected: String = pieces[last + 1..].concat();
        prop_assert_eq!(String::from_utf8(rest).unwrap(), expected);
    }
}
