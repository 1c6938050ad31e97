"""``settings.yaml`` in the cluster's directory: what an operator decides about services and queries. Written by hand.

A file that is not there means the defaults. A key that is not known, or a value that cannot be right, is refused with
its line by whoever uses any of the settings: a limit with a misspelt name would be no limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Any

from qserv_py.catalog.grants import name_problem
from qserv_py.czar.identity.fetch import url_problem
from qserv_py.czar.identity.limits import LIMIT_NAMES, LimitRules, Values
from qserv_py.czar.identity.settings import ALGORITHMS, IdentitySettings, Network, OidcSettings, ProxySettings
from qserv_py.czar.obscore.images import ImageAccess
from qserv_py.czar.queries.shares import MemorySettings
from qserv_py.czar.settings.settings_section import section_at
from qserv_py.czar.settings.vo_resource import NEEDED, WAVEBANDS, VoResource, identifier_problem
from qserv_py.errors import ConfigError, NotFoundError, SchemaError
from qserv_py.hints import or_did_you_mean
from qserv_py.registry.schema_files.yaml_file import Problems, YamlFile, mapping_at, read_yaml

SETTINGS_FILE = "settings.yaml"
LEAST_SHARE = 16 << 20
"""Least bytes of memory or disk that can be set."""

_HINT = "Mend the file, or move it away: without it the defaults count."

MOST = 2**60
"""Largest number that a limit can be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that ``settings.yaml`` says."""

    identity: IdentitySettings = field(default_factory=IdentitySettings)
    limits: LimitRules = field(default_factory=LimitRules)
    publication: VoResource | None = None
    images: ImageAccess = field(default_factory=ImageAccess)
    memory: MemorySettings = field(default_factory=MemorySettings)


def read_settings(directory: Path) -> Settings:
    """Return the settings of a cluster's directory.

    Raises
    ------
    ConfigError
        If the file cannot be read, or anything in it is not known or cannot be right; with the line.
    """
    with _as_config_error():
        try:
            file = read_yaml(directory / SETTINGS_FILE)
        except NotFoundError:
            return Settings()
        if file.data is None:
            return Settings()
        problems = Problems()
        top = mapping_at(file, (), ("identity", "limits", "publication", "images", "memory"), problems)
        identity = _identity(file, problems) if "identity" in top else IdentitySettings()
        limits = _limits(file, problems) if "limits" in top else LimitRules()
        publication = _publication(file, problems) if "publication" in top else None
        images = _images(file, publication, problems)
        memory = _memory(file, problems) if "memory" in top else MemorySettings()
        problems.raise_if_any()
    return Settings(identity=identity, limits=limits, publication=publication, images=images, memory=memory)


@contextmanager
def _as_config_error() -> Iterator[None]:
    try:
        yield
    except SchemaError as error:
        raise ConfigError(error.message, detail=error.detail, hint=error.hint or _HINT) from error


def _images(file: YamlFile, publication: VoResource | None, problems: Problems) -> ImageAccess:
    chosen: dict[str, Any] = {} if publication is None else {"identifier": publication.identifier}
    if "images" in file.data:
        section = section_at(file, ("images",), ("links", "facility", "obscore"), problems)
        if "links" in section.values:
            chosen["links"] = section.text("links", url_problem)
        if "facility" in section.values:
            chosen["facility"] = section.text("facility", _empty_problem)
        if "obscore" in section.values:
            chosen["obscore"] = section.text("obscore", _table_problem)
    return ImageAccess(**chosen)


def _memory(file: YamlFile, problems: Problems) -> MemorySettings:
    section = section_at(file, ("memory",), tuple(entry.name for entry in fields(MemorySettings)), problems)
    return MemorySettings(**{name: section.whole(name, LEAST_SHARE, MOST) for name in section.values})


def _identity(file: YamlFile, problems: Problems) -> IdentitySettings:
    section = section_at(file, ("identity",), ("realm", "oidc", "proxy"), problems)
    chosen: dict[str, Any] = {}
    if "realm" in section.values:
        chosen["realm"] = section.text("realm", _realm_problem)
    if "oidc" in section.values:
        chosen["oidc"] = _oidc(file, problems)
    if "proxy" in section.values:
        chosen["proxy"] = _proxy(file, problems)
    return IdentitySettings(**chosen)


def _oidc(file: YamlFile, problems: Problems) -> OidcSettings | None:
    known = tuple(entry.name for entry in fields(OidcSettings))
    section = section_at(file, ("identity", "oidc"), known, problems)
    if not section.has("issuer", "audience"):
        return None
    chosen: dict[str, Any] = {"issuer": section.text("issuer", url_problem)}
    chosen["audience"] = section.texts("audience", _empty_problem)
    for key in ("user_claim", "groups_claim"):
        if key in section.values:
            chosen[key] = section.text(key, _empty_problem)
    if "algorithms" in section.values:
        chosen["algorithms"] = section.texts("algorithms", _algorithm_problem)
    if "leeway_s" in section.values:
        chosen["leeway_s"] = section.whole("leeway_s", 0, 300)
    if "ca_file" in section.values:
        chosen["ca_file"] = section.text("ca_file", _file_problem)
    return OidcSettings(**chosen)


def _proxy(file: YamlFile, problems: Problems) -> ProxySettings | None:
    known = tuple(entry.name for entry in fields(ProxySettings))
    section = section_at(file, ("identity", "proxy"), known, problems)
    if not section.has("addresses"):
        return None
    texts = section.texts("addresses", _network_problem)
    chosen: dict[str, Any] = {"addresses": tuple(_network(text) for text in texts if not _network_problem(text))}
    for key in ("user_header", "groups_header"):
        if key in section.values:
            chosen[key] = section.text(key, _header_problem)
    return ProxySettings(**chosen)


def _limits(file: YamlFile, problems: Problems) -> LimitRules:
    section = section_at(file, ("limits",), ("default", "anonymous", "groups", "users"), problems)
    chosen: dict[str, Any] = {}
    for key in ("default", "anonymous"):
        if key in section.values:
            chosen[key] = _values(file, ("limits", key), problems)
    for key in ("groups", "users"):
        if key not in section.values:
            continue
        named = {}
        for name in mapping_at(file, ("limits", key), None, problems):
            problem = name_problem(name) if isinstance(name, str) else "is not a text; put it in quotes"
            if problem:
                problems.add(file.at("limits", key, str(name)), f"the name {name!r} in {key} {problem}")
            else:
                named[name] = _values(file, ("limits", key, name), problems)
        chosen[key] = MappingProxyType(named)
    return LimitRules(**chosen)


def _values(file: YamlFile, place: tuple[str, ...], problems: Problems) -> Values:
    section = section_at(file, place, LIMIT_NAMES, problems)
    return MappingProxyType({name: section.whole(name, 1, MOST) for name in section.values})


def _publication(file: YamlFile, problems: Problems) -> VoResource | None:
    known = tuple(entry.name for entry in fields(VoResource))
    section = section_at(file, ("publication",), known, problems)
    if not section.has(*NEEDED):
        return None
    checks = {
        "identifier": identifier_problem,
        "contact_email": _email_problem,
        "reference_url": _web_problem,
        "short_name": _short_problem,
        "wavebands": _waveband_problem,
    }
    lists = ("subjects", "creators", "wavebands")
    chosen: dict[str, Any] = {"created": section.day("created")}
    for key in section.values.keys() - {"created"}:
        read = section.texts if key in lists else section.text
        chosen[key] = read(key, checks.get(key, _empty_problem))
    return VoResource(**chosen)


def _table_problem(text: str) -> str:
    return "" if re.fullmatch(r"[^.\s]+\.[^.\s]+", text) else f"is DATABASE.TABLE, not {text!r}"


def _email_problem(text: str) -> str:
    return "" if re.fullmatch(r"[^@\s]+@[^@\s]+", text) else f"is an e-mail address, not {text!r}"


def _web_problem(text: str) -> str:
    return "" if re.fullmatch(r"https?://[^\s/]\S*", text) else f"is an http or https URL, not {text!r}"


def _short_problem(text: str) -> str:
    return "" if 1 <= len(text) <= 16 else f"has 1 to 16 characters, not {len(text)}"


def _waveband_problem(text: str) -> str:
    if text in WAVEBANDS:
        return ""
    return f"{text!r} is not known{or_did_you_mean(text, WAVEBANDS)}; it is one of {', '.join(WAVEBANDS)}"


def _network(text: str) -> Network:
    return ip_network(text, strict=True)


def _network_problem(text: str) -> str:
    try:
        network = _network(text)
    except ValueError:
        return f"is an address or a network, such as 10.0.0.7 or 10.0.0.0/24, not {text!r}"
    return "trusts everybody: name the proxy's addresses" if network.prefixlen == 0 else ""


def _algorithm_problem(text: str) -> str:
    if text in ALGORITHMS:
        return ""
    return f"{text} cannot be allowed{or_did_you_mean(text, ALGORITHMS)}; it is one of {', '.join(ALGORITHMS)}"


def _header_problem(text: str) -> str:
    return "" if re.fullmatch(r"[A-Za-z0-9-]{1,100}", text) else f"is the name of a header, not {text!r}"


def _realm_problem(text: str) -> str:
    return "" if re.fullmatch(r"[A-Za-z0-9 ._-]{1,100}", text) else f"has letters, digits, blanks, ._-, not {text!r}"


def _file_problem(text: str) -> str:
    return "" if Path(text).is_file() else f"names no file: {text!r}"


def _empty_problem(text: str) -> str:
    return "" if text else "is empty"
