//! `atoll cluster`: seeing the cluster, joining and leaving it.

use std::io::Read as _;

use atoll_cluster::transport::ClusterSecret;
use serde_json::Value;

use super::saved::{self, Saved, Token};
use crate::admin_client;
use crate::cli::{
    ClusterArgs, ClusterCommand, CommonArgs, JoinArgs, LeaveArgs, ServeArgs, StatusArgs, TokenArgs,
};
use crate::config::Config;
use crate::error::CliError;
use crate::output;
use crate::units::Bytes;

/// Runs the command.
pub fn command(args: &ClusterArgs) -> Result<(), CliError> {
    match &args.command {
        ClusterCommand::Status(args) => status(args),
        ClusterCommand::Join(args) => join(args),
        ClusterCommand::Leave(args) => leave(args),
        ClusterCommand::Token(args) => token(args),
    }
}

fn config(
    file: Option<std::path::PathBuf>,
    listen: &[std::net::SocketAddr],
) -> Result<Config, CliError> {
    Config::load_serve(&ServeArgs {
        listen: listen.to_vec(),
        common: CommonArgs {
            config: file,
            ..CommonArgs::default()
        },
        ..ServeArgs::default()
    })
}

fn join(args: &JoinArgs) -> Result<(), CliError> {
    let text = match &args.cluster {
        Some(text) => text.clone(),
        None => {
            let mut text = String::new();
            // A token has a few hundred bytes.
            let read = std::io::stdin().take(64 << 10).read_to_string(&mut text);
            read.map_err(|error| CliError::Other(format!("no token was read: {error}")))?;
            text
        }
    };
    let text = text.trim();
    let token = Token::parse(text).unwrap_or_else(|| Token {
        name: text.to_owned(),
        secret: None,
    });
    let name: Result<atoll_cluster::identity::ClusterName, _> = token.name.parse();
    name.map_err(|error| CliError::Other(error.to_string()))?;
    if let Some(secret) = &token.secret {
        ClusterSecret::check(secret).map_err(|error| CliError::Other(error.to_string()))?;
    }
    let config = config(None, &[])?;
    let saved = Saved {
        enabled: Some(true),
        name: Some(token.name.clone()),
        peers: args.peer.clone(),
        secret: token.secret.is_some(),
    };
    saved::write(&config.paths.node, &saved, token.secret.as_deref())?;
    output::note(format_args!(
        "This machine is part of cluster {} from the next `atoll serve` on.",
        token.name
    ));
    Ok(())
}

fn leave(args: &LeaveArgs) -> Result<(), CliError> {
    let config = config(args.config.clone(), &args.listen)?;
    let saved = Saved {
        enabled: Some(false),
        secret: false,
        ..saved::read(&config.paths.node)
    };
    saved::write(&config.paths.node, &saved, None)?;
    if let Some(place) = config.cluster.secret_by_hand(&config.paths.node) {
        output::note(format_args!(
            "{place} still holds a secret; it is yours to remove."
        ));
    }
    match admin_client::post(&config, "/atoll/v1/cluster/leave") {
        Ok(_) => output::note(
            "The running server has left the cluster, and joins none when it is started.",
        ),
        Err(error) => output::note(format_args!(
            "This machine joins no cluster when it is started. ({error})"
        )),
    }
    Ok(())
}

/// Prints what another machine needs, with a new secret if there is none or a new one is asked for.
fn token(args: &TokenArgs) -> Result<(), CliError> {
    let config = config(args.config.clone(), &[])?;
    let node = &config.paths.node;
    let name = config.cluster.name.value.clone();
    let kept = config.cluster.read_secret()?;
    let secret = match kept {
        Some(secret) if !args.new => secret.expose().to_owned(),
        _ => {
            if let Some(place) = config.cluster.secret_by_hand(node) {
                return Err(CliError::Other(format!(
                    "the secret comes from {place}: put a new one there"
                )));
            }
            let secret = draw()?;
            let saved = Saved {
                enabled: Some(true),
                name: Some(name.clone()),
                secret: true,
                ..saved::read(node)
            };
            saved::write(node, &saved, Some(&secret))?;
            output::note(
                "A new secret was made. It is in force here from the next `atoll serve` on; machines \
                 without it are then left out.",
            );
            secret
        }
    };
    let secret = Some(secret);
    output::line(Token { name, secret }.to_text()?)
}

