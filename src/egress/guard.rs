//! Whether webhooks may go to an endpoint: asked when a subscription is written, and again each time it is dialled.
//!
//! The name is resolved by us, every address is checked, and a checked address is the one that is dialled: a name that
//! changes its answer in between gains nothing. A connection that is used again needs no new check, because it still leads to
//! the address that was checked.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use ipnet::IpNet;
use tokio::time::timeout;
use url::Host;

use super::{
    names::{Names, Resolver, Unresolved},
    policy::{self, Rule},
};
use crate::domain::endpoint::Endpoint;

/// How long a subscription's owner waits for the name servers, at most.
const LONGEST_CHECK: Duration = Duration::from_secs(5);

/// The policy and the way to ask for names. Cheap to clone; one for the whole process.
#[derive(Clone, Debug)]
pub struct Guard {
    allowed: Arc<[IpNet]>,
    names: Names,
}

/// Webhooks may not go there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The name, when the address was found through one.
    name: Option<String>,
    address: IpAddr,
    rule: Rule,
}

/// Why there is nothing to dial.
#[derive(Debug)]
pub(super) enum NoAddress {
    Unresolved(Unresolved),
    Refused(Refusal),
}

/// What one thread asks before it dials.
pub(super) struct Checker {
    allowed: Arc<[IpNet]>,
    resolver: Resolver,
}

impl Guard {
    /// Opens `allowed` beside the public addresses; names are resolved by `names`.
    #[must_use]
    pub fn new(allowed: Vec<IpNet>, names: Names) -> Self {
        Self { allowed: allowed.into(), names }
    }

    /// Whether a subscription may point to `endpoint`. A name that cannot be resolved now passes: it may come up later, and is
    /// checked at every attempt. Takes as long as the name servers take, at most 5 s; dropping it cancels the look-up.
    ///
    /// # Errors
    /// [`Refusal`] when the address, or every address of the name, is refused.
    pub async fn check(&self, endpoint: &Endpoint) -> Result<(), Refusal> {
        // A resolver of its own: its sockets end with this call, on whichever thread it runs.
        match timeout(LONGEST_CHECK, self.checker().addresses(&endpoint.host())).await {
            Ok(Err(NoAddress::Refused(refusal))) => Err(refusal),
            Ok(Ok(_) | Err(NoAddress::Unresolved(_))) | Err(_) => Ok(()),
        }
    }

    /// For the thread that asks.
    pub(super) fn checker(&self) -> Checker {
        Checker { allowed: Arc::clone(&self.allowed), resolver: self.names.resolver() }
    }
}

impl Checker {
    /// The addresses of `host` that may be dialled, at least one, in the order in which they should be tried.
    pub(super) async fn addresses<S: AsRef<str>>(&self, host: &Host<S>) -> Result<Vec<IpAddr>, NoAddress> {
        match host {
            Host::Ipv4(address) => self.keep_allowed(None, vec![IpAddr::V4(*address)]),
            Host::Ipv6(address) => self.keep_allowed(None, vec![IpAddr::V6(*address)]),
            Host::Domain(name) => {
                let name = name.as_ref();
                let addresses = self.resolver.addresses(name).await.map_err(NoAddress::Unresolved)?;
                self.keep_allowed(Some(name), addresses)
            }
        }
    }

    fn keep_allowed(&self, name: Option<&str>, addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, NoAddress> {
        let mut refusal = None;
        let allowed: Vec<IpAddr> = addresses
            .into_iter()
            .filter(|&address| match policy::refusal(address, &self.allowed) {
                None => true,
                Some(rule) => {
                    refusal.get_or_insert_with(|| Refusal { name: name.map(str::to_owned), address, rule });
                    false
                }
            })
            .collect();
        match refusal {
            Some(refusal) if allowed.is_empty() => Err(NoAddress::Refused(refusal)),
            _ => Ok(allowed),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, address, rule } = self;
        match name {
            None => write!(f, "{address} is {rule}")?,
            Some(name) => write!(f, "{name} resolves to {address}, {rule}")?,
        }
        f.write_str("; webhooks may go to public addresses only (see POSTRIDER_EGRESS_ALLOW)")
    }
}

impl std::error::Error for Refusal {}
