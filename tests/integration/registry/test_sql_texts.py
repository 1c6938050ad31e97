"""Every text of sql/ is planned by a real PostgreSQL (or DuckDB), so a misspelt column fails here and not at night.

Statements that can be explained are, with NULL for every parameter; the others are run and rolled back. Texts of the
registry see the registry's tables, those of a worker a shard with two tables that stand for a catalogue's.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import psycopg
import pytest
from psycopg import sql
from support.postgres import TestServer

from qserv_py.executor.merge import MERGE_SCRIPTS
from qserv_py.registry.migrations import apply_migrations
from qserv_py.sql import load, names

ROOT = Path(__file__).resolve().parents[3]
FILES = {
    f"{path.relative_to(ROOT / 'sql').parts[0]}/{path.stem}": path for path in sorted((ROOT / "sql").rglob("*.sql"))
}
NAMES = sorted(FILES)
SCRIPTS = {name for name in NAMES if name.startswith("migrations/")} | {
    "worker/schema",
    "worker/functions",
    "worker/catalogue_functions",
    "worker/shape_functions",
    "worker/bookkeeping",
    "worker/reader",
    "worker/scratch",
}
"""Texts of several statements; applied whole by the fixtures here and by their own tests."""

EXPLAINABLE = {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "MERGE"}

TABLES = """
CREATE SCHEMA test;
CREATE TABLE test.parent (id bigint, healpix29 bigint NOT NULL) PARTITION BY RANGE (healpix29);
CREATE TABLE test.attached PARTITION OF test.parent FOR VALUES FROM (0) TO (10);
CREATE TABLE test.loose (id bigint, healpix29 bigint NOT NULL);
CREATE VIEW test.view AS SELECT * FROM test.loose;
"""

IDENTIFIERS = {
    "schema": sql.Identifier("test"),
    "parent": sql.Identifier("test", "parent"),
    "table": sql.Identifier("test", "loose"),
    "relation": sql.Identifier("test", "loose"),
    "new_table": sql.Identifier("test", "made_here"),
    "view": sql.Identifier("test", "view"),
    "column": sql.Identifier("healpix29"),
    "columns": sql.Identifier("healpix29"),
    "index": sql.Identifier("index_made_here"),
}
"""What stands in for the names in braces, and for names that are relations of the catalogue."""


def code_of(text: str) -> str:
    return re.sub(r"^\s*--.*$", "", text, flags=re.MULTILINE).strip()


def parameters_of(text: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", text))


@pytest.fixture(scope="module")
def connection(postgres_server: TestServer) -> Iterator[psycopg.Connection]:
    """A database that is a registry and a shard at once."""
    conninfo = postgres_server.create_shard()
    with psycopg.connect(conninfo, autocommit=True) as opened:
        apply_migrations(opened)
        opened.execute(TABLES)
        opened.autocommit = False
        yield opened
    postgres_server.drop_database(conninfo)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SCRIPTS])
def test_every_statement_is_understood(connection: psycopg.Connection, name: str) -> None:
    text = load(name)
    if "DuckDB's dialect" in text:
        database = duckdb.connect()
        for earlier in MERGE_SCRIPTS[: MERGE_SCRIPTS.index(name) + 1]:
            database.execute(load(earlier))
        return
    braces = set(re.findall(r"\{(\w+)\}", code_of(text)))
    assert braces <= IDENTIFIERS.keys(), f"add {braces - IDENTIFIERS.keys()} to IDENTIFIERS"
    body = code_of(text).rstrip(";")
    statement = sql.SQL(body).format(**{key: IDENTIFIERS[key] for key in braces}) if braces else sql.SQL(body)
    values = dict.fromkeys(parameters_of(body))
    explained = body.split(None, 1)[0].upper() in EXPLAINABLE
    with connection.transaction(force_rollback=True):
        connection.execute(sql.SQL("EXPLAIN ") + statement if explained else statement, values or None)


@pytest.mark.parametrize("name", NAMES)
def test_every_text_says_what_it_is(name: str) -> None:
    text = load(name)
    head = re.match(r"(?:--.*\n)+", text)
    assert head is not None
    assert head[0].startswith(f"-- {FILES[name].relative_to(ROOT).as_posix()}\n")
    for word in ("Parameters:", "Returns:", "Used by:"):
        assert word in head[0], f"the header does not say {word}"


@pytest.mark.parametrize("name", NAMES)
def test_every_value_is_bound_with_a_cast(name: str) -> None:
    bare = re.findall(r"%\(\w+\)s(?!::)", code_of(load(name)))
    assert not bare, f"{bare} need a cast"


def test_the_header_names_the_parameters() -> None:
    for name in NAMES:
        text = load(name)
        described = text[: text.index("Used by:")]
        for parameter in parameters_of(code_of(text)):
            assert re.search(rf"\b{parameter}\b", described), f"{name} does not describe {parameter}"


@dataclass(frozen=True)
class Module:
    """What a module of the product names."""

    constants: frozenset[object]
    functions: frozenset[str]
    """Names of its functions and methods."""


@cache
def modules() -> Mapping[str, Module]:
    """Return the modules of the product by their dotted names below qserv_py; the trees of all take seconds."""
    found = {}
    for folder in ("qserv_py", "sql", "partitioner", "workers", "ingest", "pipelines", "replication"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if any(part.is_symlink() for part in path.parents):
                continue
            nodes = list(ast.walk(ast.parse(path.read_text())))
            below = path.relative_to(ROOT / "qserv_py" if path.is_relative_to(ROOT / "qserv_py") else ROOT)
            found[".".join(below.with_suffix("").parts)] = Module(
                constants=frozenset(node.value for node in nodes if isinstance(node, ast.Constant)),
                functions=frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef)),
            )
    return found


def users_of(name: str) -> set[str]:
    """Return the modules whose code names a text, dotted."""
    short = name.partition("/")[2]
    return {dotted for dotted, module in modules().items() if {name, short} & module.constants}


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("migrations/")])
def test_the_header_names_those_who_use_it(name: str) -> None:
    head = re.match(r"(?:--.*\n)+", load(name))
    assert head is not None
    said = re.sub(r"\s*\n--\s*", " ", head[0].partition("Used by:")[2].strip())
    users = users_of(name)
    assert users, f"nobody names {name}"
    for written in re.findall(r"\b[a-z_]+(?:\.[a-z_]+)+", re.sub(r"\(.*?\)", "", said)):
        module, _, function = written.rpartition(".")
        found = written in users or (module in users and function in modules()[module].functions)
        assert found, f"{written} does not use it"


def test_a_name_is_that_of_one_text() -> None:
    assert len(FILES) == len(list((ROOT / "sql").rglob("*.sql")))


def test_the_loader_finds_every_text() -> None:
    folders = {name.partition("/")[0] for name in NAMES}
    assert sorted(name for folder in folders for name in names(folder)) == NAMES
