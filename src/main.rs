//! The `postrider` command: reads the settings, sets up the log, and does what was asked.
//!
//! A command that fails says why in one line on standard error and exits with 1; a command line that asks for something
//! that there is not exits with 2.

use std::{io::Write, process::ExitCode};

use postrider::cli::{Cli, CliError, Terminal};

/// Deliveries are many small short-lived allocations on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::read();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(cli.default_log())).init();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.downcast_ref().is_some_and(CliError::is_closed_pipe) => ExitCode::SUCCESS,
        Err(error) => {
            // Our errors tell their causes themselves. Without a standard error there is nobody to tell.
            writeln!(std::io::stderr(), "postrider: {error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let system = actix_rt::System::new();
    Ok(system.block_on(cli.run(&mut Terminal::stdout()))?)
}
