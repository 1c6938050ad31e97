"""Which proofs of identity a cluster takes, as its settings say."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

Network = IPv4Network | IPv6Network

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Algorithms of signatures that can be allowed. All are asymmetric: with a symmetric one, whoever can check a token
could make one, and a public key would do as the secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """An issuer of OpenID Connect whose tokens are taken."""

    issuer: str
    """URL, letter by letter as the tokens' ``iss`` says it."""

    audience: tuple[str, ...]
    """A token must be meant for one of these."""

    user_claim: str = "sub"
    """Claim that is the user's name. Only ``sub`` is sure never to pass to another person."""

    groups_claim: str = "groups"
    """Claim that lists the groups; with dots it leads into objects, as in ``realm_access.roles``."""

    algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    leeway_s: int = 60
    """How far the issuer's clock and ours may be apart."""

    ca_file: str = ""
    """PEM file of the authorities that the issuer's certificate is checked with; empty for the system's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """A proxy, such as Gafaelfawr's ingress, that authenticates users and names them in headers."""

    addresses: tuple[Network, ...]
    """Addresses that the proxy's connections come from; the same headers from other addresses are ignored."""

    user_header: str = "X-Auth-Request-User"
    groups_header: str = "X-Auth-Request-Groups"
    """Names separated by commas."""

    def trusts(self, peer: str | None) -> bool:
        """Tell whether a connection comes from the proxy."""
        try:
            address = ip_address(peer or "")
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)  # a socket for IPv4 and IPv6 shows 10.0.0.1 as ::ffff:10.0.0.1
        return any((mapped or address) in network for network in self.addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySettings:
    """Which proofs are taken beside the cluster's own tokens."""

    realm: str = "qserv"
    """Realm of HTTP Basic: the name that clients show when they ask for a password."""

    oidc: OidcSettings | None = None
    proxy: ProxySettings | None = None
