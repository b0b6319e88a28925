//! stub
use super::{CliError, Terminal};
use clap::Args;
/// demo
#[derive(Args, Debug)]
pub(super) struct DemoArgs {}
pub(super) async fn run(_args: DemoArgs, _terminal: &mut Terminal) -> Result<(), CliError> {
    Ok(())
}
