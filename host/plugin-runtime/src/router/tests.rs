use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::{Pattern, RouteError, Router, percent_decode};

fn router(routes: &[(&str, &str, Option<&str>)]) -> Router<usize> {
    let mut router = Router::new();
    for (i, (method, path, header)) in routes.iter().enumerate() {
        router
            .add(method, Pattern::parse(path).unwrap(), *header, i)
            .unwrap();
    }
    router
}

fn headers(names: &[&str]) -> HeaderMap {
    let header = |name: &&str| {
        (
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_static("1"),
        )
    };
    names.iter().map(header).collect()
}

#[test]
fn finds_the_route_and_its_parameters() {
    let router = router(&[
        ("GET", "/v1/models", None),
        ("GET", "/v1/models/{id...}", None),
        ("GET", "/v1/models/{id}/card", None),
        ("POST", "/v1/messages", None),
        ("POST", "/v1/messages", Some("anthropic-version")),
        ("DELETE", "/v1/models/special", None),
        ("HEAD", "/api/version", None),
        ("GET", "/api/version", None),
        ("GET", "/only/with/header", Some("x-a")),
    ]);
    type Expected<'a> = Result<(usize, &'a [(&'a str, &'a str)]), &'a [&'a str]>;
    const NOT_FOUND: Expected<'_> = Err(&[]);
    let cases: &[(&str, &str, &[&str], Expected<'_>)] = &[
        ("GET", "/v1/models", &[], Ok((0, &[]))),
        ("HEAD", "/v1/models", &[], Ok((0, &[]))),
        ("GET", "/v1/models/", &[], NOT_FOUND),
        ("GET", "/v1/models/a", &[], Ok((1, &[("id", "a")]))),
        (
            "GET",
            "/v1/models/org/name",
            &[],
            Ok((1, &[("id", "org/name")])),
        ),
        (
            "GET",
            "/v1/models/org%2Fname",
            &[],
            Ok((1, &[("id", "org/name")])),
        ),
        ("GET", "/v1/models/a/card", &[], Ok((2, &[("id", "a")]))),
        (
            "GET",
            "/v1/models/a%2Fb/card",
            &[],
            Ok((2, &[("id", "a/b")])),
        ),
        ("GET", "/v1/models//card", &[], Ok((1, &[("id", "/card")]))),
        ("GET", "/%761/models", &[], Ok((0, &[]))),
        ("GET", "/v1/models/%C3%A9", &[], Ok((1, &[("id", "é")]))),
        ("GET", "/v1/models/%FF", &[], NOT_FOUND),
        ("GET", "/v1/models/%4", &[], NOT_FOUND),
        ("GET", "/v1/models/%zz", &[], NOT_FOUND),
        ("GET", "v1/models", &[], NOT_FOUND),
        ("GET", "", &[], NOT_FOUND),
        ("GET", "/", &[], NOT_FOUND),
        (
            "GET",
            "/v1/models/special",
            &[],
            Ok((1, &[("id", "special")])),
        ),
        ("DELETE", "/v1/models/special", &[], Ok((5, &[]))),
        ("DELETE", "/v1/models/other", &[], Err(&["GET", "HEAD"])),
        (
            "PUT",
            "/v1/models/special",
            &[],
            Err(&["DELETE", "GET", "HEAD"]),
        ),
        ("POST", "/v1/messages", &[], Ok((3, &[]))),
        ("POST", "/v1/messages", &["anthropic-version"], Ok((4, &[]))),
        (
            "GET",
            "/v1/messages",
            &["anthropic-version"],
            Err(&["POST"]),
        ),
        ("HEAD", "/api/version", &[], Ok((6, &[]))),
        ("GET", "/api/version", &[], Ok((7, &[]))),
        ("GET", "/only/with/header", &[], NOT_FOUND),
        ("GET", "/only/with/header", &["x-a"], Ok((8, &[]))),
        ("POST", "/only/with/header", &["x-a"], Err(&["GET", "HEAD"])),
        ("POST", "/only/with/header", &[], NOT_FOUND),
    ];
    for (method, path, names, expected) in cases {
        let found = router.find(method, path, &headers(names));
        let expected = match expected {
            Ok((target, params)) => Ok((
                *target,
                params
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                    .collect(),
            )),
            Err([]) => Err(RouteError::NotFound),
            Err(allow) => Err(RouteError::MethodNotAllowed {
                allow: allow.iter().map(|m| (*m).to_owned()).collect(),
            }),
        };
        assert_eq!(found, expected, "{method} {path} {names:?}");
    }
}

#[test]
fn the_same_route_twice_is_refused_whatever_its_parameters_are_called() {
    let mut router = router(&[("GET", "/a/{x}", None), ("POST", "/b", Some("h"))]);
    let mut add = |method: &str, path: &str, header| {
        router.add(method, Pattern::parse(path).unwrap(), header, 9)
    };
    assert_eq!(add("GET", "/a/{y}", None), Err(0));
    assert_eq!(add("POST", "/b", Some("h")), Err(1));
    assert_eq!(add("POST", "/b", None), Ok(()));
    assert_eq!(add("POST", "/b", Some("i")), Ok(()));
    assert_eq!(add("POST", "/a/{x}", None), Ok(()));
    assert_eq!(add("GET", "/a/{x...}", None), Ok(()));
    assert_eq!(add("GET", "/a/x", None), Ok(()));
}

