//! The running pool as it is: its machines and links as it measured them, asked over the local API.

use atoll_cluster::placement::{self as records, ModelFacts, Topology};
use serde::Deserialize;
use serde_json::Value;

use super::describe::Question;
use crate::admin_client;
use crate::config::Config;
use crate::error::CliError;
use crate::strategies::convert::live;

/// What `/atoll/v1/cluster` is asked for.
#[derive(Deserialize)]
struct Pool {
    cluster: Option<String>,
    #[serde(default)]
    topology: Topology,
    #[serde(default)]
    members: Vec<Value>,
}

/// What `/atoll/v1/placements` is asked for.
#[derive(Deserialize)]
struct Asked {
    model: ModelFacts,
    options: records::Options,
}

/// The pool's machines, for a model that they may not have.
///
/// # Errors
/// No server that runs, or one that is part of no cluster.
pub fn machines(config: &Config) -> Result<(atoll_sdk::placement::Topology, String), CliError> {
    let pool = pool(config)?;
    let name = pool.cluster.unwrap_or_default();
    let note =
        format!("The machines of cluster {name} as they are now: what runs takes its memory.");
    Ok((live::topology(&pool.topology), note))
}

/// A model of the pool on all of its machines.
///
/// # Errors
/// As [`machines`]; a model that the server does not have.
pub fn question(config: &Config, model: &str) -> Result<Question, CliError> {
    let pool = pool(config)?;
    let found = admin_client::get(config, &admin_client::placements(model, None))?;
    let asked: Asked = serde_json::from_value(found).map_err(unreadable)?;
    let has = |member: &&Value| {
        let models = member["facts"]["models"].as_array();
        models.is_some_and(|models| models.iter().any(|name| name == model))
    };
    let lacking = pool.members.iter().filter(|member| !has(member));
    let lacking: Vec<&str> = lacking
        .filter_map(|member| member["facts"]["name"].as_str())
        .collect();
    let name = pool.cluster.unwrap_or_default();
    let mut notes = vec![format!(
        "The machines of cluster {name} as they are now: what runs takes its memory."
    )];
    if !lacking.is_empty() {
        let lacking = lacking.join(", ");
        notes.push(format!("Without this model's files yet: {lacking}."));
    }
    Ok(Question {
        topology: live::topology(&pool.topology),
        model: live::model(&asked.model),
        options: live::options(&asked.options),
        notes,
    })
}

fn pool(config: &Config) -> Result<Pool, CliError> {
    let status = admin_client::get(config, "/atoll/v1/cluster").map_err(|error| {
        CliError::Other(format!(
            "{error}; or describe machines in a FILE.toml (examples/plans has some)"
        ))
    })?;
    let pool: Pool = serde_json::from_value(status).map_err(unreadable)?;
    match pool.cluster {
        Some(_) => Ok(pool),
        None => Err(CliError::Other(
            "the server that runs is part of no cluster: start it with --cluster NAME, or describe machines in a \
             FILE.toml"
                .to_owned(),
        )),
    }
}

fn unreadable(error: serde_json::Error) -> CliError {
    CliError::Other(format!(
        "the server's answer is not what this command knows ({error}); run the same version of both"
    ))
}
