//! The text that Prometheus and its kin read, in both of its formats.
//!
//! Every name stands here once. A name never changes: dashboards and rules are written with it (`ops/`).

use std::fmt;

use prometheus_client::{
    collector::Collector,
    encoding::{
        DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, NoLabelSet, prometheus_text, text,
    },
    metrics::MetricType,
    registry::Registry,
};

use super::{
    Counts, EventFate, Histogram, Lateness, Metrics, OUTCOMES, Owed, Process, Readings, Spread, Use, VERDICTS, Write,
};
use crate::domain::attempt::FailureClass;

/// The two formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The one that a client asks for with its `Accept` header: OpenMetrics when it is named, else the older one, which
    /// everything reads.
    #[must_use]
    pub fn accepted(accept: Option<&str>) -> Self {
        if accept.is_some_and(|accept| accept.contains("application/openmetrics-text")) {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The value of `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// All that is counted and read off, as text.
#[must_use]
pub fn expose(metrics: &Metrics, readings: Readings, format: Format) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Exposition { metrics: metrics.clone(), readings }));
    let mut page = String::new();
    let written = match format {
        Format::Prometheus => prometheus_text::encode(&mut page, &registry),
        Format::OpenMetrics => text::encode(&mut page, &registry),
    };
    written.expect("a text takes what is written to it");
    page
}

#[derive(Debug)]
struct Exposition {
    metrics: Metrics,
    readings: Readings,
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.events(&mut page)?;
        self.deliveries(&mut page)?;
        self.bounds(&mut page)?;
        self.store(&mut page)?;
        self.endpoints(&mut page)?;
        self.readings.owed.as_ref().map_or(Ok(()), |owed| owed.write(&mut page))?;
        self.threads(&mut page)?;
        self.readings.process.as_ref().map_or(Ok(()), |process| process.write(&mut page))
    }
}

impl Exposition {
    fn events(&self, page: &mut Page<'_>) -> fmt::Result {
        let Counts { events, owed, answers, clients, .. } = &*self.metrics.0;
        let fates = EventFate::ALL.map(|fate| ([("result", fate.as_str())], events[fate as usize].get()));
        page.counters("postrider_events", "Published events by what became of them", fates)?;
        page.counter("postrider_deliveries_owed", "Deliveries that accepted events owed", owed.get())?;
        let codes = (100_u16..).zip(answers).filter(|(_, count)| count.get() > 0);
        let codes = codes.map(|(code, count)| ([("code", u32::from(code))], count.get()));
        page.counters("postrider_http_responses", "Answers of the API by HTTP status", codes)?;
        page.gauge("postrider_http_connections", "Open connections of clients of the API", clients.get())?;
        page.in_use("postrider_events_waiting", "Events that wait for their commit", self.readings.waiting_events)
    }

    fn deliveries(&self, page: &mut Page<'_>) -> fmt::Result {
        let Counts { verdicts, failures, attempts, ways, .. } = &*self.metrics.0;
        let verdicts = VERDICTS.iter().zip(verdicts).map(|(name, count)| ([("verdict", *name)], count.get()));
        page.counters("postrider_deliveries", "Recorded attempts by what followed for the delivery", verdicts)?;
        let spreads = OUTCOMES.iter().zip(attempts).map(|(name, spread)| ([("outcome", *name)], spread.spread()));
        page.histograms(
            "postrider_attempt_duration_seconds",
            "How long attempts took: success is a 2xx, refused another answer, failed no complete answer",
            spreads,
        )?;
        let classes = FailureClass::ALL.map(|class| ([("class", class.as_str())], failures[class as usize].get()));
        page.counters("postrider_attempt_failures", "Attempts without a complete answer, by what went wrong", classes)?;
        page.histogram(
            "postrider_delivery_duration_seconds",
            "From the acceptance of an event to its arrival, retries and pauses included",
            &ways.spread(),
        )
    }

    fn bounds(&self, page: &mut Page<'_>) -> fmt::Result {
        let Readings { slots, waiting_records, payloads, .. } = &self.readings;
        page.in_use("postrider_attempts_in_flight", "Attempts in flight", *slots)?;
        page.in_use("postrider_records_waiting", "Attempts that wait for their record", *waiting_records)?;
        page.in_use("postrider_payload_bytes", "Bytes of payload in memory", *payloads)
    }

    fn store(&self, page: &mut Page<'_>) -> fmt::Result {
        let Counts { commits, batches, commits_failed, .. } = &*self.metrics.0;
        let by_write = |spreads: &[Histogram; 2]| {
            Write::ALL.map(|write| ([("write", write.as_str())], spreads[write as usize].spread()))
        };
        page.histograms(
            "postrider_commit_duration_seconds",
            "How long group commits took, waiting for a connection included",
            by_write(commits),
        )?;
        page.histograms("postrider_commit_rows", "Events or attempts in one group commit", by_write(batches))?;
        let failed = Write::ALL.map(|write| ([("write", write.as_str())], commits_failed[write as usize].get()));
        page.counters("postrider_commits_failed", "Group commits that the database did not take", failed)?;
        page.gauge("postrider_database_up", "1 while the database answers", usize::from(self.readings.is_database_up))
    }

    fn endpoints(&self, page: &mut Page<'_>) -> fmt::Result {
        let failing = &self.readings.failing;
        page.gauge(
            "postrider_endpoint_connections",
            "Open connections to endpoints, idle ones included",
            self.metrics.0.endpoints.get(),
        )?;
        page.gauge("postrider_breakers_open", "Subscriptions whose endpoint is only probed", failing.count)?;
        let longest = failing.longest.iter();
        let longest = longest.map(|(id, time)| ([("subscription", id.as_raw())], time.as_secs_f64()));
        page.gauges(
            "postrider_subscription_breaker_open_seconds",
            "For how long a breaker has been open: the ones that have been open longest",
            longest,
        )
    }

    fn threads(&self, page: &mut Page<'_>) -> fmt::Result {
        let lags = self.metrics.lags();
        let lags = lags.iter().map(|(thread, spread)| ([("thread", thread.as_str())], spread.clone()));
        page.histograms("postrider_arbiter_lag_seconds", "How late a thread came to work that was due", lags)
    }
}

impl Owed {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let states = ["active", "paused", "inactive"].into_iter().zip(self.subscriptions);
        let states = states.map(|(state, count)| ([("state", state)], count));
        page.gauges("postrider_subscriptions", "Subscriptions by state", states)?;
        page.gauge("postrider_subscriptions_owed", "Subscriptions that are owed something", self.owing)?;
        let labels = |late: &Lateness| ([("subscription", late.subscription.as_raw())], [("state", late.state)]);
        page.gauges(
            "postrider_subscription_oldest_owed_age_seconds",
            "How long ago the oldest delivery was accepted that a subscription is owed: the subscriptions furthest behind",
            self.oldest.iter().map(|late| (labels(late), late.age.as_secs_f64())),
        )?;
        page.gauges(
            "postrider_subscription_backlog",
            "Deliveries that a subscription is owed, counted up to a bound: the subscriptions furthest behind",
            self.oldest.iter().map(|late| (labels(late), late.owed)),
        )?;
        let oldest = self.oldest.iter().map(|late| late.age).max().unwrap_or_default();
        page.gauge(
            "postrider_oldest_owed_age_seconds",
            "How long ago the oldest owed delivery was accepted",
            oldest.as_secs_f64(),
        )?;
        let backlog = self.rest + self.oldest.iter().map(|late| late.owed).sum::<u64>();
        page.gauge("postrider_backlog", "Deliveries owed, each subscription counted up to a bound", backlog)
    }
}

impl Process {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        page.gauge("process_resident_memory_bytes", "Memory in use", self.resident_bytes)?;
        page.gauge("process_virtual_memory_bytes", "Address space", self.virtual_bytes)?;
        page.counter("process_cpu_seconds", "CPU time used", self.cpu_seconds)?;
        page.gauge("process_open_fds", "Open file descriptors", self.open_files)?;
        self.max_files.map_or(Ok(()), |max| page.gauge("process_max_fds", "File descriptors that may be open", max))
    }
}

/// Writes metrics one after the other.
struct Page<'a>(DescriptorEncoder<'a>);

/// A value that can be written as a counter and as a gauge.
trait Value: Copy + EncodeCounterValue + EncodeGaugeValue {}

impl<T: Copy + EncodeCounterValue + EncodeGaugeValue> Value for T {}

impl Page<'_> {
    /// The name gets `_total` behind it.
    fn counter(&mut self, name: &str, help: &str, value: impl Value) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    fn counters<L: EncodeLabelSet, V: Value>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return Ok(());
        }
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        values.try_for_each(|(labels, value)| {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&value, None)
        })
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Value) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges<L: EncodeLabelSet, V: Value>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut values = values.into_iter().peekable();
        // Readers stumble over a name of which there is no series.
        if values.peek().is_none() {
            return Ok(());
        }
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        values.try_for_each(|(labels, value)| metric.encode_family(&labels)?.encode_gauge(&value))
    }

    /// What is in use, and under the same name with `_limit` the bound.
    fn in_use(&mut self, name: &str, help: &str, of: Use) -> fmt::Result {
        self.gauge(name, help, of.used)?;
        self.gauge(&format!("{name}_limit"), &format!("The bound of {name}"), of.bound)
    }

    fn histogram(&mut self, name: &str, help: &str, spread: &Spread) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(spread.sum, spread.count(), &spread.buckets, None)
    }

    fn histograms<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        spreads: impl IntoIterator<Item = (L, Spread)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        spreads.into_iter().try_for_each(|(labels, spread)| {
            let mut metric = metric.encode_family(&labels)?;
            metric.encode_histogram::<NoLabelSet>(spread.sum, spread.count(), &spread.buckets, None)
        })
    }
}
