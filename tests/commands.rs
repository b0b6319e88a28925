//! The real binary, as a person or a script calls it: what it prints, and how it exits.
#![cfg(feature = "sqlite")]

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// A new database, and the binary that works on it.
struct Desk {
    folder: TempDir,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
struct Said {
    out: String,
    err: String,
    code: Option<i32>,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postrider"));
        command
            .args(args)
            .env("DATABASE_URL", format!("sqlite:{}", self.folder.path().join("test.db").display()))
            .env_remove("POSTRIDER_TOKEN")
            .env_remove("POSTRIDER_URL")
            .env_remove("RUST_LOG");
        command
    }

    fn run(&self, args: &[&str]) -> Said {
        Said::from(self.command(args).stdin(Stdio::null()).output().expect("the binary runs"))
    }

    fn run_with_input(&self, args: &[&str], input: &str) -> Said {
        let mut command = self.command(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        stdin.write_all(input.as_bytes()).expect("the command reads its input");
        drop(stdin);
        Said::from(child.wait_with_output().expect("the binary ends"))
    }

    fn users(&self) -> Value {
        serde_json::from_str(&self.run(&["user", "list", "--json"]).done()).expect("JSON")
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { out: text(output.stdout), err: text(output.stderr), code: output.status.code() }
    }
}

impl Said {
    /// The output of a command that did what it was asked, without a word beside it.
    #[track_caller]
    fn done(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{self:?}");
        self.out
    }

    /// The one line of a command that did not.
    #[track_caller]
    fn refused(self) -> String {
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{self:?}");
        self.err.trim_end().to_owned()
    }
}

#[test]
fn users_bring_their_tokens_to_a_new_database() {
    let desk = Desk::new();
    let token = "a".repeat(40);
    assert_eq!(
        desk.run(&["user", "add", "admin", "--token", &token, "--admin", "--publisher"]).done(),
        "added admin (admin)\n"
    );
    assert_eq!(
        desk.run(&["user", "add", "Ayşe Yılmaz", "--token", "b", "--publisher", "--inactive"]).done(),
        "added Ayşe Yılmaz (publisher, inactive)\n"
    );
    let users = desk.users();
    assert_eq!(users[0]["role"], "admin");
    assert_eq!(users[1]["name"], "Ayşe Yılmaz");
    assert_eq!(
        (&users[1]["role"], &users[1]["active"], &users[1]["tokens"]),
        (&"publisher".into(), &false.into(), &1.into())
    );

    let table = desk.run(&["user", "list"]).done();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("NAME         ROLE       ACTIVE  TOKENS  SINCE"), "{table}");
    assert!(lines[2].starts_with("Ayşe Yılmaz  publisher  no      1       2"), "{table}");
    assert!(!table.contains('\u{1b}'), "no colour in a pipe");
}

