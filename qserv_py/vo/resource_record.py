"""``/record``: the record for the registry of the Virtual Observatory, by VOResource 1.1 and VODataService 1.1.

One record of type CatalogService with the capabilities and tables that anybody sees. An operator hands its address to a
publishing registry.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time
from urllib.parse import quote
from xml.etree.ElementTree import Element

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from qserv_py.catalog.model import Database, DatabaseState, DirectorTable
from qserv_py.catalog.snapshot import Catalog
from qserv_py.czar.identity.identity import ANONYMOUS
from qserv_py.czar.obscore.standard import data_models
from qserv_py.czar.settings.vo_resource import VoResource
from qserv_py.errors import NotFoundError
from qserv_py.vo.http.replies import xml_reply
from qserv_py.vo.http.xml import XSI, element
from qserv_py.vo.service import service_of
from qserv_py.vo.tap.capabilities import capability_elements, interface
from qserv_py.vo.tap.examples import Place, place_with_rows
from qserv_py.vo.tap.tables import schema_elements

_SCHEMAS = {
    "ri": "http://www.ivoa.net/xml/RegistryInterface/v1.0",
    "vr": "http://www.ivoa.net/xml/VOResource/v1.0",
    "vs": "http://www.ivoa.net/xml/VODataService/v1.1",
    "tr": "http://www.ivoa.net/xml/TAPRegExt/v1.0",
    "cs": "http://www.ivoa.net/xml/ConeSearch/v1.0",
}
_NAMESPACES = {
    **{f"xmlns:{prefix}": name for prefix, name in _SCHEMAS.items()},
    **XSI,
    # The IVOA's schemas lie where their namespaces say.
    "xsi:schemaLocation": " ".join(f"{name} {name}" for name in _SCHEMAS.values()),
}


async def record(request: Request) -> Response:
    """Return the record."""
    service = service_of(request)
    publication = service.publication
    if publication is None:
        raise NotFoundError(
            "this service has no record for a registry",
            hint='The operator writes "publication" into settings.yaml; docs/reference/settings.md has its keys.',
        )
    base, served = service.base_url(request), request.app.state.services
    catalog = await run_in_threadpool(service.session.catalog, ANONYMOUS)
    allowed = service.rules.limits_for(ANONYMOUS)
    capabilities: list[Element] = []
    if "tap" in served:
        fetches = bool(service.settings.upload_hosts)
        capabilities += capability_elements(base, service.limits, allowed, fetches=fetches, models=data_models(catalog))
    if "cone" in served:
        names = {database.name for database, _ in _searched(catalog)}
        catalog = await run_in_threadpool(service.session.catalog_with_chunks, names, ANONYMOUS)
        capabilities += cone_capabilities(base, catalog, most_rows=allowed.rows)
    return xml_reply(request, record_document(publication, catalog, capabilities, updated=service.started_at))


def record_document(
    publication: VoResource, catalog: Catalog, capabilities: list[Element], *, updated: datetime
) -> Element:
    """Return the record of what a catalogue holds and a service can do."""
    return element(
        "ri:Resource",
        element("title", publication.title),
        element("shortName", publication.short_name) if publication.short_name else None,
        element("identifier", publication.identifier),
        _curation(publication),
        _content(publication),
        *capabilities,
        _coverage(publication),
        element("tableset", *schema_elements(catalog, columns=True)),
        attributes={
            **_NAMESPACES,
            "xsi:type": "vs:CatalogService",
            "created": _moment(datetime.combine(publication.created, time(), UTC)),
            "updated": _moment(updated),
            "status": "active",
        },
    )


def cone_capabilities(base: str, catalog: Catalog, *, most_rows: int) -> list[Element]:
    """Return a ``capability`` element for the cone search of each director table; the catalogue has their chunks."""
    return [
        _cone_search(f"{base}/cone/{quote(table.qualified)}?", place_with_rows(database, table, catalog), most_rows)
        for database, table in _searched(catalog)
    ]


def _searched(catalog: Catalog) -> Iterator[tuple[Database, DirectorTable]]:
    """Yield the tables that cone searches read."""
    for database in catalog.databases:
        if database.state is DatabaseState.PUBLISHED:
            yield from ((database, table) for table in database.tables if isinstance(table, DirectorTable))


def _cone_search(url: str, place: Place | None, most_rows: int) -> Element:
    test = place and (("ra", place.ra), ("dec", place.dec), ("sr", place.radius))
    return element(
        "capability",
        interface(url, use="base"),
        element("maxSR", "180.0"),
        element("maxRecords", str(most_rows)),
        element("verbosity", "true"),
        element("testQuery", *(element(name, f"{value:.6f}") for name, value in test)) if test else None,
        attributes={"standardID": "ivo://ivoa.net/std/ConeSearch", "xsi:type": "cs:ConeSearch"},
    )


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _coverage(publication: VoResource) -> Element | None:
    wavebands = [element("waveband", name) for name in publication.wavebands]
    return element("coverage", *wavebands) if wavebands else None


def _curation(publication: VoResource) -> Element:
    creators = publication.creators or (publication.publisher,)
    return element(
        "curation",
        element("publisher", publication.publisher),
        *(element("creator", element("name", name)) for name in creators),
        element("contact", element("name", publication.contact_name), element("email", publication.contact_email)),
    )


def _content(publication: VoResource) -> Element:
    return element(
        "content",
        *(element("subject", subject) for subject in publication.subjects),
        element("description", publication.description),
        element("referenceURL", publication.reference_url),
        element("type", "Survey"),
        element("type", "Catalog"),
        element("contentLevel", "Research"),
    )


RECORD_ROUTE = Route("/record", record)
