//! Which dialect answers a request: route patterns, their order, and matching. Pure.
//!
//! A pattern is literal segments, `{name}` for one non-empty segment, and `{name...}` at the end for
//! one or more. Segments are compared after percent-decoding, one by one, so an encoded slash stays
//! inside its segment and an encoded letter equals the letter.
//!
//! Among routes that match a request, in this order: the more specific path (segment by segment from the
//! left, literal before `{name}` before `{name...}`), then the one that asks for a header the request
//! has, then the exact method (a HEAD request may fall back to GET). Two routes with the same method,
//! shape and header cannot both exist, so the order is total and does not depend on who came first.
//!
//! By that order alone a newcomer could take another plugin's requests with a narrower path, or with a header
//! that every request has: [`Router::shadowed`] says whose, and the registry refuses it.

use std::cmp::Ordering;

use http::HeaderMap;

/// A matched route's parameters, decoded, in order.
pub(crate) type Params = Vec<(String, String)>;

/// A parsed path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    One(String),
    Rest(String),
}

impl Segment {
    fn rank(&self) -> u8 {
        match self {
            Self::Literal(_) => 2,
            Self::One(_) => 1,
            Self::Rest(_) => 0,
        }
    }

    /// Equal but for the parameter's name.
    fn same_shape(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(a), Self::Literal(b)) => a == b,
            _ => self.rank() == other.rank(),
        }
    }
}

/// Prefixes the host keeps for itself.
const HOST_PREFIXES: [&str; 1] = ["atoll"];
/// Paths the host keeps for itself.
const HOST_PATHS: [&str; 3] = ["healthz", "readyz", "metrics"];

impl Pattern {
    /// Parses a declared path.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(path: &str) -> Result<Self, String> {
        let rest = path
            .strip_prefix('/')
            .ok_or_else(|| format!("path {path:?} must start with /"))?;
        if path.len() > 256 {
            return Err("path longer than 256 bytes".to_owned());
        }
        if rest.is_empty() {
            return Err("the path / is the host's".to_owned());
        }
        let mut segments = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        let parts: Vec<&str> = rest.split('/').collect();
        for (i, part) in parts.iter().enumerate() {
            let segment = if let Some(inner) =
                part.strip_prefix('{').and_then(|p| p.strip_suffix('}'))
            {
                let (name, is_rest) = match inner.strip_suffix("...") {
                    Some(name) => (name, true),
                    None => (inner, false),
                };
                let valid = !name.is_empty()
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
                if !valid {
                    return Err(format!("path {path:?}: {part:?} is not a parameter"));
                }
                if names.contains(&name) {
                    return Err(format!("path {path:?}: the parameter {name:?} comes twice"));
                }
                names.push(name);
                if is_rest && i + 1 != parts.len() {
                    return Err(format!("path {path:?}: {part:?} must be last"));
                }
                if is_rest {
                    Segment::Rest(name.to_owned())
                } else {
                    Segment::One(name.to_owned())
                }
            } else {
                let literal =
                    |b: u8| b.is_ascii_alphanumeric() || b"-._~:@!$&'()*+,;=".contains(&b);
                if part.is_empty() || *part == "." || *part == ".." || !part.bytes().all(literal) {
                    return Err(format!(
                        "path {path:?}: segment {part:?} is empty or has characters that need encoding"
                    ));
                }
                Segment::Literal((*part).to_owned())
            };
            segments.push(segment);
        }
        match segments.first() {
            Some(Segment::Literal(first))
                if HOST_PREFIXES.contains(&first.as_str())
                    || (segments.len() == 1 && HOST_PATHS.contains(&first.as_str())) =>
            {
                return Err(format!("the path {path:?} is the host's"));
            }
            // A first segment that matches anything would take the host's own paths along.
            Some(Segment::One(_) | Segment::Rest(_)) => {
                return Err(format!("path {path:?} must start with a literal segment"));
            }
            _ => {}
        }
        Ok(Self { segments })
    }

    fn same_shape(&self, other: &Self) -> bool {
        self.segments.len() == other.segments.len()
            && self
                .segments
                .iter()
                .zip(&other.segments)
                .all(|(a, b)| a.same_shape(b))
    }

    /// Whether some path matches both.
    fn overlaps(&self, other: &Self) -> bool {
        let both = self.segments.iter().zip(&other.segments);
        for (a, b) in both {
            match (a, b) {
                (Segment::Rest(_), _) | (_, Segment::Rest(_)) => return true,
                (Segment::Literal(a), Segment::Literal(b)) if a != b => return false,
                _ => {}
            }
        }
        self.segments.len() == other.segments.len()
    }

    /// How many segments of `path` (decoded) the pattern matches before one that it does not.
    fn shared(&self, path: &[String]) -> usize {
        let both = self.segments.iter().zip(path);
        both.take_while(|(segment, part)| match segment {
            Segment::Literal(literal) => literal == *part,
            Segment::One(_) | Segment::Rest(_) => !part.is_empty(),
        })
        .count()
    }

    fn specificity(&self, other: &Self) -> Ordering {
        let ranks = |pattern: &Self| {
            pattern
                .segments
                .iter()
                .map(Segment::rank)
                .collect::<Vec<_>>()
        };
        ranks(self).cmp(&ranks(other))
    }

    /// The parameters, if `path` (decoded segments) matches.
    fn matches(&self, path: &[String]) -> Option<Params> {
        let mut params = Vec::new();
        let mut rest = path;
        for segment in &self.segments {
            let (head, tail) = rest.split_first()?;
            match segment {
                Segment::Literal(literal) if literal == head => {}
                Segment::Literal(_) => return None,
                Segment::One(_) if head.is_empty() => return None,
                Segment::One(name) => params.push((name.clone(), head.clone())),
                Segment::Rest(name) => {
                    let value = rest.join("/");
                    if value.is_empty() {
                        return None;
                    }
                    params.push((name.clone(), value));
                    return Some(params);
                }
            }
            rest = tail;
        }
        rest.is_empty().then_some(params)
    }
}