#[test]
fn patterns_are_checked() {
    for good in [
        "/v1",
        "/v1/{a}/b/{c...}",
        "/v1/a.b-c_d~e",
        "/v1/{a-b}",
        "/atolls",
        "/v1/metrics",
        "/v1/atoll",
    ] {
        assert!(Pattern::parse(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "v1",
        "/",
        "/v1/",
        "//v1",
        "/v1//a",
        "/{a}",
        "/{a...}",
        "/v1/{a...}/b",
        "/v1/{}",
        "/v1/{...}",
        "/v1/{a}{b}",
        "/v1/x{a}",
        "/v1/{a}/{a}",
        "/v1/%20",
        "/v1/a b",
        "/v1/é",
        "/v1/..",
        "/v1/.",
        "/v1/a?b",
        "/v1/a#b",
        "/atoll",
        "/atoll/v1",
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/{a b}",
    ] {
        assert!(Pattern::parse(bad).is_err(), "{bad}");
    }
    assert!(Pattern::parse(&format!("/{}", "a".repeat(300))).is_err());
}

#[test]
fn the_hosts_paths_stay_the_hosts_however_they_are_written() {
    let router = router(&[("GET", "/a/{x...}", None)]);
    for path in ["/atoll/v1", "/%61toll/v1", "/healthz"] {
        assert_eq!(
            router.find("GET", path, &HeaderMap::new()),
            Err(RouteError::NotFound)
        );
    }
}

fn segment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "{x}", "{y}"])
}

fn pattern() -> impl Strategy<Value = String> {
    (
        prop::sample::select(vec!["a", "b"]),
        prop::collection::vec(segment(), 0..3),
        any::<bool>(),
    )
        .prop_map(|(first, middle, rest)| {
            let mut path = format!("/{first}");
            for (i, segment) in middle.iter().enumerate() {
                path.push('/');
                // Names may come once only.
                path.push_str(&if segment.starts_with('{') {
                    format!("{{p{i}}}")
                } else {
                    (*segment).to_owned()
                });
            }
            if rest {
                path.push_str("/{rest...}");
            }
            path
        })
}

type Declared = (&'static str, String, Option<&'static str>);

fn routes() -> impl Strategy<Value = Vec<Declared>> {
    let method = prop::sample::select(vec!["GET", "POST", "HEAD"]);
    let header = prop::option::of(prop::sample::select(vec!["h1", "h2"]));
    prop::collection::vec((method, pattern(), header), 1..12)
}

proptest! {
    /// Who answers does not depend on the order in which plugins were added.
    #[test]
    fn the_outcome_does_not_depend_on_the_order(
        (declared, shuffled) in routes().prop_map(|routes| {
            // Drop what conflicts first, since who is refused does depend on the order.
            let mut kept: Vec<Declared> = Vec::new();
            let mut router = Router::new();
            for route in routes {
                if router.add(route.0, Pattern::parse(&route.1).unwrap(), route.2, ()).is_ok() {
                    kept.push(route);
                }
            }
            kept
        }).prop_flat_map(|routes| (Just(routes.clone()), Just(routes).prop_shuffle())),
        path in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..5),
        method in prop::sample::select(vec!["GET", "POST", "HEAD", "PUT"]),
        present in prop::collection::vec(prop::sample::select(vec!["h1", "h2"]), 0..3),
    ) {
        let build = |routes: &[Declared]| {
            let mut router = Router::new();
            for route in routes {
                router.add(route.0, Pattern::parse(&route.1).unwrap(), route.2, route.clone()).unwrap();
            }
            router
        };
        let path = format!("/{}", path.join("/"));
        let headers = headers(&present);
        let one = build(&declared).find(method, &path, &headers);
        let two = build(&shuffled).find(method, &path, &headers);
        prop_assert_eq!(&one, &two);
        if let Ok(((found, _, header), _)) = &one {
            prop_assert!(*found == method || (method == "HEAD" && *found == "GET"));
            prop_assert!(header.is_none_or(|h| present.contains(&h)));
        }
    }

    /// Decoding undoes encoding, byte by byte.
    #[test]
    fn decoding_undoes_encoding(text in "\\PC{0,20}") {
        let encoded: String = text.bytes().map(|b| format!("%{b:02X}")).collect();
        prop_assert_eq!(percent_decode(&encoded), Some(text));
    }
}

