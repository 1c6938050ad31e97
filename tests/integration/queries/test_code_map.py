"""The map of the code names functions that there are, in the order in which a query and an ingest enter them."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

import httpx2
import pyarrow.csv as pc
import pytest
from support.catalogues import Loaded
from support.ingested import add_small, objects

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.identified_session import IdentifiedSession
from qserv_py.czar.ingest_destination import open_destination
from qserv_py.czar.session import Session
from qserv_py.ingest.publishing import publish_database
from qserv_py.ingest.run import run_ingest
from qserv_py.vo.app import make_app
from qserv_py.vo.service import Service

PAGE = (Path(__file__).parents[3] / "docs" / "explanation" / "code-map.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^```sql\n(.+?)\n```$", PAGE, re.MULTILINE | re.DOTALL)


def tables() -> Iterator[list[str]]:
    """Yield the hops of each table of the page, written ``module.function``."""
    for part in PAGE.split("| module | enters |")[1:]:
        rows = re.findall(r"^\| `([\w.]+)` \| `([\w.]+)` \|", part.split("\n\n")[0], re.MULTILINE)
        yield [f"{module}.{function}" for module, function in rows]


ONE_STAGE, MERGED, INGEST = tables()


def code_of(hop: str) -> CodeType:
    """Return the code that a hop enters: a function's, or that which makes an object of a class."""
    module, function = re.fullmatch(r"([a-z_.]+)\.((?:[A-Z]\w+\.)?\w+)", hop).groups()  # type: ignore[union-attr]
    found: object = importlib.import_module(f"qserv_py.{module}")
    for name in function.split("."):
        found = getattr(found, name)
    if inspect.isclass(found):
        found = found.__init__  # type: ignore[misc]
    return inspect.unwrap(found).__code__  # type: ignore[arg-type,attr-defined,no-any-return]


@contextmanager
def noting(hops: list[str]) -> Iterator[list[str]]:
    """Note the hops as they are entered for the first time, by this thread and those that it starts."""
    wanted = {code_of(hop): hop for hop in hops}
    entered: list[str] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code in wanted:
            hop = wanted[frame.f_code]
            if hop not in entered:
                entered.append(hop)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield entered
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


async def ask(session: Session, adql: str) -> str:
    """Return the CSV that a service in this process gives for a query."""
    service = Service(IdentifiedSession(session))
    transport = httpx2.ASGITransport(app=make_app(service))
    try:
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as client:
            reply = await client.post("/tap/sync", data={"QUERY": adql, "FORMAT": "csv"})
    finally:
        service.close(grace_s=0)
    assert reply.status_code == 200, reply.text
    return reply.text


@pytest.mark.parametrize(("query", "hops"), list(zip(QUERIES, [ONE_STAGE, MERGED], strict=True)), ids=["rows", "merge"])
def test_a_query_enters_the_hops_in_their_order(cluster: Cluster, field: Loaded, query: str, hops: list[str]) -> None:
    assert len(hops) >= 5
    with Session(cluster) as session, noting(hops) as entered:
        reply = asyncio.run(ask(session, query.replace("dr1.", "field.")))
    assert len(reply.splitlines()) > 3
    assert entered == hops


def test_a_file_enters_the_hops_in_their_order(cluster: Cluster, tmp_path: Path) -> None:
    database = add_small(cluster, tmp_path, "mapped")
    file = tmp_path / "objects.csv"
    pc.write_csv(objects(60, seed=1), file)
    with open_destination(cluster, sync=False) as destination, noting(INGEST) as entered:
        run_ingest(destination, database=database.name, table="Object", files=[file], rejects_dir=tmp_path)
        publish_database(destination, database.name)
    assert len(INGEST) > 15
    assert entered == INGEST
