//! What a receiver does with a request.

use std::{collections::HashMap, time::Duration};

use super::Request;

/// One answer, or the lack of one.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Answers at once.
    Answer(Answer),
    /// Answers after this long.
    Slow(Duration, Answer),
    /// Never answers, and keeps the connection until the sender gives up.
    Hang,
    /// Answers 200 and then sends a body of so many bytes, one every so often: each read succeeds, the whole takes for ever.
    Drip(usize, Duration),
    /// Answers 200 with a body of so many bytes, as fast as it can.
    Huge(usize),
    /// Breaks the connection with a TCP reset.
    Reset,
    /// Closes the connection without an answer.
    Close,
    /// Answers with these bytes, whatever they are, and closes.
    Raw(Vec<u8>),
}

/// Status, headers and body of an answer; the connection stays open.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Beside `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A status and a short body.
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: b"ok".to_vec() }
    }

    /// One more header.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

impl Behaviour {
    /// Answers with `status`.
    pub fn status(status: u16) -> Self {
        Self::Answer(Answer::new(status))
    }

    /// Answers 200 after `wait`.
    pub fn slow(wait: Duration) -> Self {
        Self::Slow(wait, Answer::new(200))
    }

    /// Answers `status` with `Retry-After`: seconds or a date.
    pub fn retry_after(status: u16, wait: &str) -> Self {
        Self::Answer(Answer::new(status).with_header("Retry-After", wait))
    }

    /// Answers 302 with a `Location`.
    pub fn redirect(to: &str) -> Self {
        Self::Answer(Answer::new(302).with_header("Location", to))
    }
}

impl From<u16> for Behaviour {
    fn from(status: u16) -> Self {
        Self::status(status)
    }
}

/// Decides about a request.
type Rule = Box<dyn FnMut(&Request) -> Behaviour + Send>;

/// The rules of a sink, by path without query.
#[derive(Default)]
pub(super) struct Script {
    rules: HashMap<String, Rule>,
    rest: Option<Behaviour>,
}

impl Script {
    pub(super) fn set(&mut self, path: &str, rule: Rule) {
        self.rules.insert(path.to_owned(), rule);
    }

    pub(super) fn set_rest(&mut self, behaviour: Behaviour) {
        self.rest = Some(behaviour);
    }

    /// A path without a rule is answered with 200, unless there is one for the rest.
    pub(super) fn decide(&mut self, request: &Request) -> Behaviour {
        match self.rules.get_mut(request.path()) {
            Some(rule) => rule(request),
            None => self.rest.clone().unwrap_or_else(|| Behaviour::status(200)),
        }
    }
}

/// One after the other; the last is repeated.
pub(super) fn in_turn(behaviours: Vec<Behaviour>) -> Rule {
    assert!(!behaviours.is_empty(), "a script has at least one behaviour");
    let mut turn = 0;
    Box::new(move |_| {
        let behaviour = behaviours[turn.min(behaviours.len() - 1)].clone();
        turn += 1;
        behaviour
    })
}
