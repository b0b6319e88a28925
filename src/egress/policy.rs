//! Which addresses webhooks may go to: the public ones, and what the operator opens.
//!
//! Pure. The sources are the special-purpose registries of IANA (RFC 6890 and its updates) and what cloud providers say
//! about their metadata services. An IPv6 address that carries an IPv4 address is judged by the one it carries, because
//! that is where the packets end.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What an address is, in the words of a refusal: "… is a loopback address".
pub(super) type Rule = &'static str;

const METADATA: Rule = "a metadata address of a cloud provider";
const LOOPBACK: Rule = "a loopback address";
const PRIVATE: Rule = "a private address";
const LINK_LOCAL: Rule = "a link-local address";
const UNSPECIFIED: Rule = "an unspecified address";
const MULTICAST: Rule = "a multicast address";
const DOCUMENTATION: Rule = "a documentation address";
const BENCHMARKING: Rule = "a benchmarking address";
const PROTOCOL: Rule = "an address reserved for protocols";
const RESERVED: Rule = "a reserved address";

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

/// `first` are the leading 64 bits of the network, `last` the trailing 16; between them are zeros.
const fn v6(first: [u16; 4], last: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first[0], first[1], first[2], first[3], 0, 0, 0, last), prefix)
}

/// The first network that holds the address names the rule: the narrow before the wide.
const REFUSED_V4: [(Ipv4Net, Rule); 21] = [
    (v4(100, 100, 100, 200, 32), METADATA),
    (v4(168, 63, 129, 16, 32), METADATA),
    (v4(169, 254, 169, 254, 32), METADATA),
    (v4(192, 0, 0, 192, 32), METADATA),
    (v4(255, 255, 255, 255, 32), "the broadcast address"),
    (v4(0, 0, 0, 0, 8), UNSPECIFIED),
    (v4(10, 0, 0, 0, 8), PRIVATE),
    (v4(100, 64, 0, 0, 10), "a shared address of a provider's network (CGNAT)"),
    (v4(127, 0, 0, 0, 8), LOOPBACK),
    (v4(169, 254, 0, 0, 16), LINK_LOCAL),
    (v4(172, 16, 0, 0, 12), PRIVATE),
    (v4(192, 0, 0, 0, 24), PROTOCOL),
    (v4(192, 0, 2, 0, 24), DOCUMENTATION),
    (v4(192, 31, 196, 0, 24), PROTOCOL),
    (v4(192, 88, 99, 0, 24), "a 6to4 relay address"),
    (v4(192, 168, 0, 0, 16), PRIVATE),
    (v4(198, 18, 0, 0, 15), BENCHMARKING),
    (v4(198, 51, 100, 0, 24), DOCUMENTATION),
    (v4(203, 0, 113, 0, 24), DOCUMENTATION),
    (v4(224, 0, 0, 0, 4), MULTICAST),
    (v4(240, 0, 0, 0, 4), RESERVED),
];

/// As above. What no network here holds is still refused unless it lies in `2000::/3`, the only part of IPv6 that is public.
const REFUSED_V6: [(Ipv6Net, Rule); 16] = [
    (v6([0; 4], 0, 128), UNSPECIFIED),
    (v6([0; 4], 1, 128), LOOPBACK),
    (v6([0xfd00, 0xec2, 0, 0], 0x254, 128), METADATA),
    (v6([0xfd20, 0xce, 0, 0], 0x254, 128), METADATA),
    (v6([0x64, 0xff9b, 1, 0], 0, 48), "an address of a local NAT64"),
    (v6([0x100, 0, 0, 0], 0, 64), "a discard address"),
    (v6([0x2001, 0, 0, 0], 0, 32), "a Teredo address"),
    (v6([0x2001, 2, 0, 0], 0, 48), BENCHMARKING),
    (v6([0x2001, 0xdb8, 0, 0], 0, 32), DOCUMENTATION),
    (v6([0x2001, 0, 0, 0], 0, 23), PROTOCOL),
    (v6([0x3fff, 0, 0, 0], 0, 20), DOCUMENTATION),
    (v6([0x5f00, 0, 0, 0], 0, 16), PROTOCOL),
    (v6([0xfc00, 0, 0, 0], 0, 7), "a unique local (private) address"),
    (v6([0xfe80, 0, 0, 0], 0, 10), LINK_LOCAL),
    (v6([0xfec0, 0, 0, 0], 0, 10), "a site-local address"),
    (v6([0xff00, 0, 0, 0], 0, 8), MULTICAST),
];

const PUBLIC_V6: Ipv6Net = v6([0x2000, 0, 0, 0], 0, 3);

/// Why webhooks may not go to `address`; `None` when they may.
///
/// `allowed` opens exactly its own networks. `::ffff:127.0.0.1` is the same host as `127.0.0.1` and open with it; an address
/// of a translator (NAT64, 6to4) is another way to the host, and open only when it is named itself.
pub(super) fn refusal(address: IpAddr, allowed: &[IpNet]) -> Option<Rule> {
    let canonical = address.to_canonical();
    if allowed.iter().any(|network| network.contains(&canonical) || network.contains(&address)) {
        return None;
    }
    match canonical {
        IpAddr::V4(address) => refusal_v4(address),
        IpAddr::V6(address) => refusal_v6(address),
    }
}

