//! Which deliveries a list is asked for, as the query string says it.

use serde::Deserialize;
use utoipa::IntoParams;

use super::{deliveries::named_state, problem::Problem, subscriptions::checked_limit, time::instant};
use crate::{
    domain::{
        attempt::FailureClass,
        endpoint::parse_host,
        event_type::EventType,
        id::{DeliveryId, EventId, SubscriptionId},
        owner::Scope,
    },
    store::deliveries::list::{EndingFilter, Filter},
};

/// All that is named has to apply.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FilterQuery {
    #[param(value_type = Option<i32>)]
    subscription: Option<SubscriptionId>,
    #[param(value_type = Option<i64>)]
    event: Option<EventId>,
    #[param(pattern = "^(pending|delivered|dead|expired|cancelled|set_aside)$")]
    state: Option<String>,
    event_type: Option<String>,
    ordering_key: Option<String>,
    /// Of the endpoint, without a port.
    host: Option<String>,
    /// Of the latest attempt: `503`, or `5xx` for all that begin so.
    #[param(pattern = "^[1-9]([0-9]{2}|xx)$")]
    status: Option<String>,
    /// Of the latest attempt, when it got no complete answer.
    #[param(pattern = "^(forbidden|dns|connect|tls|timeout|protocol|request)$")]
    error: Option<String>,
    /// Accepted at this time or later.
    #[param(format = DateTime)]
    from: Option<String>,
    /// Accepted before.
    #[param(format = DateTime)]
    to: Option<String>,
    /// Older than this one.
    #[param(value_type = Option<i64>)]
    before: Option<DeliveryId>,
    /// 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

impl FilterQuery {
    /// The event whose deliveries are meant.
    pub(crate) const fn event(&self) -> Option<EventId> {
        self.event
    }

    /// The filter, but for its event, of which the store knows how much it owed.
    ///
    /// # Errors
    /// 422 for the first thing that makes no sense.
    pub(crate) fn filter(&self, scope: Scope) -> Result<Filter, Problem> {
        let host = self.host.as_deref().map(parse_host).transpose();
        Ok(Filter {
            subscription: self.subscription,
            state: self.state.as_deref().map(named_state).transpose()?,
            event_type: self.event_type.as_deref().map(named_type).transpose()?,
            ordering_key: self.ordering_key.clone(),
            host: host.map_err(|_| Problem::invalid("\"host\" must be a name or an address, without a port."))?,
            latest: self.latest()?,
            from: self.from.as_deref().map(|text| instant("from", text)).transpose()?,
            to: self.to.as_deref().map(|text| instant("to", text)).transpose()?,
            before: self.before,
            ..Filter::all(scope, usize::from(checked_limit(self.limit)?))
        })
    }

    fn latest(&self) -> Result<Option<EndingFilter>, Problem> {
        match (self.status.as_deref(), self.error.as_deref()) {
            (None, None) => Ok(None),
            (Some(status), None) => statuses(status).map(Some),
            (None, Some(name)) => {
                let allowed = || FailureClass::ALL.map(FailureClass::as_str).to_vec();
                let class = FailureClass::named(name).ok_or_else(|| {
                    Problem::invalid(format!("{name:?} is no class of errors.")).with("allowed", allowed())
                });
                class.map(|class| Some(EndingFilter::Failure(class)))
            }
            (Some(_), Some(_)) => {
                Err(Problem::invalid("An attempt has a \"status\" or an \"error\", never both: ask for one."))
            }
        }
    }
}

/// `503`, or `5xx` for all that begin so.
fn statuses(text: &str) -> Result<EndingFilter, Problem> {
    let wrong = || Problem::invalid("\"status\" must be a status like 503, or a class like 5xx.");
    let (least, most) = match text.strip_suffix("xx") {
        Some(class) => {
            let class = class.parse::<u16>().ok().filter(|class| (1..10).contains(class)).ok_or_else(wrong)?;
            (class * 100, class * 100 + 99)
        }
        None => text.parse().map(|status| (status, status)).map_err(|_| wrong())?,
    };
    if (100..1_000).contains(&least) { Ok(EndingFilter::Status(least, most)) } else { Err(wrong()) }
}

/// # Errors
/// 422 for what is no name of an event type.
pub(crate) fn named_type(name: &str) -> Result<EventType, Problem> {
    EventType::parse(name).map_err(|error| Problem::invalid(format!("\"event_type\": {error}.")))
}

#[cfg(test)]
mod tests {
    use actix_web::web::Query;

    use super::*;

    fn filter(query: &str) -> Result<Filter, String> {
        let query = Query::<FilterQuery>::from_query(query).map_err(|error| error.to_string())?;
        query.filter(Scope::All).map_err(|problem| problem.to_string())
    }

    #[test]
    fn statuses_come_alone_or_as_a_class() {
        let latest = |query| filter(query).expect(query).latest;
        assert_eq!(latest("status=503"), Some(EndingFilter::Status(503, 503)));
        assert_eq!(latest("status=4xx"), Some(EndingFilter::Status(400, 499)));
        assert_eq!(latest("error=timeout"), Some(EndingFilter::Failure(FailureClass::Timeout)));
        assert_eq!(latest(""), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for query in [
            "status=99",
            "status=1000",
            "status=xx",
            "status=655xx",
            "status=65536xx",
            "status=-1",
            "error=slow",
            "status=500&error=dns",
            "state=failed",
            "host=a:80",
            "from=yesterday",
            "event_type=a b",
            "limit=0",
            "limit=201",
            "stat=dead",
        ] {
            assert!(filter(query).is_err(), "{query}");
        }
    }
}