#[test]
fn a_path_without_a_route_is_nearest_to_whom_it_shares_most_with() {
    let router = router(&[
        ("POST", "/v1/chat/completions", None),
        ("GET", "/v1/models/{id...}", None),
        ("POST", "/v1/messages", None),
        ("GET", "/v1/models/{id...}", Some("anthropic-version")),
        ("POST", "/v1/responses/{id}/cancel", None),
        ("GET", "/api/tags", None),
    ]);
    let nearest = |path: &str, names: &[&str]| {
        // The last two dialects have routes for themselves, the others are two with two each.
        let dialect = |route: &usize| [0, 0, 1, 1, 2, 3][*route];
        let same = |a: &usize, b: &usize| dialect(a) == dialect(b);
        router.nearest(path, &headers(names), same).map(dialect)
    };
    for (path, names, expected) in [
        ("/v1/chat/nonsense", &[][..], Some(0)),
        ("/v1/messages/batches", &[], Some(1)),
        ("/v1/responses/r/nonsense", &[], Some(2)),
        ("/v1/respons%65s", &[], Some(2)),
        ("/api/push", &[], Some(3)),
        // All have `/v1`, the first most of it; but one asks for what only its own clients send.
        ("/v1/files", &[], Some(0)),
        ("/v1/files", &["anthropic-version"], Some(1)),
        ("/v1/models", &[], Some(0)),
        ("/v1/models", &["anthropic-version"], Some(1)),
        ("/nonsense", &["anthropic-version"], None),
        ("/v1/%ff", &["anthropic-version"], None),
        ("", &[], None),
        ("/", &[], None),
    ] {
        assert_eq!(nearest(path, names), expected, "{path} {names:?}");
    }
    // Of two with as much there is none.
    let even = self::router(&[("POST", "/v1/a", None), ("POST", "/v1/b", None)]);
    let same = |a: &usize, b: &usize| a == b;
    assert_eq!(even.nearest("/v1/c", &headers(&[]), same), None);
}

#[test]
fn a_route_that_would_take_anothers_requests_is_noticed() {
    let router = router(&[
        ("POST", "/v1/messages", None),
        ("GET", "/v1/models", Some("b-version")),
        ("GET", "/v1/models/{id...}", None),
        ("HEAD", "/api/tags", None),
    ]);
    let robs = |method: &str, path: &str, header: Option<&str>| {
        let pattern = Pattern::parse(path).unwrap();
        let mut robbed: Vec<usize> = router.shadowed(method, &pattern, header).copied().collect();
        robbed.sort_unstable();
        robbed
    };
    // A header that every request has, a name in the place of a parameter, the method HEAD, an earlier header.
    assert_eq!(robs("POST", "/v1/messages", Some("content-type")), [0]);
    assert_eq!(robs("GET", "/v1/models/mine", None), [2]);
    assert_eq!(robs("GET", "/v1/models/{id}", None), [2]);
    assert_eq!(robs("GET", "/v1/models/{id...}", Some("host")), [2]);
    assert_eq!(robs("HEAD", "/v1/models", Some("b-version")), [1]);
    assert_eq!(robs("GET", "/v1/models", Some("a-version")), [1]);
    // What comes after, or meets nobody, robs nobody.
    for (method, path, header) in [
        ("GET", "/v1/models", None),
        ("GET", "/v1/models", Some("c-version")),
        ("GET", "/v1/{anything...}", Some("host")),
        ("DELETE", "/v1/messages", Some("host")),
        ("GET", "/api/tags", None),
        ("POST", "/v1/messages/batches", None),
    ] {
        assert!(
            robs(method, path, header).is_empty(),
            "{method} {path} {header:?}"
        );
    }
}

proptest! {
    /// The order that `find` goes by and what `shadowed` says are the same.
    #[test]
    fn a_newcomer_wins_only_over_those_it_shadows(
        old in ("GET|HEAD", "/a(/(b|c|\\{x\\})){0,2}(/\\{y\\.\\.\\.\\})?", prop::option::of("h|i")),
        new in ("GET|HEAD", "/a(/(b|c|\\{p\\})){0,2}(/\\{q\\.\\.\\.\\})?", prop::option::of("h|i")),
        method in "GET|HEAD",
        path in "/a(/(b|c|d)){0,3}",
        with in prop::collection::vec("h|i", 0..3),
    ) {
        let (parsed_old, parsed_new) = (Pattern::parse(&old.1), Pattern::parse(&new.1));
        prop_assume!(parsed_old.is_ok() && parsed_new.is_ok());
        let (parsed_old, parsed_new) = (parsed_old.unwrap(), parsed_new.unwrap());
        let mut router = Router::new();
        router.add(&old.0, parsed_old, old.2.as_deref(), 0).unwrap();
        let shadows = router.shadowed(&new.0, &parsed_new, new.2.as_deref()).count() > 0;
        let asked = headers(&with.iter().map(String::as_str).collect::<Vec<_>>());
        let before = router.find(&method, &path, &asked).is_ok();
        prop_assume!(router.add(&new.0, parsed_new, new.2.as_deref(), 1).is_ok());
        let taken = before && router.find(&method, &path, &asked).unwrap().0 == 1;
        prop_assert!(!taken || shadows, "{old:?} {new:?} {method} {path} {with:?}");
    }
}