/// One declared route with whom it belongs to.
#[derive(Debug, Clone)]
struct Entry<T> {
    method: String,
    pattern: Pattern,
    header: Option<String>,
    target: T,
}

/// All routes of a registry.
#[derive(Debug, Clone)]
pub(crate) struct Router<T> {
    entries: Vec<Entry<T>>,
}

/// Why no route was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// No route has this path, or only ones that ask for a header the request lacks.
    #[error("no plugin serves this path")]
    NotFound,
    /// The path exists, with other methods.
    #[error("the path has other methods: {}", allow.join(", "))]
    MethodNotAllowed {
        /// For the `allow` header, sorted.
        allow: Vec<String>,
    },
}

impl<T: Clone> Router<T> {
    pub fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Adds a route.
    ///
    /// # Errors
    /// The target that already has the same method, shape and header.
    pub fn add(
        &mut self,
        method: &str,
        pattern: Pattern,
        header: Option<&str>,
        target: T,
    ) -> Result<(), T> {
        let taken = self.entries.iter().find(|entry| {
            entry.method == method
                && entry.header.as_deref() == header
                && entry.pattern.same_shape(&pattern)
        });
        if let Some(taken) = taken {
            return Err(taken.target.clone());
        }
        self.entries.push(Entry {
            method: method.to_owned(),
            pattern,
            header: header.map(str::to_owned),
            target,
        });
        Ok(())
    }

