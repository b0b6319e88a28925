//! The small tables of a dump: users, tokens and subscriptions. They are kept in memory, because rows refer to each other
//! and stand in any order.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::{columns::UserRef, dump::Row};
use crate::domain::owner::{Role, Standing, check_name};

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// A user.
    User,
    /// A token of a user.
    Token,
    /// A subscription.
    Subscription,
    /// An event that waits for its first attempt.
    Waiting,
    /// An event that was attempted.
    Attempted,
    /// Anything else.
    Other,
}

impl Table {
    /// The table of this label, in lower case. Users may have been swapped for another model: any that is called so.
    pub(super) fn of(label: &str) -> Self {
        match label {
            "authtoken.token" | "authtoken.tokenproxy" => Self::Token,
            "whisperer.webhook" => Self::Subscription,
            "whisperer.webhookeventqueue" | "whisperer.eventqueue" => Self::Waiting,
            "whisperer.webhookevent" => Self::Attempted,
            label if label.ends_with("user") => Self::User,
            _ => Self::Other,
        }
    }
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    /// What they are called.
    pub(super) name: String,
    /// What they may do.
    pub(super) role: Role,
    /// Whether their tokens are honoured.
    pub(super) standing: Standing,
}

/// What the small tables hold.
#[derive(Debug, Default)]
pub(super) struct Tables {
    by_key: HashMap<String, User>,
    by_name: HashMap<String, User>,
    /// Where users come from.
    pub(super) user_labels: BTreeMap<String, u64>,
    /// Tokens and whose they are.
    pub(super) tokens: Vec<(String, UserRef)>,
    /// Primary keys of subscriptions, and their columns.
    pub(super) subscriptions: Vec<(String, String)>,
    /// Rows of tables that are of no use here.
    pub(super) ignored: BTreeMap<String, u64>,
    /// Rows that cannot be read: table, key and reason.
    pub(super) unreadable: Vec<(Table, String, String)>,
    /// How many rows there are in all.
    pub(super) rows: u64,
}

#[derive(Deserialize)]
struct UserColumns {
    username: Option<String>,
    email: Option<String>,
    #[serde(default = "yes")]
    is_active: bool,
    #[serde(default)]
    is_superuser: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct TokenColumns {
    user: UserRef,
}

impl Tables {
    /// Takes in a row. What is owed is only counted: it is read again when the subscriptions are there.
    pub(super) fn take(&mut self, row: &Row) {
        self.rows += 1;
        let label = row.label();
        match Table::of(&label) {
            Table::User => self.take_user(label, row),
            Table::Token => match (row.key(), serde_json::from_str::<TokenColumns>(row.columns())) {
                (Some(key), Ok(columns)) => self.tokens.push((key, columns.user)),
                (None, _) => self.refuse(Table::Token, row, "it has no key"),
                (_, Err(error)) => self.refuse(Table::Token, row, error.to_string()),
            },
            Table::Subscription => match row.key() {
                Some(key) => self.subscriptions.push((key, row.columns().to_owned())),
                None => self.refuse(Table::Subscription, row, "it has no id: dump it without --natural-primary"),
            },
            Table::Waiting | Table::Attempted => {}
            Table::Other => *self.ignored.entry(label).or_default() += 1,
        }
    }

    fn take_user(&mut self, label: String, row: &Row) {
        let columns = serde_json::from_str::<UserColumns>(row.columns()).ok();
        let named = columns.and_then(|columns| Some((columns.username.clone().or(columns.email.clone())?, columns)));
        let Some((name, columns)) = named.filter(|(name, _)| !name.is_empty()) else {
            *self.ignored.entry(label).or_default() += 1;
            return;
        };
        *self.user_labels.entry(label).or_default() += 1;
        let user = User {
            name,
            role: if columns.is_superuser { Role::Admin } else { Role::Subscriber },
            standing: if columns.is_active { Standing::Active } else { Standing::Inactive },
        };
        if let Some(key) = row.key() {
            self.by_key.insert(key, user.clone());
        }
        self.by_name.insert(user.name.clone(), user);
    }

    fn refuse(&mut self, table: Table, row: &Row, reason: impl Into<String>) {
        // The key of a token is the token.
        let key = if table == Table::Token { None } else { row.key() };
        self.unreadable.push((table, key.unwrap_or_default(), reason.into()));
    }

    /// The user that a row refers to.
    ///
    /// # Errors
    /// Why there is none that could be an owner.
    pub(super) fn user(&self, of: &UserRef) -> Result<&User, String> {
        let user = match of {
            UserRef::Key(key) => self.by_key.get(key),
            UserRef::Name(name) => self.by_name.get(name),
        };
        let user = user.ok_or_else(|| format!("its user {of} is not in the dump"))?;
        check_name(&user.name).map_err(|error| format!("its user {:?}: {error}", user.name))?;
        Ok(user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(rows: &[&str]) -> Tables {
        let mut tables = Tables::default();
        for row in rows {
            tables.take(&serde_json::from_str(row).expect(row));
        }
        tables
    }

    #[test]
    fn labels_are_read_liberally_but_no_stranger_is_taken_for_a_token() {
        let tables = tables(&[
            r#"{"model":"Accounts.CustomUser","pk":1,"fields":{"username":"ayse","is_superuser":true}}"#,
            r#"{"model":"accounts.customuser","pk":2,"fields":{"email":"b@example.com","is_active":false}}"#,
            r#"{"model":"authtoken.Token","pk":"k1","fields":{"user":["ayse"],"created":"x"}}"#,
            r#"{"model":"reset.token","pk":"k2","fields":{"user":1}}"#,
            r#"{"model":"authtoken.token","pk":"k3","fields":{}}"#,
            r#"{"model":"auth.group","pk":1,"fields":{}}"#,
            r#"{"model":"auth.group","pk":2,"fields":{}}"#,
        ]);
        let ayse = User { name: "ayse".into(), role: Role::Admin, standing: Standing::Active };
        assert_eq!(tables.user(&UserRef::Key("1".into())), Ok(&ayse));
        assert_eq!(tables.user(&UserRef::Name("ayse".into())), Ok(&ayse));
        let second = tables.user(&UserRef::Key("2".into())).expect("a user by mail");
        assert_eq!((second.name.as_str(), second.standing), ("b@example.com", Standing::Inactive));
        assert_eq!(tables.user(&UserRef::Key("3".into())), Err("its user 3 is not in the dump".to_owned()));
        assert_eq!(tables.tokens, [("k1".to_owned(), UserRef::Name("ayse".into()))]);
        assert_eq!(tables.ignored, BTreeMap::from([("auth.group".into(), 2), ("reset.token".into(), 1)]));
        let (table, key, _) = &tables.unreadable[0];
        assert_eq!((*table, key.as_str()), (Table::Token, ""), "a token is a secret");
    }
}
