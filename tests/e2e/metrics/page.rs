//! What `/metrics` tells, taken apart.

use std::fmt::Display;

use crate::{
    scene::{SOON, Scene},
    support::{
        api::{Api, Reply},
        eventually::eventually,
    },
};

/// The token of `/metrics`.
pub(crate) const TOKEN: &str = "metrics-of-the-tests";

/// The settings of an engine that knows [`TOKEN`].
pub(crate) const fn engine_settings() -> [(&'static str, &'static str); 1] {
    [("POSTRIDER_METRICS_TOKEN", TOKEN)]
}

/// Asks for metrics.
pub(crate) trait Tell {
    /// With this `Accept`.
    fn tell(&self, accept: &str) -> Reply;
}

impl Tell for Api {
    #[track_caller]
    fn tell(&self, accept: &str) -> Reply {
        let reply = self.with_token(TOKEN).send("GET", "/metrics", &[("Accept", accept)], b"");
        let reply = reply.expect("the engine answers");
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply
    }
}

/// Metrics at one moment.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) text: String,
}

impl Page {
    /// The present ones.
    #[track_caller]
    pub(crate) fn of(scene: &Scene) -> Self {
        Self { text: scene.api.tell("text/plain").text }
    }

    /// Waits until `look` finds what it wants.
    #[track_caller]
    pub(crate) fn eventually<E: Display>(scene: &Scene, what: &str, look: impl Fn(&Self) -> Result<(), E>) -> Self {
        eventually(what, SOON, || {
            let page = Self::of(scene);
            look(&page).map(|()| page)
        })
    }

    /// The value of a series, which is written as it stands there: `name{label="value"}`.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        let value = self.text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(value.parse().unwrap_or_else(|error| panic!("{series} {value}: {error}")))
    }

    /// Whether a series has come so far.
    pub(crate) fn at_least(&self, series: &str, count: u32) -> Result<(), String> {
        match self.value(series) {
            Some(value) if value >= f64::from(count) => Ok(()),
            other => Err(format!("{series} is {other:?}")),
        }
    }

    /// All series of a name, with their values.
    pub(crate) fn series(&self, name: &str) -> impl Iterator<Item = (&str, f64)> {
        let of_name =
            self.text.lines().filter(move |line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{')));
        of_name.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series, value.parse().ok()?))
        })
    }

    /// The names that queries may use.
    pub(crate) fn families(&self) -> Vec<String> {
        let types = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        types
            .flat_map(|(name, kind)| match kind {
                "histogram" => ["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")).to_vec(),
                _ => vec![name.to_owned()],
            })
            .collect()
    }
}
