"""``/capabilities``: what the service offers, by VOSI 1.1 and TAPRegExt 1.0."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from qserv_py.czar.formats.known import FORMATS, Format
from qserv_py.czar.identity.limits import Limits
from qserv_py.czar.obscore.standard import DataModel
from qserv_py.czar.queries.limits import ServiceLimits
from qserv_py.vo.http.xml import XSI, element
from qserv_py.vo.tap.languages import feature_groups

_NAMESPACES = {
    "xmlns:vosi": "http://www.ivoa.net/xml/VOSICapabilities/v1.0",
    "xmlns:vr": "http://www.ivoa.net/xml/VOResource/v1.0",
    "xmlns:vs": "http://www.ivoa.net/xml/VODataService/v1.1",
    "xmlns:tr": "http://www.ivoa.net/xml/TAPRegExt/v1.0",
    **XSI,
}
_UPLOADS = "ivo://ivoa.net/std/TAPRegExt#upload-"
_OUTPUTS = {
    "votable": "ivo://ivoa.net/std/TAPRegExt#output-votable-binary2",
    "votable/td": "ivo://ivoa.net/std/TAPRegExt#output-votable-td",
    "votable/b": "ivo://ivoa.net/std/TAPRegExt#output-votable-binary",
}
"""Identifiers of the serialisations that TAPRegExt names."""


def capabilities_document(
    base: str, limits: ServiceLimits, allowed: Limits, *, fetches: bool = False, models: Sequence[DataModel] = ()
) -> Element:
    """Return the capabilities of the service at an address."""
    found = capability_elements(base, limits, allowed, fetches=fetches, models=models)
    return element("vosi:capabilities", *found, attributes=_NAMESPACES)


def capability_elements(
    base: str, limits: ServiceLimits, allowed: Limits, *, fetches: bool, models: Sequence[DataModel]
) -> list[Element]:
    """Return a ``capability`` element for each of TAP's resources that clients look for.

    Parameters
    ----------
    models
        The data models that the tables follow.
    """
    return [
        _table_access(f"{base}/tap", limits, allowed, fetches=fetches, models=models),
        _plain("ivo://ivoa.net/std/VOSI#capabilities", f"{base}/tap/capabilities"),
        _plain("ivo://ivoa.net/std/VOSI#availability", f"{base}/tap/availability"),
        _plain("ivo://ivoa.net/std/VOSI#tables-1.1", f"{base}/tap/tables"),
        _plain("ivo://ivoa.net/std/DALI#examples", f"{base}/tap/examples"),
    ]


def _plain(standard: str, url: str) -> Element:
    return element("capability", interface(url, use="full"), attributes={"standardID": standard})


def interface(url: str, *, use: str, version: str = "") -> Element:
    """Return the ``interface`` element of a resource that takes parameters."""
    attributes = {"xsi:type": "vs:ParamHTTP", "role": "std"} | ({"version": version} if version else {})
    return element("interface", element("accessURL", url, attributes={"use": use}), attributes=attributes)


def _table_access(
    url: str, limits: ServiceLimits, allowed: Limits, *, fetches: bool, models: Sequence[DataModel]
) -> Element:
    methods = ("inline", "http", "https") if fetches else ("inline",)
    return element(
        "capability",
        interface(url, use="base", version="1.1"),
        *(element("dataModel", model.name, attributes={"ivo-id": model.identifier}) for model in models),
        _language(),
        *map(_output, FORMATS),
        *(element("uploadMethod", attributes={"ivo-id": f"{_UPLOADS}{method}"}) for method in methods),
        element("retentionPeriod", element("default", str(limits.keep_s)), element("hard", str(limits.keep_s))),
        element(
            "executionDuration",
            element("default", str(min(limits.job_s, allowed.execution_s))),
            element("hard", str(allowed.execution_s)),
        ),
        element("outputLimit", _rows("default", allowed.rows), _rows("hard", allowed.rows)),
        element("uploadLimit", element("hard", str(allowed.upload_bytes), attributes={"unit": "byte"})),
        attributes={"standardID": "ivo://ivoa.net/std/TAP", "xsi:type": "tr:TableAccess"},
    )


def _rows(name: str, count: int) -> Element:
    return element(name, str(count), attributes={"unit": "row"})


def _language() -> Element:
    versions = ("2.0", "2.1")
    return element(
        "language",
        element("name", "ADQL"),
        *(
            element("version", version, attributes={"ivo-id": f"ivo://ivoa.net/std/ADQL#v{version}"})
            for version in versions
        ),
        element("description", "ADQL, with LIMIT, CASE, window functions and sub-queries as values besides."),
        *(
            element(
                "languageFeatures",
                *(
                    element(
                        "feature",
                        element("form", feature.form),
                        element("description", feature.description) if feature.description else None,
                    )
                    for feature in features
                ),
                attributes={"type": group},
            )
            for group, features in feature_groups()
        ),
    )


def _output(known: Format) -> Element:
    aliases = [known.name, *(alias for alias in known.aliases if not re.match("(application|text|image)/", alias))]
    attributes = {"ivo-id": _OUTPUTS[known.name]} if known.name in _OUTPUTS else {}
    return element(
        "outputFormat",
        element("mime", known.mime),
        *(element("alias", alias) for alias in aliases),
        attributes=attributes,
    )
