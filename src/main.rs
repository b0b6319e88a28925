//! The `postrider` command: reads the settings, sets up the log, and does what was asked.
//!
//! A command that fails says why in one line on standard error and exits with 1; a command line that asks for something
//! that there is not exits with 2.

use std::{io::Write, process::ExitCode};

use postrider::{
    app,
    cli::{Cli, CliError, Terminal},
};

/// Deliveries are many small short-lived allocations on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    refuse_huge_pages();
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

/// Of pages of 2 MiB an engine with little to do fills a corner of each. The allocator asks for none, but some systems give
/// them unasked: so this comes before anything is allocated that stays.
fn refuse_huge_pages() {
    rustix::thread::disable_transparent_huge_pages(true).ok();
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let system = actix_rt::System::with_tokio_rt(app::runtime);
    Ok(system.block_on(cli.run(&mut Terminal::stdout()))?)
}
