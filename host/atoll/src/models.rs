//! `atoll models`: what is on this machine.

use crate::cli::ModelsArgs;
use crate::compose;
use crate::config::Config;
use crate::error::CliError;
use crate::output;
use crate::units::Bytes;

/// Runs the command.
pub fn command(args: &ModelsArgs) -> Result<(), CliError> {
    let config = Config::load(&args.common)?;
    let listing = compose::catalog(&config).listing();
    if args.json {
        let json = serde_json::to_string_pretty(&listing)
            .map_err(|error| CliError::Output(error.to_string()))?;
        return output::line(json);
    }
    let rows: Vec<Vec<String>> = listing
        .models
        .iter()
        .map(|model| {
            vec![
                model.name.clone(),
                Bytes(model.size_bytes).to_string(),
                model.family.clone(),
                model.weights.clone(),
                model.context_length.to_string(),
                model.path.clone(),
            ]
        })
        .collect();
    output::table(
        &["NAME", "SIZE", "FAMILY", "WEIGHTS", "CONTEXT", "PATH"],
        &rows,
    )?;
    for refused in &listing.refused {
        output::note(format_args!(
            "not usable: {}: {}",
            refused.path, refused.reason
        ));
    }
    Ok(())
}
