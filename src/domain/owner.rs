//! Who subscriptions and tokens belong to, and what they may do.

use super::id::OwnerId;

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
