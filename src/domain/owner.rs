//! Who subscriptions and tokens belong to, and what they may do.

use super::id::OwnerId;

/// The longest name of an owner, in characters (the column that the contract's host has for it).
pub const MAX_NAME_LENGTH: usize = 150;

/// Why a text is no name of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing in it.
    #[error("a name cannot be empty")]
    Empty,
    /// More than [`MAX_NAME_LENGTH`] characters.
    #[error("a name has at most {MAX_NAME_LENGTH} characters")]
    TooLong,
    /// It could not be told apart from another one in a list, or would break the list.
    #[error("a name neither begins nor ends with a blank, and has no control characters")]
    Characters,
}

/// Checks the name of an owner to be.
///
/// # Errors
/// The first [`BadName`].
pub fn check_name(text: &str) -> Result<(), BadName> {
    if text.is_empty() {
        Err(BadName::Empty)
    } else if text.trim() != text || text.contains(char::is_control) {
        Err(BadName::Characters)
    } else if text.chars().count() > MAX_NAME_LENGTH {
        Err(BadName::TooLong)
    } else {
        Ok(())
    }
}

/// What an owner may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything, with everybody's subscriptions.
    Admin,
    /// Publish events, and have subscriptions of their own.
    Publisher,
    /// Have subscriptions of their own.
    Subscriber,
}

impl Role {
    /// Every role, for requests.
    pub const ALL: [Self; 3] = [Self::Admin, Self::Publisher, Self::Subscriber];

    /// The role of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == name)
    }

    /// The name in lists and help texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Publisher => "publisher",
            Self::Subscriber => "subscriber",
        }
    }

    /// Whether events may be published.
    #[must_use]
    pub const fn may_publish(self) -> bool {
        match self {
            Self::Admin | Self::Publisher => true,
            Self::Subscriber => false,
        }
    }

    /// Whether everybody's subscriptions may be seen and changed.
    #[must_use]
    pub const fn sees_all(self) -> bool {
        match self {
            Self::Admin => true,
            Self::Publisher | Self::Subscriber => false,
        }
    }
}

/// Whether an owner's tokens are honoured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They are.
    Active,
    /// They are refused; what the owner subscribed to still flows.
    Inactive,
}

/// Somebody with tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The row.
    pub id: OwnerId,
    /// Unique.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Whether their tokens are honoured.
    pub standing: Standing,
}

/// Whose subscriptions somebody may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's.
    All,
    /// Only this owner's.
    Of(OwnerId),
}

impl Owner {
    /// What this owner may see.
    #[must_use]
    pub const fn scope(&self) -> Scope {
        if self.role.sees_all() { Scope::All } else { Scope::Of(self.id) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_be_written_in_a_list() {
        for name in ["a", "Ayşe Yılmaz", "ops@example.com", &"ş".repeat(MAX_NAME_LENGTH)] {
            assert_eq!(check_name(name), Ok(()), "{name:?}");
        }
        assert_eq!(check_name(""), Err(BadName::Empty));
        for name in [" ", " a", "a ", "a\nb", "\u{1b}[31m"] {
            assert_eq!(check_name(name), Err(BadName::Characters), "{name:?}");
        }
        assert_eq!(check_name(&"a".repeat(MAX_NAME_LENGTH + 1)), Err(BadName::TooLong));
    }
}