    /// Whose requests a new route would take: targets of routes that match some request of its own and come
    /// after it.
    pub fn shadowed<'a>(
        &'a self,
        method: &'a str,
        pattern: &'a Pattern,
        header: Option<&'a str>,
    ) -> impl Iterator<Item = &'a T> {
        let both = |a: &str, b: &str| a == b || matches!((a, b), ("GET", "HEAD") | ("HEAD", "GET"));
        self.entries
            .iter()
            .filter(move |entry| {
                both(&entry.method, method) && entry.pattern.overlaps(pattern) && {
                    let theirs = entry.header.as_deref();
                    pattern
                        .specificity(&entry.pattern)
                        .then(header.is_some().cmp(&theirs.is_some()))
                        // A HEAD request goes to the route for HEAD.
                        .then((method == "HEAD").cmp(&(entry.method == "HEAD")))
                        .then_with(|| theirs.cmp(&header))
                        .is_gt()
                }
            })
            .map(|entry| &entry.target)
    }

    /// Whose client sent a request that no route matches: the target whose routes have the longest beginning in
    /// common with the path, before that among equals which ask for a header the request has, and after that the one
    /// with the most of them: the more of an API begins so, the likelier it is one of its paths. `None` where that is
    /// nobody, or more than one by `same`.
    pub fn nearest(
        &self,
        path: &str,
        headers: &HeaderMap,
        same: impl Fn(&T, &T) -> bool,
    ) -> Option<&T> {
        let decoded = decode_path(path)?;
        let near = |entry: &Entry<T>| {
            let header = entry.header.as_ref();
            let meant = header.is_none_or(|header| headers.contains_key(header.as_str()));
            let shared = entry.pattern.shared(&decoded);
            (meant && shared > 0).then_some((shared, header.is_some()))
        };
        let most = self.entries.iter().filter_map(near).max()?;
        let mut counts: Vec<(&T, usize)> = Vec::new();
        for entry in self
            .entries
            .iter()
            .filter(|entry| near(entry) == Some(most))
        {
            match counts
                .iter_mut()
                .find(|(target, _)| same(target, &entry.target))
            {
                Some((_, count)) => *count += 1,
                None => counts.push((&entry.target, 1)),
            }
        }
        let most = counts.iter().map(|(_, count)| *count).max()?;
        let mut nearest = counts.into_iter().filter(|(_, count)| *count == most);
        match (nearest.next(), nearest.next()) {
            (Some((only, _)), None) => Some(only),
            _ => None,
        }
    }

    /// The route for a request: `path` as sent, without the query.
    pub fn find(
        &self,
        method: &str,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<(T, Params), RouteError> {
        let decoded = decode_path(path).ok_or(RouteError::NotFound)?;
        let mut best: Option<(&Entry<T>, Params)> = None;
        let mut allow: Vec<String> = Vec::new();
        for entry in &self.entries {
            if entry
                .header
                .as_ref()
                .is_some_and(|header| !headers.contains_key(header.as_str()))
            {
                continue;
            }
            let Some(params) = entry.pattern.matches(&decoded) else {
                continue;
            };
            allow.push(entry.method.clone());
            if entry.method == "GET" {
                allow.push("HEAD".to_owned());
            }
            if entry.method != method && !(method == "HEAD" && entry.method == "GET") {
                continue;
            }
            let better = best.as_ref().is_none_or(|(current, _)| {
                entry
                    .pattern
                    .specificity(&current.pattern)
                    .then(entry.header.is_some().cmp(&current.header.is_some()))
                    .then((entry.method == method).cmp(&(current.method == method)))
                    // Two different headers, both present: the smaller name, so that order does not matter.
                    .then_with(|| current.header.cmp(&entry.header))
                    .is_gt()
            });
            if better {
                best = Some((entry, params));
            }
        }
        if let Some((entry, params)) = best {
            return Ok((entry.target.clone(), params));
        }
        if allow.is_empty() {
            return Err(RouteError::NotFound);
        }
        allow.sort();
        allow.dedup();
        Err(RouteError::MethodNotAllowed { allow })
    }
}

/// The segments of a path as sent; `None` as for [`percent_decode`].
fn decode_path(path: &str) -> Option<Vec<String>> {
    path.strip_prefix('/')?
        .split('/')
        .map(percent_decode)
        .collect()
}

/// One segment decoded; `None` when an escape is malformed or the result is not UTF-8.
fn percent_decode(segment: &str) -> Option<String> {
    if !segment.contains('%') {
        return Some(segment.to_owned());
    }
    let mut out = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(b);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests;