/// 256 random bits.
fn draw() -> Result<String, CliError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| CliError::Other(format!("no random numbers: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn status(args: &StatusArgs) -> Result<(), CliError> {
    let config = config(args.config.clone(), &args.listen)?;
    let status = admin_client::get(&config, "/atoll/v1/cluster")?;
    if args.json {
        return output::line(status);
    }
    let Some(name) = status["cluster"].as_str() else {
        return output::line("This server is part of no cluster.");
    };
    let me = status["node"].as_str().unwrap_or_default();
    let safety = match status["encrypted"].as_bool() {
        Some(true) => "encrypted; only machines with its secret are let in",
        _ => "in the clear, open to every machine of the network",
    };
    output::line(format_args!(
        "cluster {name}, seen from {}; {safety}\n",
        short(me)
    ))?;
    let members = list(&status["members"]);
    let rows: Vec<Vec<String>> = members.iter().map(|member| node(member, me)).collect();
    let header = [
        "NODE",
        "NAME",
        "FOR STAGES",
        "MEMORY",
        "READS",
        "ROUND TRIP",
        "SENDS",
        "LINK",
        "STATE",
    ];
    output::table(&header, &rows)?;
    for member in &members {
        let devices = list(&member["facts"]["rdma"]);
        let devices: Vec<&str> = devices.iter().filter_map(Value::as_str).collect();
        if !devices.is_empty() {
            let id = short(member["id"].as_str().unwrap_or_default());
            output::line(format_args!("\n{id} has RDMA: {}", devices.join(", ")))?;
        }
    }
    let stages: Vec<Vec<String>> = members.iter().flat_map(stages).collect();
    if !stages.is_empty() {
        output::line("")?;
        output::table(
            &["MODEL", "STAGE", "LAYERS", "NODE", "HOLDS", "EPOCH"],
            &stages,
        )?;
    }
    let serving: Vec<Vec<String>> = members.iter().flat_map(serving).collect();
    if !serving.is_empty() {
        output::line("")?;
        output::table(&["ANSWERS", "NODE"], &serving)?;
    }
    for peer in list(&status["absent"]) {
        let text = |name: &str| peer[name].as_str().unwrap_or_default().to_owned();
        output::line(format_args!("\n{}: {}", text("address"), text("problem")))?;
    }
    for pipeline in list(&status["pipelines"]) {
        let model = pipeline["model"].as_str().unwrap_or_default();
        if let Some(failure) = pipeline["failure"].as_str() {
            output::line(format_args!("\n{model}: {failure}"))?;
        }
        if let Some(node) = pipeline["yields_to"].as_str() {
            output::line(format_args!(
                "\n{model}: {} runs it, too, and goes on; it is unloaded here when its answers have ended",
                short(node)
            ))?;
        }
    }
    Ok(())
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn short(id: &str) -> String {
    id.chars().take(8).collect()
}

fn node(member: &Value, me: &str) -> Vec<String> {
    let (facts, link) = (&member["facts"], &member["link"]);
    let bytes = |value: &Value| {
        value
            .as_u64()
            .map_or("?".to_owned(), |n| Bytes(n).to_string())
    };
    let rate = |value: &Value| match value.as_f64() {
        Some(rate) if rate > 0.0 => format!("{:.1} GB/s", rate / 1e9),
        _ => "-".to_owned(),
    };
    let id = member["id"].as_str().unwrap_or_default();
    let trip = link["round_trip"].as_f64();
    let state = member["problem"].as_str().map(str::to_owned);
    let state = state.unwrap_or_else(|| match member["usable"].as_bool() {
        Some(true) => "ready".to_owned(),
        _ => "silent".to_owned(),
    });
    vec![
        short(id),
        facts["name"].as_str().unwrap_or("?").to_owned(),
        bytes(&facts["stage_budget"]),
        bytes(&facts["memory_total"]),
        rate(&facts["executors"][0]["bytes_per_second"]),
        trip.map_or("-".to_owned(), |trip| format!("{:.2} ms", trip * 1e3)),
        rate(&link["bytes_per_second"]),
        member["link_kind"].as_str().unwrap_or("-").to_owned(),
        if id == me {
            format!("{state} (this one)")
        } else {
            state
        },
    ]
}

fn stages(member: &Value) -> Vec<Vec<String>> {
    let id = member["id"].as_str().unwrap_or_default();
    let row = |stage: &Value| {
        let number = |name: &str| stage[name].as_u64().unwrap_or_default();
        vec![
            stage["model"].as_str().unwrap_or_default().to_owned(),
            number("index").to_string(),
            format!("{}..{}", number("first"), number("end")),
            short(id),
            Bytes(number("bytes")).to_string(),
            number("epoch").to_string(),
        ]
    };
    list(&member["facts"]["stages"]).iter().map(row).collect()
}

fn serving(member: &Value) -> Vec<Vec<String>> {
    let id = member["id"].as_str().unwrap_or_default();
    let row = |model: &Value| vec![model.as_str().unwrap_or_default().to_owned(), short(id)];
    list(&member["facts"]["serving"]).iter().map(row).collect()
}
