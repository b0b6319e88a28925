//! How names become addresses: by asking DNS ourselves, without blocking a thread.
//!
//! [`Names`] is the choice, shared by all threads; a [`Resolver`] is what one thread asks, with a cache of its own, because
//! the sockets of a resolver live on the thread that opened them. Whether an address may be dialled is not decided here.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hickory_resolver::{
    Hosts, TokioResolver,
    config::{LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::Query,
        rr::{Name, RecordType},
    },
    system_conf::read_system_conf,
};

use super::exhaustion::is_exhaustion;

/// Names that one thread remembers.
const REMEMBERED: u64 = 1_024;
/// How long an answer is believed at most: an endpoint that moves is found again within this time.
const LONGEST_BELIEF: Duration = Duration::from_mins(5);
/// How long "no such name" is believed at most.
const LONGEST_DISBELIEF: Duration = Duration::from_secs(10);
/// How long one question to one name server may take, in seconds; a second one must fit into the usual attempt.
const QUESTION: Duration = Duration::from_secs(2);
/// Questions to one name server at once. The number of attempts is bounded elsewhere; this only must not be below it.
const QUESTIONS_AT_ONCE: usize = 4_096;

/// Where answers come from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Names(Source);

#[derive(Clone, Debug)]
enum Source {
    System(Arc<System>),
    Script(Arc<Script>),
}

/// The system's settings, as they were when the engine started.
struct System {
    config: ResolverConfig,
    options: ResolverOpts,
    hosts: Arc<Hosts>,
}

/// One scripted answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// These addresses.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    Missing,
    /// No answer, ever.
    Silence,
}

/// Answers by name; of several, each look-up takes the next, and the last one stays.
#[derive(Debug)]
pub(super) struct Script(Mutex<HashMap<String, Vec<Reply>>>);

/// Why a name has no addresses.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unresolved {
    /// DNS says so.
    #[error("there is no such name")]
    Missing,
    /// DNS could not be asked, or did not answer.
    #[error("the name servers gave no answer")]
    Unanswered,
    /// No socket could be opened to ask.
    #[error("no file descriptor is left to ask for a name")]
    Exhausted,
}

impl Names {
    /// As the machine does: the hosts file, then the name servers of `/etc/resolv.conf`; when that cannot be read, the one on
    /// this machine (resolv.conf(5)). Both files are read here, once.
    #[must_use]
    pub fn system() -> Self {
        let (config, mut options) = read_system_conf().unwrap_or_else(|error| {
            log::warn!(error:% = error; "no settings for names, asking the name server on this machine");
            let local = NameServerConfig::udp_and_tcp(IpAddr::V4(Ipv4Addr::LOCALHOST));
            (ResolverConfig::from_parts(None, Vec::new(), vec![local]), ResolverOpts::default())
        });
        options.cache_size = REMEMBERED;
        options.positive_max_ttl = Some(LONGEST_BELIEF);
        options.negative_max_ttl = Some(LONGEST_DISBELIEF);
        options.timeout = options.timeout.min(QUESTION);
        options.max_active_requests = QUESTIONS_AT_ONCE;
        // IPv4 first: a machine without a way to IPv6 is more usual than an endpoint without IPv4.
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        let hosts = Arc::new(Hosts::from_system().unwrap_or_default());
        Self(Source::System(Arc::new(System { config, options, hosts })))
    }

    /// Exactly the names of `table`, each with its replies: for tests, and for machines that must not ask anybody.
    #[must_use]
    pub fn fixed<N: Into<String>>(table: impl IntoIterator<Item = (N, Vec<Reply>)>) -> Self {
        let replies = table.into_iter().map(|(name, replies)| (name.into(), replies)).collect();
        Self(Source::Script(Arc::new(Script(Mutex::new(replies)))))
    }

    /// What one thread asks.
    pub(super) fn resolver(&self) -> Resolver {
        match &self.0 {
            Source::System(system) => {
                let mut builder =
                    TokioResolver::builder_with_config(system.config.clone(), TokioRuntimeProvider::default());
                *builder.options_mut() = system.options.clone();
                let resolver = builder.build().map(Box::new).map_err(|error| {
                    log::error!(error:% = error; "names cannot be resolved");
                });
                Resolver::System { resolver: resolver.ok(), hosts: Arc::clone(&system.hosts) }
            }
            Source::Script(script) => Resolver::Script(Arc::clone(script)),
        }
    }
}

impl Reply {
    /// These addresses, as texts.
    ///
    /// # Panics
    /// When one is no address: scripts are written in tests.
    #[must_use]
    pub fn addresses(texts: &[&str]) -> Self {
        Self::Addresses(texts.iter().map(|text| text.parse().expect("an address in a script")).collect())
    }
}

