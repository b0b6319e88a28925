//! Users, tokens and subscriptions: from the dump into the store.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::{
    Import,
    columns::{Instant, UserRef},
    report::{Fate, Kind, Line, Report},
    tables::{Table, Tables, User},
};
use crate::{
    cli::CliError,
    domain::{
        event_type::EventType,
        id::SubscriptionId,
        retry::RetryPolicy,
        token::{check_token, token_digest},
    },
    http::stored_terms,
    store::{
        Lane,
        import::{
            IncomingOwner, IncomingSubscription, OwnerFate, SubscriptionFate, TokenFate, import_owners,
            import_subscriptions,
        },
    },
};

/// Rows in one transaction.
const PAGE: usize = 100;

/// A subscription that can be owed something.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The name of its owner.
    pub(super) owner: String,
    /// Its id, which is the same as in the dump.
    pub(super) id: SubscriptionId,
    /// Which events.
    pub(super) event_type: EventType,
    /// When to attempt again.
    pub(super) retry: RetryPolicy,
    /// Whether anything is sent to it.
    pub(super) is_active: bool,
}

/// The targets of a dump by their ids.
pub(super) type Targets = HashMap<i64, Target>;

#[derive(Deserialize)]
struct Common {
    user: UserRef,
    created_date: Instant,
    modified_date: Instant,
}

/// Brings owners and subscriptions; gives those that can be owed something.
pub(super) async fn bring(import: &Import, tables: &Tables, report: &mut Report<'_>) -> Result<Targets, CliError> {
    for (table, key, reason) in &tables.unreadable {
        let kind = match table {
            Table::User => Kind::User,
            Table::Token => Kind::Token,
            Table::Subscription | Table::Waiting | Table::Attempted | Table::Other => Kind::Subscription,
        };
        report.tell(&Line::new(kind, key, Fate::Skipped, Some(reason.clone())))?;
    }
    let subscriptions = subscriptions(tables, report)?;
    bring_owners(import, owners(tables, &subscriptions, report)?, report).await?;
    bring_subscriptions(import, subscriptions, report).await
}

/// A subscription that passed the rules, and what was changed in it for that.
type Checked = (IncomingSubscription, Vec<String>);

fn subscriptions(tables: &Tables, report: &mut Report<'_>) -> Result<Vec<Checked>, CliError> {
    let mut checked = Vec::new();
    for (key, columns) in &tables.subscriptions {
        match subscription(tables, key, columns) {
            Ok(subscription) => checked.push(subscription),
            Err(reason) => report.tell(&Line::new(Kind::Subscription, key, Fate::Skipped, Some(reason)))?,
        }
    }
    Ok(checked)
}

fn subscription(tables: &Tables, key: &str, columns: &str) -> Result<Checked, String> {
    let id = key.parse().ok().filter(|id: &i32| *id > 0).ok_or("its id is no positive number of 32 bits")?;
    let common: Common = serde_json::from_str(columns).map_err(|error| error.to_string())?;
    let owner = tables.user(&common.user)?.name.clone();
    let stored = stored_terms(columns)?;
    let subscription = IncomingSubscription {
        id: SubscriptionId::from_raw(id),
        owner,
        terms: stored.terms,
        created_at: common.created_date.0,
        modified_at: common.modified_date.0,
    };
    Ok((subscription, stored.changes))
}

/// Only users who own something or have a token: a host project may have a million others.
fn owners(tables: &Tables, subscriptions: &[Checked], report: &mut Report<'_>) -> Result<Vec<IncomingOwner>, CliError> {
    let mut owners: BTreeMap<String, IncomingOwner> = BTreeMap::new();
    let incoming = |user: &User| IncomingOwner {
        name: user.name.clone(),
        role: user.role,
        standing: user.standing,
        tokens: Vec::new(),
    };
    for (subscription, _) in subscriptions {
        if let Ok(user) = tables.user(&UserRef::Name(subscription.owner.clone())) {
            owners.entry(user.name.clone()).or_insert_with(|| incoming(user));
        }
    }
    for (token, of) in &tables.tokens {
        let user = tables.user(of).and_then(|user| check_token(token).map(|()| user).map_err(|e| e.to_string()));
        match user {
            Ok(user) => {
                let owner = owners.entry(user.name.clone()).or_insert_with(|| incoming(user));
                owner.tokens.push(token_digest(token));
            }
            Err(reason) => report.tell(&Line::new(Kind::Token, of.to_string(), Fate::Skipped, Some(reason)))?,
        }
    }
    Ok(owners.into_values().collect())
}