fn refusal_v4(address: Ipv4Addr) -> Option<Rule> {
    REFUSED_V4.iter().find(|(network, _)| network.contains(&address)).map(|(_, rule)| *rule)
}

fn refusal_v6(address: Ipv6Addr) -> Option<Rule> {
    if let Some(carried) = carried_v4(address) {
        return refusal_v4(carried);
    }
    let special = REFUSED_V6.iter().find(|(network, _)| network.contains(&address)).map(|(_, rule)| *rule);
    special.or_else(|| (!PUBLIC_V6.contains(&address)).then_some(RESERVED))
}

/// The IPv4 address at the end of the way through a translator.
fn carried_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let pair = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        // IPv4-compatible (RFC 4291), without :: and ::1, which have names of their own.
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) > (0, 1) => Some(pair(high, low)),
        // In this order: SIIT (RFC 2765); NAT64 (RFC 6052), and the plain /96 of a local one (RFC 8215), whose other layouts
        // are refused by the table; 6to4 (RFC 3056).
        [0, 0, 0, 0, 0xffff, 0, high, low] | [0x64, 0xff9b, 0 | 1, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            Some(pair(high, low))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(text: &str, allowed: &[&str]) -> Option<Rule> {
        let allowed: Vec<IpNet> = allowed.iter().map(|network| network.parse().expect("a network")).collect();
        refusal(text.parse().expect("an address"), &allowed)
    }

    #[test]
    fn each_network_has_its_rule_from_its_first_to_its_last_address() {
        for (text, rule) in [
            ("0.0.0.0", UNSPECIFIED),
            ("0.255.255.255", UNSPECIFIED),
            ("10.0.0.0", PRIVATE),
            ("10.255.255.255", PRIVATE),
            ("127.0.0.1", LOOPBACK),
            ("127.255.255.254", LOOPBACK),
            ("169.254.0.1", LINK_LOCAL),
            ("169.254.169.254", METADATA),
            ("172.16.0.0", PRIVATE),
            ("172.31.255.255", PRIVATE),
            ("192.0.0.1", PROTOCOL),
            ("192.0.2.7", DOCUMENTATION),
            ("192.168.255.255", PRIVATE),
            ("198.18.0.0", BENCHMARKING),
            ("198.19.255.255", BENCHMARKING),
            ("224.0.0.1", MULTICAST),
            ("239.255.255.255", MULTICAST),
            ("240.0.0.1", RESERVED),
            ("255.255.255.255", "the broadcast address"),
            ("::", UNSPECIFIED),
            ("::1", LOOPBACK),
            ("fe80::1", LINK_LOCAL),
            ("febf::1", LINK_LOCAL),
            ("ff02::1", MULTICAST),
            ("2001:db8::1", DOCUMENTATION),
            ("2001:20::1", PROTOCOL),
            ("fd00:ec2::254", METADATA),
            ("4000::1", RESERVED),
        ] {
            assert_eq!(judge(text, &[]), Some(rule), "{text}");
        }
    }

    #[test]
    fn the_neighbours_of_refused_networks_are_public() {
        for text in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2606:4700:4700::1111",
        ] {
            assert_eq!(judge(text, &[]), None, "{text}");
        }
    }

    #[test]
    fn an_address_inside_an_address_is_judged_by_itself() {
        for (text, rule) in [
            ("::ffff:127.0.0.1", Some(LOOPBACK)),
            ("::127.0.0.1", Some(LOOPBACK)),
            ("::ffff:0:10.0.0.1", Some(PRIVATE)),
            ("64:ff9b::10.0.0.1", Some(PRIVATE)),
            ("64:ff9b:1::169.254.169.254", Some(METADATA)),
            ("64:ff9b:1:a00:0:100::", Some("an address of a local NAT64")),
            ("2002:7f00:1::", Some(LOOPBACK)),
            ("2002:c0a8:101::1", Some(PRIVATE)),
            ("2001:0:4136:e378::1", Some("a Teredo address")),
            ("::ffff:9.9.9.9", None),
            ("64:ff9b::9.9.9.9", None),
            ("2002:909:909::1", None),
        ] {
            assert_eq!(judge(text, &[]), rule, "{text}");
        }
    }

    #[test]
    fn what_the_operator_opens_is_open_and_nothing_else() {
        assert_eq!(judge("127.0.0.1", &["127.0.0.0/8"]), None);
        assert_eq!(judge("::ffff:127.0.0.1", &["127.0.0.0/8"]), None, "the same host");
        assert_eq!(judge("::1", &["127.0.0.0/8"]), Some(LOOPBACK));
        assert_eq!(judge("0.0.0.0", &["127.0.0.0/8"]), Some(UNSPECIFIED));
        assert_eq!(judge("64:ff9b::7f00:1", &["127.0.0.0/8"]), Some(LOOPBACK));
        assert_eq!(judge("10.1.2.3", &["10.1.0.0/16"]), None);
        assert_eq!(judge("10.2.0.1", &["10.1.0.0/16"]), Some(PRIVATE));
        assert_eq!(judge("fd12::1", &["fd12::/16"]), None);
    }
}
