"""What the claims of a token say of a person, in the shapes that identity providers give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qserv_py.catalog.grants import name_problem, user_problem

Claims = Mapping[str, Any]


def user_of(claims: Claims, claim: str) -> str:
    """Return the user's name; empty when the claim is not there or cannot be a name."""
    value = _value(claims, claim)
    return value if isinstance(value, str) and not user_problem(value) else ""


def groups_of(claims: Claims, claim: str) -> frozenset[str]:
    """Return the names of the groups; what cannot be one is left out.

    Understood are a list of names (Keycloak, Indigo IAM's ``groups`` and ``wlcg.groups``, CILogon's ``isMemberOf``), a
    list of objects with a ``name`` (CILogon with COmanage, as Rubin has it) and a single name. Keycloak and WLCG write
    names as paths from the root: ``/survey/pi`` is the group ``survey/pi``.
    """
    value = _value(claims, claim)
    listed = value if isinstance(value, list) else [value]
    names = [entry.get("name") if isinstance(entry, dict) else entry for entry in listed]
    found = (name.removeprefix("/") for name in names if isinstance(name, str))
    return frozenset(name for name in found if not name_problem(name))


def _value(claims: Claims, claim: str) -> Any:
    """Return the claim of a name; or of a path, such as ``realm_access.roles``, when no claim has that name."""
    if claim in claims:
        return claims[claim]
    value: Any = claims
    for step in claim.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return None
        value = value[step]
    return value