async fn bring_owners(import: &Import, owners: Vec<IncomingOwner>, report: &mut Report<'_>) -> Result<(), CliError> {
    let (mode, now) = (import.mode, import.now);
    for page in owners.chunks(PAGE) {
        let incoming = page.to_vec();
        let work = move |connection: &mut _| import_owners(connection, &incoming, mode, now);
        let fates = import.store.run(Lane::Write, work).await?;
        for (owner, fate) in page.iter().zip(fates) {
            tell_owner(owner, &fate, report)?;
        }
    }
    Ok(())
}

fn tell_owner(owner: &IncomingOwner, fate: &OwnerFate, report: &mut Report<'_>) -> Result<(), CliError> {
    let (came, note) = match &fate.present {
        None => (Fate::New, None),
        Some(present) => {
            let is_other = (present.role, present.standing) != (owner.role, owner.standing);
            (Fate::Present, is_other.then(|| format!("stays {}, as it is here", present.role.as_str())))
        }
    };
    report.tell(&Line::new(Kind::User, &owner.name, came, note))?;
    for token in &fate.tokens {
        let (fate, note) = match token {
            TokenFate::New => (Fate::New, None),
            TokenFate::Present => (Fate::Present, None),
            TokenFate::Taken => (Fate::Conflict, Some("somebody else has this token here".to_owned())),
            TokenFate::TooPowerful => {
                (Fate::Conflict, Some("the user of this name may do more here than there".to_owned()))
            }
        };
        report.tell(&Line::new(Kind::Token, &owner.name, fate, note))?;
    }
    Ok(())
}

async fn bring_subscriptions(
    import: &Import,
    checked: Vec<Checked>,
    report: &mut Report<'_>,
) -> Result<Targets, CliError> {
    let mode = import.mode;
    let mut targets = Targets::new();
    for page in checked.chunks(PAGE) {
        let incoming: Vec<IncomingSubscription> = page.iter().map(|(subscription, _)| subscription.clone()).collect();
        let keys = import.store.keys();
        let work = move |connection: &mut _| import_subscriptions(connection, &keys, &incoming, mode);
        let fates = import.store.run(Lane::Write, work).await?;
        for ((subscription, changes), fate) in page.iter().zip(fates) {
            tell_subscription(subscription, changes, fate, report)?;
            if let SubscriptionFate::New | SubscriptionFate::Present = fate {
                targets.insert(i64::from(subscription.id.as_raw()), target(subscription));
            }
        }
    }
    Ok(targets)
}

fn target(subscription: &IncomingSubscription) -> Target {
    Target {
        owner: subscription.owner.clone(),
        id: subscription.id,
        event_type: subscription.terms.event_type.clone(),
        retry: subscription.terms.retry.clone(),
        is_active: subscription.terms.is_active,
    }
}

fn tell_subscription(
    subscription: &IncomingSubscription,
    changes: &[String],
    fate: SubscriptionFate,
    report: &mut Report<'_>,
) -> Result<(), CliError> {
    let (fate, note) = match fate {
        SubscriptionFate::New => (Fate::New, (!changes.is_empty()).then(|| changes.join("; "))),
        SubscriptionFate::Present => (Fate::Present, None),
        SubscriptionFate::IdTaken => (Fate::Conflict, Some("another subscription has this id here".to_owned())),
        SubscriptionFate::Registered(other) => (
            Fate::Conflict,
            Some(format!("{} has this event type and URL here under the id {other}", subscription.owner)),
        ),
    };
    report.tell(&Line::new(Kind::Subscription, subscription.id.to_string(), fate, note))
}
