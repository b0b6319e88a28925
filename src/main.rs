//! The `postrider` command: reads the settings, sets up the log, and does what was asked.
//!
//! A command that fails says why in one line on standard error and exits with 1; a command line that asks for something
//! that there is not exits with 2.

use std::{io::Write, process::ExitCode, time::Duration};

use postrider::{
    app,
    cli::{Cli, CliError, Terminal},
};

/// How long queries may take that are under way at the end.
const LAST_QUERIES: Duration = Duration::from_secs(3);

/// Deliveries are many small short-lived allocations on several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    refuse_huge_pages();
    let cli = Cli::read();
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(cli.default_log())).init();
    let system = actix_rt::System::with_tokio_rt(app::runtime);
    let code = match system.block_on(cli.run(&mut Terminal::stdout())).map_err(anyhow::Error::from) {
        Ok(()) => 0,
        Err(error) if error.downcast_ref().is_some_and(CliError::is_closed_pipe) => 0,
        Err(error) => {
            // Our errors tell their causes themselves. Without a standard error there is nobody to tell.
            writeln!(std::io::stderr(), "postrider: {error}").ok();
            1
        }
    };
    exit_soon(code);
    drop(system);
    ExitCode::from(code)
}

/// Queries that are under way are waited for, but not for a database that does not answer.
fn exit_soon(code: u8) {
    std::thread::spawn(move || {
        #[expect(clippy::disallowed_methods, reason = "nothing else runs on this thread")]
        std::thread::sleep(LAST_QUERIES);
        std::process::exit(code.into());
    });
}

/// Of pages of 2 MiB an engine with little to do fills a corner of each. The allocator asks for none, but some systems give
/// them unasked: so this comes before anything is allocated that stays.
fn refuse_huge_pages() {
    rustix::thread::disable_transparent_huge_pages(true).ok();
}
