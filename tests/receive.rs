//! What `docs/receive.md` tells receivers to do, done: its programs check real deliveries.
//!
//! A language that is not on this machine is named in the output and left out; Python has to be there.
#![cfg(feature = "sqlite")]
#![allow(clippy::print_stderr, reason = "which languages were left out")]

#[path = "support/mod.rs"]
mod support;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use support::{
    database::Database,
    engine::Engine,
    sink::{Request, Sink},
};

const SOON: Duration = Duration::from_secs(20);
const TYPE: &str = "package.created";
/// Characters of two bytes and of four, and spaces that nobody may tidy up.
const PAYLOAD: &str = "{ \"id\" : 1,\"şehir\":\"\\u0130stanbul İ 🚚\",\n\t\"n\": 1E400 }";
const PLAIN: &str = "şifre, in no particular form";
/// 24 bytes in base64.
const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Begins as if base64 followed.
const NOT_BASE64: &str = "whsec_***";
/// The tolerance of the programs.
const TOLERANCE: i64 = 300;

/// A program of `docs/receive`, and how to run it.
struct Verifier {
    name: &'static str,
    command: &'static [&'static str],
    file: &'static str,
    /// Tells whether the language is there: what to run, and what has to be in its output.
    probe: (&'static [&'static str], &'static str),
}

const VERIFIERS: &[Verifier] = &[
    Verifier {
        name: "python3",
        command: &["python3"],
        file: "verify.py",
        probe: (&["python3", "--version"], "Python 3"),
    },
    Verifier { name: "node", command: &["node"], file: "verify.mjs", probe: (&["node", "--version"], "v") },
    Verifier { name: "php", command: &["php"], file: "verify.php", probe: (&["php", "--version"], "PHP 8") },
    // Without a compiler Java does not run a source file.
    Verifier {
        name: "java",
        command: &["java"],
        file: "Verify.java",
        probe: (&["java", "--list-modules"], "jdk.compiler@"),
    },
    Verifier { name: "go", command: &["go", "run"], file: "verify.go", probe: (&["go", "version"], "go1.") },
];

/// What a verifier is asked about.
#[derive(Clone)]
struct Question {
    scheme: Option<&'static str>,
    secret: String,
    headers: Value,
    body: String,
    now: i64,
}

impl Question {
    /// About a request as it came, at the time when it was sent.
    fn new(request: &Request, secret: &str) -> Self {
        let headers = request.headers.iter().map(|(name, value)| (name.clone(), json!(value)));
        Self {
            scheme: None,
            secret: secret.to_owned(),
            headers: Value::Object(headers.collect()),
            body: String::from_utf8(request.body.clone()).expect("deliveries are UTF-8"),
            now: request.header("webhook-timestamp").and_then(|time| time.parse().ok()).expect("a time"),
        }
    }

    fn by_contract(self) -> Self {
        Self { scheme: Some("contract"), ..self }
    }

    fn late_by(self, seconds: i64) -> Self {
        Self { now: self.now + seconds, ..self }
    }

    fn changed(self) -> Self {
        Self { body: self.body.replace("\"id\" : 1", "\"id\" : 2"), ..self }
    }

    fn unsigned(self) -> Self {
        Self { headers: json!({}), ..self }
    }

    fn from_another(self) -> Self {
        Self { secret: "another".to_owned(), ..self }
    }
}

