//! What the receiver answers: well, badly, late or never, as it is told. Pure: the random draw is a parameter.

use std::time::Duration;

/// How deliveries are answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Behaviour {
    /// The status of those that do not fail.
    pub(crate) status: u16,
    /// The status of those that fail.
    pub(crate) fail_status: u16,
    /// How many attempts of each delivery fail before one succeeds.
    pub(crate) fail_first: u32,
    /// The share of attempts that fail by chance, 0 to 1.
    pub(crate) fail_rate: f64,
    /// Seconds for `Retry-After`, sent with what fails.
    pub(crate) retry_after: Option<u32>,
    /// How long the answer takes.
    pub(crate) delay: Duration,
    /// Whether there is an answer at all.
    pub(crate) hang: bool,
}

/// What is wanted of a receiver.
impl Default for Behaviour {
    fn default() -> Self {
        Self {
            status: 200,
            fail_status: 503,
            fail_first: 0,
            fail_rate: 0.0,
            retry_after: None,
            delay: Duration::ZERO,
            hang: false,
        }
    }
}

/// One answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// This status, after a while.
    Status {
        /// HTTP status.
        code: u16,
        /// How long to wait before.
        delay: Duration,
        /// Seconds for `Retry-After`.
        retry_after: Option<u32>,
    },
    /// None: the connection stays open until the sender gives up.
    Never,
}

impl Behaviour {
    /// The answer to the `seen`-th attempt (1 for the first) of a delivery. `draw` is anything from 0 up to 1.
    pub(crate) fn reply(&self, seen: u32, draw: f64) -> Reply {
        if self.hang {
            return Reply::Never;
        }
        let fails = seen <= self.fail_first || draw < self.fail_rate;
        Reply::Status {
            code: if fails { self.fail_status } else { self.status },
            delay: self.delay,
            retry_after: self.retry_after.filter(|_| fails),
        }
    }
}

impl Reply {
    /// For a table.
    pub(crate) fn text(self) -> String {
        match self {
            Self::Status { code, delay: Duration::ZERO, .. } => code.to_string(),
            Self::Status { code, delay, .. } => format!("{code} after {} ms", delay.as_millis()),
            Self::Never => "no answer".to_owned(),
        }
    }

    /// Whether the sender may take the delivery for done.
    pub(crate) const fn is_success(self) -> bool {
        match self {
            Self::Status { code, .. } => 200 <= code && code < 300,
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(behaviour: &Behaviour, seen: u32, draw: f64) -> u16 {
        match behaviour.reply(seen, draw) {
            Reply::Status { code, .. } => code,
            Reply::Never => 0,
        }
    }

    #[test]
    fn the_first_attempts_of_each_delivery_fail_if_told_so() {
        let behaviour = Behaviour { fail_first: 2, ..Behaviour::default() };
        assert_eq!([1, 2, 3, 4].map(|seen| code(&behaviour, seen, 0.5)), [503, 503, 200, 200]);
    }

    #[test]
    fn chance_decides_only_where_it_is_asked() {
        let behaviour = Behaviour { fail_rate: 0.25, fail_status: 500, status: 204, ..Behaviour::default() };
        assert_eq!([0.0, 0.24, 0.25, 0.99].map(|draw| code(&behaviour, 1, draw)), [500, 500, 204, 204]);
        assert_eq!(code(&Behaviour::default(), 1, 0.0), 200);
        assert_eq!(code(&Behaviour { fail_rate: 1.0, ..Behaviour::default() }, 1, 0.999), 503);
    }

    #[test]
    fn only_a_refusal_says_when_to_come_again() {
        let behaviour = Behaviour { fail_first: 1, retry_after: Some(7), ..Behaviour::default() };
        let asked = |seen| match behaviour.reply(seen, 0.5) {
            Reply::Status { retry_after, .. } => retry_after,
            Reply::Never => None,
        };
        assert_eq!((asked(1), asked(2)), (Some(7), None));
    }

    #[test]
    fn one_that_hangs_never_answers() {
        assert_eq!(Behaviour { hang: true, ..Behaviour::default() }.reply(1, 0.5), Reply::Never);
    }
}
