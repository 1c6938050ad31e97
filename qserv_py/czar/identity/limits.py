"""How much one identity may use at a time, and the rules that say so.

A limit is found in this order: what the rules say of the user; else the largest value that they say of any of the
user's groups; else, for one who has proven nothing, what they say of ``anonymous``; else ``default``; else the values
here. For example, when the groups ``a`` and ``b`` may have 10 and 20 rows, a user in both may have 20, and a user for
whom the rules say 5 may have 5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

from qserv_py.czar.identity.identity import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one user may use; of those without a proven identity, each address counts as one."""

    concurrent_jobs: int = 2
    """Jobs that run at a time; further ones wait."""

    unfinished_jobs: int = 500
    """Jobs that have not ended."""

    concurrent_queries: int = 24
    """Synchronous queries that run or wait."""

    requests_per_minute: int = 30_000
    """Queries and new jobs within a minute."""

    rows: int = 100_000_000
    """Rows of one result; more are cut off, and the result says so."""

    result_bytes: int = 16 << 30
    """Bytes of one result; more are cut off, and the result says so."""

    execution_s: int = 24 * 3600
    """Seconds that one query may run."""

    upload_bytes: int = 256 << 20
    """Bytes of the tables that come with one query."""

    user_table_bytes: int = 1 << 30
    """Bytes of all the tables that a user keeps."""


LIMIT_NAMES = tuple(entry.name for entry in fields(Limits))

Values = Mapping[str, int]
"""Some limits by their names in ``Limits``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRules:
    """The limits of everybody, as the settings say."""

    default: Values = field(default_factory=lambda: MappingProxyType({}))
    anonymous: Values = field(default_factory=lambda: MappingProxyType({}))
    groups: Mapping[str, Values] = field(default_factory=lambda: MappingProxyType({}))
    users: Mapping[str, Values] = field(default_factory=lambda: MappingProxyType({}))

    def limits_for(self, identity: Identity) -> Limits:
        """Return what an identity may use."""
        chosen = {}
        for name in LIMIT_NAMES:
            value = next(self._values(name, identity), None)
            if value is not None:
                chosen[name] = value
        return Limits(**chosen)

    def _values(self, name: str, identity: Identity) -> Iterator[int]:
        """Yield the values that hold for an identity, the strongest first."""
        if name in (own := self.users.get(identity.user, {})):
            yield own[name]
        of_groups = [self.groups[group][name] for group in identity.groups if name in self.groups.get(group, {})]
        if of_groups:
            yield max(of_groups)
        if identity.is_anonymous and name in self.anonymous:
            yield self.anonymous[name]
        if name in self.default:
            yield self.default[name]
