"""Configurations of tasks out of the options of algorithms, and back: one list of settings, not two."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

import lsst.pex.config as pex

from qserv_py.pipelines.options import META, Option


def config_class(
    name: str, options: type, *, module: str, doc: str, base: type = pex.Config, prefix: str = "", **keywords: Any
) -> Any:
    """Return a class of configurations with a setting for each option.

    Parameters
    ----------
    name
        Of the class.
    options
        A dataclass of ``pipelines.options.option`` fields; those that ``base`` has are left out.
    module
        That the class becomes a name of; configurations are stored and read back by it.
    doc
        Of the class.
    base
        What it extends.
    prefix
        Before each name.
    keywords
        Of the class, as ``pipelineConnections``.
    """
    inherited = getattr(base, "_fields", {})
    made = {key: value for key, value in config_fields(options, prefix=prefix).items() if key not in inherited}
    body = {"__module__": module, "__qualname__": name, "__doc__": doc, **made}
    return types.new_class(name, (base,), keywords, lambda namespace: namespace.update(body))


def config_fields(options: type, *, prefix: str = "") -> dict[str, pex.Field]:
    """Return a field of a configuration for each option, by name."""
    hints = typing.get_type_hints(options)
    return {
        f"{prefix}{one.name}": _field(hints[one.name], _default(one), one.metadata[META])
        for one in fields(options)
        if META in one.metadata
    }


def options_of(config: Any, options: type, *, prefix: str = "") -> Any:
    """Return the options that a configuration has settings of."""
    chosen = {one.name: getattr(config, f"{prefix}{one.name}") for one in fields(options) if META in one.metadata}
    hints = typing.get_type_hints(options)
    return options(**{name: _plain(hints[name], value) for name, value in chosen.items()})


def _default(one: Any) -> Any:
    return one.default if one.default is not MISSING else one.default_factory()


def _kind(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    return typing.get_origin(hint) or hint, typing.get_args(hint)


def _field(hint: Any, default: Any, about: Option) -> pex.Field:
    kind, parts = _kind(hint)
    if kind is tuple:
        return pex.ListField(dtype=parts[0], default=list(default), doc=about.doc, itemCheck=_within(about))
    if issubclass(kind, Mapping):
        return pex.DictField(keytype=parts[0], itemtype=parts[1], default=dict(default), doc=about.doc)
    if about.least is None and about.most is None:
        return pex.Field(dtype=kind, default=default, doc=about.doc, check=about.check)
    bounds = {"min": about.least, "max": about.most}
    if about.check is None:
        return pex.RangeField(dtype=kind, default=default, doc=about.doc, inclusiveMax=True, **bounds)
    return pex.Field(dtype=kind, default=default, doc=about.doc, check=_within(about))


def _within(about: Option) -> Any:
    """Return whether one value is allowed."""

    def check(value: Any) -> bool:
        low = about.least is None or value >= about.least
        high = about.most is None or value <= about.most
        return low and high and (about.check is None or about.check(value))

    return check


def _plain(hint: Any, value: Any) -> Any:
    kind, _ = _kind(hint)
    if kind is tuple:
        return tuple(value)
    return dict(value) if issubclass(kind, Mapping) else value
