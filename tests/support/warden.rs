//! Ends what a test process started, also when that process is killed.
//!
//! A shell waits at the other end of a pipe. Whatever happens to this process the kernel closes the pipe; then the shell
//! kills the programs and removes the folders that it was told of and not told to forget. It relies on nothing but `sh`.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{ChildStdin, Command, Stdio},
    sync::{Mutex, OnceLock, PoisonError},
};

/// Keeps two lists in its variables. A folder goes after the programs that use it, and once more: what they started may
/// still have written.
const SCRIPT: &str = r#"
programs=" "
folders=" "
while read -r order what; do
    case $order in
        program) programs="$programs$what " ;;
        ended) programs=$(printf '%s' "$programs" | sed "s/ $what / /") ;;
        folder) folders="$folders$what " ;;
    esac
done
for program in $programs; do kill -KILL "$program"; done
for pause in 0.2 2; do
    sleep $pause
    for folder in $folders; do rm -rf "$folder"; done
done
"#;

/// Kill the program `id` at the end.
pub fn watch_program(id: u32) {
    tell(&format!("program {id}"));
}

/// The program `id` has ended: its number may be another's from now on.
pub fn forget_program(id: u32) {
    tell(&format!("ended {id}"));
}

/// Remove `folder` at the end. Its path has no blanks.
pub fn watch_folder(folder: &Path) {
    tell(&format!("folder {}", folder.display()));
}

fn tell(order: &str) {
    static WARDEN: OnceLock<Mutex<ChildStdin>> = OnceLock::new();
    let warden = WARDEN.get_or_init(|| Mutex::new(start()));
    let mut pipe = warden.lock().unwrap_or_else(PoisonError::into_inner);
    writeln!(pipe, "{order}").expect("the warden reads until we end");
}

#[expect(clippy::zombie_processes, reason = "it outlives this process")]
fn start() -> ChildStdin {
    let mut shell = Command::new("sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A signal for the whole group of the test must not end it.
        .process_group(0)
        .spawn()
        .expect("sh is there");
    shell.stdin.take().expect("it was asked for")
}
