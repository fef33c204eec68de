//! The hosts a plugin was granted. Pure.
//!
//! An entry is a name or an address, with a port, and optionally the one address that the name has:
//!
//! | entry | what may be asked |
//! |---|---|
//! | `api.example.com` | HTTPS at port 443, at whatever public address the name has |
//! | `api.example.com:8443` | HTTP or HTTPS at that port |
//! | `10.0.0.7:8080`, `[fd00::7]:443` | that address, private or not: it was granted by name |
//! | `models.lan:8080=10.0.0.7` | that name, at that address, without asking the name service |
//! | `localhost:8080` | the same as `localhost:8080=127.0.0.1` |

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use reqwest::Url;

use crate::grant::Grant;

/// What a plugin may speak to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct AllowList {
    /// By host as a URL spells it: lower case, IPv6 in brackets.
    hosts: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Entry {
    ports: Vec<Ports>,
    /// The only address the host may have; `None` asks the name service for public ones.
    address: Option<IpAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ports {
    /// HTTPS at 443.
    Https,
    /// HTTP or HTTPS at this port.
    Any(u16),
}

impl AllowList {
    /// The hosts of all `http-out` grants together.
    ///
    /// # Errors
    /// A sentence about the entry that cannot be read.
    pub fn of(grants: &[Grant]) -> Result<Self, String> {
        let mut list = Self::default();
        for grant in grants {
            let Grant::HttpOut(entries) = grant else {
                continue;
            };
            if entries.is_empty() {
                return Err(
                    "the grant http-out names no host; say which: http-out:api.example.com"
                        .to_owned(),
                );
            }
            for entry in entries {
                list.add(entry)
                    .map_err(|reason| format!("the grant http-out:{entry}: {reason}"))?;
            }
        }
        Ok(list)
    }

    /// Whether no host is granted.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    fn add(&mut self, entry: &str) -> Result<(), String> {
        let (host, address) = match entry.split_once('=') {
            Some((host, address)) => {
                let address: IpAddr = address
                    .parse()
                    .map_err(|_| format!("{address:?} is no address"))?;
                (host, Some(address))
            }
            None => (entry, None),
        };
        let malformed = || {
            "write it as HOST, HOST:PORT or HOST:PORT=ADDRESS, without scheme or path".to_owned()
        };
        if host.contains(['/', '@', '?', '#', '\\', '*', ' ']) {
            return Err(malformed());
        }
        // The parser that reads a plugin's URLs reads this, so that both spell a host the same way.
        let url = Url::parse(&format!("http://{host}/")).map_err(|_| malformed())?;
        let name = url.host_str().unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(malformed());
        }
        // A URL hides the port that is its scheme's own.
        let port = url.port().or_else(|| host.ends_with(":80").then_some(80));
        let literal = literal(&name);
        if literal.is_some() && address.is_some() {
            return Err("an address needs no other address".to_owned());
        }
        let address = address
            .or(literal)
            .or_else(|| (name == "localhost").then_some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let known = self.hosts.entry(name).or_insert_with(|| Entry {
            ports: Vec::new(),
            address,
        });
        if known.address != address {
            return Err("the same host is granted at another address too".to_owned());
        }
        known.ports.push(port.map_or(Ports::Https, Ports::Any));
        Ok(())
    }

    /// Whether that URL may be asked for.
    ///
    /// # Errors
    /// A sentence for the plugin's author.
    pub fn permits(&self, url: &Url) -> Result<(), String> {
        let host = url.host_str().unwrap_or_default();
        let Some(port) = url.port_or_known_default() else {
            return Err("the URL has no port".to_owned());
        };
        let Some(entry) = self.hosts.get(host) else {
            return Err(format!("the host {host} was not granted"));
        };
        let https = url.scheme() == "https";
        let fits = |ports: &Ports| match ports {
            Ports::Https => https && port == 443,
            Ports::Any(granted) => port == *granted,
        };
        if entry.ports.iter().any(fits) {
            Ok(())
        } else {
            Err(format!(
                "the host {host} was granted, but not with {} at port {port}",
                url.scheme()
            ))
        }
    }

    /// The address that was granted with this host.
    pub fn address(&self, host: &str) -> Option<IpAddr> {
        self.hosts.get(host).and_then(|entry| entry.address)
    }
}

/// The address that a URL's host is, if it is one.
fn literal(host: &str) -> Option<IpAddr> {
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Result<AllowList, String> {
        let entries = entries.iter().map(|entry| (*entry).to_owned()).collect();
        AllowList::of(&[Grant::HttpOut(entries)])
    }

    fn permits(entries: &[&str], url: &str) -> bool {
        let list = list(entries).unwrap();
        list.permits(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn a_host_alone_is_https() {
        let granted = ["API.example.com"];
        assert!(permits(&granted, "https://api.example.com/v1?x=y"));
        assert!(permits(&granted, "https://API.EXAMPLE.COM:443/"));
        for url in [
            "http://api.example.com/",
            "https://api.example.com:8443/",
            "https://example.com/",
            "https://x.api.example.com/",
            "https://api.example.com.evil.test/",
            "https://evil.test/api.example.com",
        ] {
            assert!(!permits(&granted, url), "{url}");
        }
    }

    #[test]
    fn a_port_is_that_port() {
        assert!(permits(&["a.test:8080"], "http://a.test:8080/"));
        assert!(permits(&["a.test:8080"], "https://a.test:8080/"));
        assert!(permits(&["a.test:80"], "http://a.test/"));
        assert!(!permits(&["a.test:80"], "https://a.test/"));
        assert!(!permits(&["a.test:8080"], "https://a.test/"));
        assert!(permits(&["a.test", "a.test:81"], "https://a.test/"));
        assert!(permits(&["a.test", "a.test:81"], "http://a.test:81/"));
    }

    /// Every spelling of one address is that address.
    #[test]
    fn addresses_have_many_spellings() {
        for url in [
            "http://127.0.0.1:81/",
            "http://2130706433:81/",
            "http://0x7f.1:81/",
            "http://0177.0.0.1:81/",
            "http://127.1:81/",
        ] {
            assert!(permits(&["127.0.0.1:81"], url), "{url}");
            assert!(!permits(&["10.0.0.1:81"], url), "{url}");
        }
        assert!(permits(&["[::1]:81"], "http://[0:0::1]:81/"));
        assert!(!permits(&["127.0.0.1:81"], "http://[::ffff:127.0.0.1]:81/"));
    }

    #[test]
    fn an_address_may_be_granted_with_the_name() {
        let list = list(&["models.lan:8080=10.0.0.7", "localhost:81", "a.test"]).unwrap();
        assert_eq!(list.address("models.lan"), "10.0.0.7".parse().ok());
        assert_eq!(list.address("localhost"), "127.0.0.1".parse().ok());
        assert_eq!(list.address("a.test"), None);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for entry in [
            "",
            "https://a.test",
            "a.test/path",
            "user@a.test",
            "*.a.test",
            "a.test:99999",
            "a.test=nowhere",
            "10.0.0.1=10.0.0.2",
            "[::1",
        ] {
            assert!(list(&[entry]).is_err(), "{entry:?}");
        }
        assert!(list(&["a.test=10.0.0.1", "a.test=10.0.0.2"]).is_err());
        assert!(AllowList::of(&[Grant::HttpOut(Vec::new())]).is_err());
        assert!(AllowList::of(&[Grant::Kv]).unwrap().is_empty());
    }
}
