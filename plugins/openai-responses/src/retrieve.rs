//! `GET /v1/responses/{id}`: a stored response, whole or as a stream, also from its middle.

use atoll_sdk::types::{Error, HttpRequest, Opaque, Operation, StoredResponse};
use serde_json::json;

use crate::answer::{Answer, Wire};
use crate::items;
use crate::shape::Shape;

/// How a stored response is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retrieve {
    stream: bool,
    /// The number of the last event that the client has.
    starting_after: Option<u64>,
    /// Reasoning is wanted in a form that can be sent again.
    encrypted: bool,
}

impl Retrieve {
    /// Reads the query.
    ///
    /// # Errors
    /// A parameter that is none, or `starting_after` without a stream.
    pub fn read(request: &HttpRequest) -> Result<Self, Error> {
        let flag = |name: &str| match request.query_param(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Error::invalid(name, "Expected 'true' or 'false'.")),
        };
        let stream = flag("stream")?;
        let starting_after = match request.query_param("starting_after") {
            None => None,
            Some(_) if !stream => {
                let message = "Only a stream has events to start after; add stream=true.";
                return Err(Error::invalid("starting_after", message));
            }
            Some(text) => {
                let message = "Expected the sequence_number of an event.";
                let number = text
                    .parse()
                    .map_err(|_| Error::invalid("starting_after", message))?;
                Some(number)
            }
        };
        if flag("include_obfuscation")? {
            let message = "This host does not pad its events; leave out include_obfuscation.";
            return Err(Error::unsupported("include_obfuscation", message));
        }
        Ok(Self {
            stream,
            starting_after,
            encrypted: items::includes(request, "reasoning.encrypted_content"),
        })
    }

    /// What the host is asked.
    #[must_use]
    pub fn operation(&self, id: String) -> Operation {
        if !self.stream {
            return Operation::GetResponse(id);
        }
        let resumed = self.starting_after.is_some();
        Operation::Other(Opaque {
            kind: "follow-response".to_owned(),
            value: json!({ "id": id, "resumed": resumed }).to_string(),
        })
    }

    /// The answer that shows it.
    #[must_use]
    pub fn answer(&self, stored: &StoredResponse) -> Answer {
        let mut shape = Shape::of(&stored.request);
        shape.encrypted |= self.encrypted;
        let wire = if self.stream { Wire::Sse } else { Wire::Whole };
        Answer::new(shape, wire).starting_after(self.starting_after)
    }
}