impl Verifier {
    fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/receive").join(self.file)
    }

    fn is_there(&self) -> bool {
        let (command, expected) = self.probe;
        let output = Command::new(command[0]).args(&command[1..]).output();
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(expected))
    }

    fn accepts(&self, question: &Question) -> bool {
        let Question { scheme, secret, headers, body, now } = question;
        let request = json!({"secret": secret, "headers": headers, "body": body, "now": now});
        let output = self.run(*scheme, &request.to_string());
        let said = String::from_utf8_lossy(&output.stderr);
        // A program that breaks has refused nothing. `go run` reports a status in this way.
        assert!(said.is_empty() || said == "exit status 1\n", "{}: {said}", self.name);
        output.status.success()
    }

    fn run(&self, scheme: Option<&str>, request: &str) -> Output {
        let mut child = Command::new(self.command[0])
            .args(&self.command[1..])
            .arg(self.path())
            .args(scheme)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the language is on this machine");
        let mut stdin = child.stdin.take().expect("it is a pipe");
        stdin.write_all(request.as_bytes()).expect("the program reads");
        drop(stdin);
        child.wait_with_output().expect("the program ends")
    }

    #[track_caller]
    fn check(&self, what: &str, question: &Question, valid: bool) {
        let scheme = question.scheme.unwrap_or("standard");
        assert_eq!(self.accepts(question), valid, "{}, {scheme}, {:?}: {what}", self.name, question.secret);
    }

    fn check_delivery(&self, request: &Request, secret: &str) {
        let asked = Question::new(request, secret);
        self.check("as it came", &asked, true);
        self.check("late, but not too late", &asked.clone().late_by(TOLERANCE), true);
        self.check("too old", &asked.clone().late_by(TOLERANCE + 1), false);
        self.check("of the future", &asked.clone().late_by(-TOLERANCE - 1), false);
        self.check("a changed body", &asked.clone().changed(), false);
        self.check("another secret", &asked.clone().from_another(), false);
        self.check("unsigned", &asked.clone().unsigned(), false);
        let asked = asked.by_contract();
        self.check("as it came", &asked, true);
        self.check("a changed body", &asked.clone().changed(), false);
        self.check("another secret", &asked.clone().from_another(), false);
        self.check("unsigned", &asked.unsigned(), false);
    }

    /// While a secret is being replaced.
    fn check_both_secrets(&self, request: &Request, old: &str, new: &str) {
        self.check("the new secret", &Question::new(request, new), true);
        self.check("the old secret", &Question::new(request, old), true);
        self.check("the new secret", &Question::new(request, new).by_contract(), true);
        self.check("the old secret", &Question::new(request, old).by_contract(), false);
    }
}

/// Real deliveries: one for each secret, and one that is signed with two.
struct Deliveries {
    single: Vec<(&'static str, Request)>,
    double: Request,
}

impl Deliveries {
    /// `PLAIN` is being replaced by `STANDARD` in the last one.
    fn make() -> Self {
        let database = Database::sqlite();
        let engine = Engine::start(&database.url(), &[]);
        let (api, sink) = (engine.api(), Sink::start());
        let publish = || {
            let body = format!(r#"{{"event_type": "{TYPE}", "payload": {PAYLOAD}}}"#);
            let headers = [("Content-Type", "application/json")];
            api.send("POST", "/api/v1/events", &headers, body.as_bytes()).expect("an answer").expect(202);
        };
        let secrets = [("/plain", PLAIN), ("/standard", STANDARD), ("/not-base64", NOT_BASE64)];
        let ids = secrets.map(|(path, secret)| api.subscribe(TYPE, &sink.url(path), json!({"secret_key": secret})));
        publish();
        let single = secrets.map(|(path, secret)| (secret, sink.wait_for(path, 1, SOON)[0].clone()));

        api.post_json(&format!("/api/v1/subscriptions/{}/rotate-secret", ids[0]), &json!({"secret": STANDARD}), 200);
        publish();
        Self { single: single.into(), double: sink.wait_for("/plain", 2, SOON)[1].clone() }
    }
}

#[test]
fn every_program_accepts_what_we_send_and_nothing_else() {
    let (present, missing): (Vec<_>, Vec<_>) = VERIFIERS.iter().partition(|verifier| verifier.is_there());
    for verifier in missing {
        assert_ne!(verifier.name, "python3", "python3 has to be there: scripts/prepare tests");
        eprintln!("not on this machine: {}", verifier.name);
    }
    let deliveries = Deliveries::make();
    for verifier in present {
        let [(secret, request), others @ ..] = &deliveries.single[..] else { panic!("there are three") };
        verifier.check_delivery(request, secret);
        // Each question starts a program: of the other secrets only what they can change is asked.
        for (secret, request) in others {
            verifier.check("as it came", &Question::new(request, secret), true);
            verifier.check("as it came", &Question::new(request, secret).by_contract(), true);
        }
        verifier.check_both_secrets(&deliveries.double, PLAIN, STANDARD);
    }
}

/// Each block of code with a language is a part of the program in that language.
#[test]
fn the_page_quotes_the_programs() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/receive.md");
    let page = fs::read_to_string(page).expect("the page is there");
    for (language, verifier) in ["python", "js", "php", "java", "go"].into_iter().zip(VERIFIERS) {
        let opening = format!("```{language}\n");
        let (_, rest) = page.split_once(&opening).unwrap_or_else(|| panic!("docs/receive.md: no {language}"));
        let (quoted, _) = rest.split_once("```").expect("a block ends");
        let program = fs::read_to_string(verifier.path()).expect("the program is there");
        assert!(program.contains(quoted), "docs/receive.md: this is not in {}:\n{quoted}", verifier.file);
    }
}
