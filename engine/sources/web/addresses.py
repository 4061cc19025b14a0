"""Which internet addresses may be reached: those of the public internet, and nothing that stands for anything else.

The lists follow IANA's registries of special-purpose addresses. What the standard library says of an address changes
between its versions, so it is not asked.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_V4 = tuple(
    (IPv4Network(network), what)
    for network, what in (
        ("0.0.0.0/8", "an address of this machine"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "an address inside a provider's network"),
        ("127.0.0.0/8", "a loopback address"),
        ("168.63.129.16/32", "a cloud's metadata address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a reserved address"),
        ("192.88.99.0/24", "an address of a tunnel"),
        ("192.168.0.0/16", "a private address"),
        ("198.18.0.0/15", "a reserved address"),
        ("198.51.100.0/24", "a reserved address"),
        ("203.0.113.0/24", "a reserved address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
)

_PUBLIC_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_V6 = tuple(
    (IPv6Network(network), what)
    for network, what in (
        ("::1/128", "a loopback address"),
        ("::/128", "an address of this machine"),
        ("::ffff:0:0/96", "an IPv4 address in disguise"),
        ("::/96", "an IPv4 address in disguise"),
        ("::ffff:0:0:0/96", "an IPv4 address in disguise"),
        ("64:ff9b:1::/48", "a private address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a private address"),
        ("ff00::/8", "a multicast address"),
        ("2001::/32", "an address of a tunnel"),
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "a reserved address"),
        ("2002::/16", "an address of a tunnel"),
        ("3fff::/20", "a reserved address"),
    )
)


def why_not(address: str) -> str:
    """Why nothing may be fetched from an address, in words that name what it is; empty for a public one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "no internet address"
    return _why_not_v4(parsed) if isinstance(parsed, IPv4Address) else _why_not_v6(parsed)


def _why_not_v4(address: IPv4Address) -> str:
    return next((what for network, what in _V4 if address in network), "")


def _why_not_v6(address: IPv6Address) -> str:
    if address.scope_id is not None:
        return "a link-local address"
    if address in _NAT64:  # how a network without IPv4 reaches it; the name server there makes these up
        return _why_not_v4(IPv4Address(int(address) & 0xFFFFFFFF))
    for network, what in _V6:
        if address in network:
            return what
    return "" if address in _PUBLIC_V6 else "a reserved address"