/// What one thread asks for addresses. Dropping a look-up cancels it.
pub(super) enum Resolver {
    System {
        /// `None` when it could not be built; only what the hosts file knows is found then.
        resolver: Option<Box<TokioResolver>>,
        hosts: Arc<Hosts>,
    },
    Script(Arc<Script>),
}

impl Resolver {
    /// The addresses of `name`, at least one, in the order in which they should be tried.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        match self {
            Self::System { resolver, hosts } => {
                if let Some(addresses) = known_here(name, hosts) {
                    return Ok(addresses);
                }
                let resolver = resolver.as_ref().ok_or(Unresolved::Unanswered)?;
                let found = resolver.lookup_ip(name).await.map_err(|error| unresolved(&error))?;
                some(found.iter().collect())
            }
            Self::Script(script) => script.addresses(name).await,
        }
    }
}

/// What needs no question: localhost (RFC 6761, section 6.3) and the hosts file. Asked first, because the search list of
/// `resolv.conf` would send even these names through DNS.
fn known_here(name: &str, hosts: &Hosts) -> Option<Vec<IpAddr>> {
    let bare = name.strip_suffix('.').unwrap_or(name);
    let parsed = Name::from_utf8(bare).ok()?;
    let of = |kind| hosts.lookup_static_host(&Query::query(parsed.clone(), kind));
    let found: Vec<IpAddr> = [of(RecordType::A), of(RecordType::AAAA)]
        .iter()
        .flatten()
        .flat_map(|lookup| lookup.answers().iter().filter_map(|record| record.data.ip_addr()))
        .collect();
    if found.is_empty() && (bare == "localhost" || bare.ends_with(".localhost")) {
        return Some(vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    }
    some(found).ok()
}

impl Script {
    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Unresolved> {
        let reply = {
            let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match table.get_mut(name) {
                Some(replies) if replies.len() > 1 => replies.remove(0),
                Some(replies) => replies.first().cloned().unwrap_or(Reply::Missing),
                None => Reply::Missing,
            }
        };
        match reply {
            Reply::Addresses(addresses) => some(addresses),
            Reply::Missing => Err(Unresolved::Missing),
            Reply::Silence => std::future::pending().await,
        }
    }
}

fn some(addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, Unresolved> {
    if addresses.is_empty() { Err(Unresolved::Missing) } else { Ok(addresses) }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open, and only two of its errors are ours")]
fn unresolved(error: &NetError) -> Unresolved {
    if error.is_nx_domain() || error.is_no_records_found() {
        return Unresolved::Missing;
    }
    let is_ours = match error {
        NetError::Io(cause) => is_exhaustion(cause),
        NetError::Busy => true,
        _ => false,
    };
    if is_ours { Unresolved::Exhausted } else { Unresolved::Unanswered }
}

impl fmt::Debug for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("System").field("name_servers", &self.config.name_servers().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Hosts {
        let mut hosts = Hosts::default();
        hosts.read_hosts_conf(&b"10.1.2.3 receiver receiver.internal\n::5 receiver\n"[..]).expect("a hosts file");
        hosts
    }

    #[test]
    fn the_hosts_file_and_localhost_need_no_question() {
        let known =
            |name| known_here(name, &hosts()).map(|found| found.iter().map(IpAddr::to_string).collect::<Vec<_>>());
        let expect = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        assert_eq!(known("receiver"), expect(&["10.1.2.3", "::5"]));
        assert_eq!(known("receiver.internal."), expect(&["10.1.2.3"]));
        assert_eq!(known("localhost"), expect(&["127.0.0.1", "::1"]));
        assert_eq!(known("api.localhost."), expect(&["127.0.0.1", "::1"]));
        assert_eq!(known("receiver.example"), None);
        assert_eq!(known("notlocalhost"), None);
    }

    #[tokio::test]
    async fn the_systems_names_are_known() {
        let found = Names::system().resolver().addresses("localhost").await.expect("localhost");
        assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
    }

    #[tokio::test]
    async fn a_script_gives_its_answers_in_turn_and_stays_with_the_last() {
        let names = Names::fixed([("a.example", vec![Reply::addresses(&["192.0.2.1"]), Reply::Missing])]);
        let (one, other) = (names.resolver(), names.clone().resolver());
        assert_eq!(one.addresses("a.example").await.ok(), Some(vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))]));
        assert!(matches!(other.addresses("a.example").await, Err(Unresolved::Missing)));
        assert!(matches!(one.addresses("a.example").await, Err(Unresolved::Missing)));
        assert!(matches!(one.addresses("b.example").await, Err(Unresolved::Missing)));
    }
}