#[test]
fn a_token_that_is_made_is_shown_once() {
    let desk = Desk::new();
    let shown = desk.run(&["user", "add", "shop"]).done();
    let token = shown.lines().find_map(|line| line.strip_prefix("token: ")).expect("a token");
    assert_eq!(token.len(), 40);
    assert!(token.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert!(!desk.run(&["user", "list", "--json"]).done().contains(token));

    assert_eq!(
        desk.run_with_input(&["token", "create", "shop", "--token", "-"], "second\n").done(),
        "shop has a further token\n"
    );
    assert_eq!(desk.users()[0]["tokens"], 2);
    assert_eq!(desk.run_with_input(&["token", "revoke", "-"], "second\n").done(), "revoked\n");
    assert_eq!(desk.run(&["token", "revoke", "--all", "shop"]).done(), "revoked 1 token of shop\n");
    assert_eq!(desk.users()[0]["tokens"], 0);
}

#[test]
fn what_cannot_be_is_told_in_one_line() {
    let desk = Desk::new();
    desk.run(&["user", "add", "a", "--token", "t"]).done();
    let refused = |args: &[&str]| desk.run(args).refused();
    assert_eq!(refused(&["user", "add", "a"]), "postrider: there is a user \"a\" already");
    assert_eq!(refused(&["user", "add", "b", "--token", "t"]), "postrider: this token belongs to somebody already");
    assert_eq!(refused(&["token", "create", "a", "--token", "t"]), "postrider: this token belongs to somebody already");
    assert_eq!(refused(&["user", "add", ""]), "postrider: a name cannot be empty");
    assert_eq!(refused(&["user", "add", &"a".repeat(151)]), "postrider: a name has at most 150 characters");
    assert!(refused(&["user", "add", "b", "--token", "t t"]).contains("no spaces"));
    assert_eq!(refused(&["user", "add", "b", "--token", ""]), "postrider: a token cannot be empty");
    assert!(refused(&["token", "create", "nobody"]).contains("there is no user \"nobody\""));
    assert_eq!(refused(&["token", "revoke", "unknown"]), "postrider: nobody has this token");
    assert!(refused(&["token", "revoke", "--all", "nobody"]).contains("there is no user \"nobody\""));
    assert_eq!(desk.users().as_array().map(Vec::len), Some(1));
    assert_eq!(desk.run(&["token", "revoke"]).code, Some(2));
}

#[test]
fn migrations_run_once() {
    let desk = Desk::new();
    let first = desk.run(&["migrate"]).done();
    assert!(first.starts_with("ran 0001"), "{first}");
    assert_eq!(desk.run(&["migrate"]).done(), "the database was up to date\n");
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let desk = Desk::new();
    desk.run(&["user", "add", "a", "--token", "t"]).done();
    let mut command = desk.command(&["user", "list"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    drop(child.stdout.take());
    let ended = Said::from(child.wait_with_output().expect("the binary ends"));
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
}

/// An address on loopback at which nobody listens.
fn nobodys_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("it has an address")
}

#[test]
fn an_address_that_is_taken_is_told_once() {
    let desk = Desk::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = taken.local_addr().expect("it has an address").to_string();
    let told = desk.run(&["serve", "--listen", &address, "--admin-token", "t"]).err;
    let last = told.lines().last().expect("a line");
    assert!(last.starts_with(&format!("postrider: cannot listen on {address}: ")), "{told}");
    assert_eq!(last.matches("in use").count(), 1, "{told}");
    assert_eq!(told.lines().count(), 1, "nothing was begun before: {told}");
    assert!(
        desk.run(&["listen", "--port", &taken.local_addr().expect("as above").port().to_string()])
            .refused()
            .contains("--port")
    );
}

#[test]
fn events_are_checked_before_they_are_sent() {
    let desk = Desk::new();
    let payload = desk.run(&["send", "package.created", "--number", "7", "--dry-run"]).done();
    let payload: Value = serde_json::from_str(&payload).expect("a sample is JSON");
    assert_eq!(payload["number"], "PK-7");

    let refused = |args: &[&str]| desk.run(args).refused();
    assert!(refused(&["send", "package.created"]).contains("POSTRIDER_TOKEN"));
    assert!(refused(&["send", "price.changed", "--token", "t"]).contains("there is no sample of price.changed"));
    let broken = desk.run_with_input(&["send", "package.created", "-", "--token", "t"], "{\n  \"id\": }").refused();
    assert!(broken.contains("standard input is not JSON") && broken.contains("line 2"), "{broken}");
    let url = format!("http://{}", nobodys_address());
    let nobody = refused(&["send", "package.created", "--token", "t", "--url", &url]);
    assert!(nobody.contains(&format!("no answer from {url}")) && nobody.contains("postrider serve"), "{nobody}");
}

/// A dump made by hand, with everything that can go right and wrong.
const DUMP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/whisperer-dump.json");

#[test]
fn a_dry_run_lists_what_an_import_would_do() {
    let desk = Desk::new();
    let listed = desk.run(&["import-whisperer", DUMP, "--dry-run"]).done();
    for line in [
        "new          user shop",
        "new          token of shop",
        "new          subscription 11",
        "new          queue row 1",
        "new          undelivered event 21",
        "skipped      subscription 13: target_url: Enter a valid URL.",
        "skipped      subscription 15: its user 9 is not in the dump",
        "skipped      queue row 3: it names the package 73, whose content is only in the host project",
        "skipped      queue row 4: subscription 13 did not come in",
        "not owed: 1 delivered, 1 given up after 19 attempts",
        "ignored: auth.group (1), contenttypes.contenttype (1)",
        "nothing was written",
    ] {
        assert!(listed.lines().any(|listed| listed == line), "{line} is not in\n{listed}");
    }
    assert!(!listed.contains("user nobody"), "without a hook and a token nobody needs to come in");
    assert!(!listed.contains("5f2a9c1e"), "a token is a secret");
    assert_eq!(desk.users().as_array().map(Vec::len), Some(0));

    let told = desk.run(&["import-whisperer", DUMP]).done();
    assert!(!told.contains("user shop") && told.contains("subscription 13: target_url"), "{told}");
    assert_eq!(desk.users().as_array().map(Vec::len), Some(3));
    let old = desk.run(&["import-whisperer", DUMP, "--max-age", "1"]).done();
    assert!(old.contains("left out because of --max-age: "), "{old}");
}

#[test]
fn a_dump_that_is_cut_off_is_refused_before_anything_is_written() {
    let desk = Desk::new();
    let text = std::fs::read_to_string(DUMP).expect("it is there");
    let path = desk.folder.path().join("cut.json");
    std::fs::write(&path, text.trim_end().trim_end_matches(']')).expect("the folder is ours");
    let path = path.display().to_string();
    let refused = desk.run(&["import-whisperer", &path]).refused();
    assert!(refused.contains(&format!("{path} is no dump: EOF while parsing a list at line ")), "{refused}");
    assert_eq!(desk.users().as_array().map(Vec::len), Some(0));
    assert!(desk.run(&["import-whisperer", "/nonexistent"]).refused().contains("cannot read /nonexistent: "));
    assert_eq!(desk.run(&["import-whisperer"]).code, Some(2));
}
