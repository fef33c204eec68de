//! Checks what a plugin says of itself before any of it is believed. Pure.

use serde_json::Value;

use crate::grant::Grant;
use crate::info::{RouteInfo, WantInfo};
use crate::router::Pattern;
use crate::types::{Descriptor, Route};

/// Routes a dialect may declare; the largest known API has some forty.
const MAX_ROUTES: usize = 256;
/// Grants a plugin may ask for.
const MAX_WANTS: usize = 32;
/// Hosts or folders in one of them.
const MAX_NAMES: usize = 64;
/// Methods that routes may use. CONNECT and TRACE have no business here; OPTIONS and HEAD are the host's
/// unless declared.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A checked description.
#[derive(Debug)]
pub(crate) struct Described {
    pub name: String,
    pub version: String,
    pub summary: String,
    pub schema: Value,
    pub wants: Vec<WantInfo>,
}

/// Checks the part that all worlds share.
pub(crate) fn check(descriptor: Descriptor) -> Result<Described, String> {
    let Descriptor {
        name,
        version,
        summary,
        settings_schema,
        wants,
        ext: _,
    } = descriptor;
    let name_ok = (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !name_ok {
        return Err(format!(
            "its name {:?} must be 1 to 64 lower-case letters, digits and '-', starting with a letter",
            name.chars().take(80).collect::<String>()
        ));
    }
    if version.len() > 64 || semver::Version::parse(&version).is_err() {
        return Err(format!(
            "its version {:?} is not a semantic version such as 1.2.0",
            version.chars().take(80).collect::<String>()
        ));
    }
    let schema: Value = serde_json::from_str(&settings_schema)
        .map_err(|error| format!("its settings schema is not JSON: {error}"))?;
    if !schema.is_object() {
        return Err("its settings schema must be a JSON object; {} for no settings".to_owned());
    }
    if wants.len() > MAX_WANTS {
        return Err(format!("it wants more than {MAX_WANTS} grants"));
    }
    let wants = wants
        .into_iter()
        .map(|want| {
            let grant = Grant::from(want.grant);
            let reason = crate::host::sanitize(&want.reason, 300);
            check_wish(&grant).map(|()| WantInfo { grant, reason })
        })
        .collect::<Result<_, _>>()?;
    Ok(Described {
        name,
        version,
        summary: crate::host::sanitize(&summary, 300),
        schema,
        wants,
    })
}

/// Whether a wish is plain text. People read it in a terminal when they decide, and paste it into a shell when
/// they agree: it must not be able to move the cursor over what else is wanted, nor to run anything.
fn check_wish(grant: &Grant) -> Result<(), String> {
    let plain = |text: &String, more: &[u8]| {
        (1..=256).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    let fine = match grant {
        Grant::HttpOut(hosts) => {
            hosts.len() <= MAX_NAMES && hosts.iter().all(|host| plain(host, b".-_:=[]"))
        }
        Grant::Files(names) => {
            names.len() <= MAX_NAMES && names.iter().all(|name| plain(name, b"/.-_"))
        }
        Grant::Other(name) => plain(name, b".-_:=,/"),
        _ => true,
    };
    if fine {
        return Ok(());
    }
    let shown: String = grant.interface().escape_default().take(80).collect();
    Err(format!(
        "it wants {shown} by a name that is empty, long, or has characters that no name has"
    ))
}

/// Checks a dialect's routes, each by itself and against each other.
pub(crate) fn check_routes(routes: Vec<Route>) -> Result<Vec<(RouteInfo, Pattern)>, String> {
    if routes.is_empty() {
        return Err("a dialect must declare at least one route".to_owned());
    }
    if routes.len() > MAX_ROUTES {
        return Err(format!("it declares more than {MAX_ROUTES} routes"));
    }
    let mut checked = Vec::with_capacity(routes.len());
    for Route {
        method,
        path,
        header,
    } in routes
    {
        if !METHODS.contains(&method.as_str()) {
            return Err(format!(
                "route {path:?}: method {method:?} is not one of {}",
                METHODS.join(", ")
            ));
        }
        if let Some(header) = &header {
            let well_formed =
                http::HeaderName::from_bytes(header.as_bytes()).is_ok_and(|h| h.as_str() == header);
            if !well_formed {
                return Err(format!(
                    "route {path:?}: header {header:?} is not a lower-case header name"
                ));
            }
        }
        let pattern = Pattern::parse(&path)?;
        checked.push((
            RouteInfo {
                method,
                path,
                header,
            },
            pattern,
        ));
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(name: &str, version: &str, schema: &str) -> Descriptor {
        Descriptor {
            name: name.into(),
            version: version.into(),
            summary: "x\u{1b}[2J".into(),
            settings_schema: schema.into(),
            wants: vec![],
            ext: None,
        }
    }

    #[test]
    fn only_well_formed_descriptions_pass() {
        let described = check(descriptor("redact-pii", "1.2.0-rc.1", "{}")).unwrap();
        assert_eq!(described.summary, r"x\u{1b}[2J");
        for (name, version, schema) in [
            ("", "1.0.0", "{}"),
            ("Redact", "1.0.0", "{}"),
            ("-a", "1.0.0", "{}"),
            ("a-", "1.0.0", "{}"),
            ("a\n", "1.0.0", "{}"),
            ("a/b", "1.0.0", "{}"),
            ("a", "1.0", "{}"),
            ("a", "", "{}"),
            ("a", "1.0.0", "[]"),
            ("a", "1.0.0", "true"),
            ("a", "1.0.0", "{"),
        ] {
            assert!(
                check(descriptor(name, version, schema)).is_err(),
                "{name:?} {version:?} {schema:?}"
            );
        }
    }

    /// What is shown to whoever decides says what it is, and can be pasted.
    #[test]
    fn wishes_are_plain_text() {
        use crate::types::{Grant as Wish, Want};

        let checked = |grant: Wish| {
            let mut described = descriptor("a", "1.0.0", "{}");
            let reason = "why".to_owned();
            described.wants.push(Want { grant, reason });
            check(described)
        };
        let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        for fine in [
            Wish::HttpOut(own(&["api.example.com", "[::1]:80", "m.lan:80=10.0.0.7"])),
            Wish::HttpOut(vec![]),
            Wish::Files(own(&["/lexicon/en"])),
            Wish::Other("vault:a".to_owned()),
            Wish::Other("manage-models".to_owned()),
        ] {
            assert!(checked(fine.clone()).is_ok(), "{fine:?}");
        }
        for hostile in [
            Wish::HttpOut(own(&["a.example\u{1b}[2K\rlog"])),
            Wish::HttpOut(own(&["a.example\u{202e}"])),
            Wish::HttpOut(own(&["$(touch owned)"])),
            Wish::HttpOut(own(&["a.example;reboot"])),
            Wish::HttpOut(own(&[""])),
            Wish::HttpOut(vec!["a".to_owned(); 65]),
            Wish::Files(own(&["/a b"])),
            Wish::Files(own(&["/`id`"])),
            Wish::Other("kv\u{9b}2J".to_owned()),
            Wish::Other("x".repeat(257)),
        ] {
            let reason = checked(hostile.clone()).unwrap_err();
            assert!(!reason.contains(['\u{1b}', '\u{9b}', '\r']), "{reason:?}");
        }
    }

    #[test]
    fn routes_are_checked_one_by_one() {
        let route = |method: &str, path: &str, header: Option<&str>| {
            check_routes(vec![Route {
                method: method.into(),
                path: path.into(),
                header: header.map(Into::into),
            }])
        };
        assert!(route("POST", "/v1/messages", Some("anthropic-version")).is_ok());
        assert!(route("post", "/v1/messages", None).is_err());
        assert!(route("TRACE", "/v1/messages", None).is_err());
        assert!(route("POST", "/v1/messages", Some("Anthropic-Version")).is_err());
        assert!(route("POST", "/v1//messages", None).is_err());
        assert!(check_routes(vec![]).is_err());
    }
}
