"""Files that come with a query: the UPLOAD parameter, formats by content, and what is refused before it is read."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from support.waiting import AT_ONCE_S

from qserv_py.czar.queries.checked_uploads import check_votable, kind_of, read_uploads, upload_sources
from qserv_py.czar.user_tables.file_to_arrow import read_upload
from qserv_py.errors import ContributionError, QservError, QueryCancelledError, UserError
from qserv_py.ingest.requests import InputFormat
from qserv_py.vo.http import upload_source
from qserv_py.vo.http.parameters import Parameters
from qserv_py.vo.http.upload_source import UploadSource


def test_the_upload_parameter() -> None:
    assert upload_sources(["a,param:x;b , param:y", "c,http://h/t"]) == {
        "a": "param:x",
        "b": "param:y",
        "c": "http://h/t",
    }
    assert upload_sources([]) == {}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("a", "not of the form name,uri"),
        ("a,", "not of the form name,uri"),
        ("1a,param:x", '"1a" cannot name'),
        ("../a,param:x", "cannot name"),
        ("select,param:x", "reserves the word"),
        ("a,param:x;A,param:y", 'names "A" twice'),
        (";".join(f"t{n},param:x" for n in range(21)), "brings 21 tables"),
    ],
)
def test_a_wrong_upload_parameter(value: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        upload_sources([value])


def table(*, masked: bool) -> Table:
    made = Table({"ra": [1.5, 2.5], "n": MaskedColumn([1, 2], mask=[False, masked]), "name": ["x", "Å"]})
    made["ra"].unit = "deg"
    made["ra"].meta["ucd"] = "pos.eq.ra"
    made["ra"].description = "where"
    return made


@pytest.mark.parametrize("kind", ["tabledata", "binary", "binary2"])
def test_votables_keep_names_units_and_nulls(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "t"
    masked = kind != "binary"  # astropy cannot write a NULL there
    table(masked=masked).write(path, format="votable", tabledata_format=kind)
    text = path.read_bytes().replace(b'ID="ra"', b'ID="col_0"')
    path.write_bytes(text)
    found = read_uploads({"t": path}, hold=lambda size: None)["t"]
    assert found.column_names == ["ra", "n", "name"]
    assert found.column("n").to_pylist() == [1, None if masked else 2]
    assert found.column("name").to_pylist() == ["x", "Å"]
    assert found.schema.field("ra").metadata[b"unit"] == b"deg"


def test_other_formats_are_known_by_their_content(tmp_path: Path) -> None:
    rows = pa.table({"a": [1, 2], "b": ["x", None]})
    pq.write_table(rows, tmp_path / "p")
    fits.BinTableHDU(np.rec.array([(1, 2.5)], names="a,b")).writeto(tmp_path / "f")
    (tmp_path / "c").write_text("a,b\n1,x\n2,\n")
    found = read_uploads({name: tmp_path / name for name in "pfc"}, hold=lambda size: None)
    assert found["p"].to_pydict() == rows.to_pydict()
    assert found["f"].to_pydict() == {"a": [1], "b": [2.5]}
    assert found["c"].to_pydict() == {"a": [1, 2], "b": ["x", None]}
    assert kind_of(tmp_path / "f") is InputFormat.FITS


@pytest.mark.parametrize("layout", ["plain", "dictionary", "large"])
def test_texts_that_are_none(tmp_path: Path, layout: str) -> None:
    texts = pa.array([b"x", None, b"\xff"]).view(pa.string())
    layouts = {"plain": texts, "dictionary": texts.dictionary_encode(), "large": texts.cast(pa.large_string())}
    pq.write_table(pa.table({"a": [1, 2, 3], "b": layouts[layout]}), tmp_path / "p")
    with pytest.raises(UserError, match='row 3, column "b": not UTF-8 text') as caught:
        read_uploads({"t": tmp_path / "p"}, hold=lambda size: None)
    assert str(tmp_path) not in caught.value.render()


@pytest.mark.parametrize("key", ["IVOA.VOTable-Parquet.content", "table_meta_yaml"])
def test_descriptions_that_cannot_be_read(tmp_path: Path, key: str) -> None:
    pq.write_table(pa.table([[1]], schema=pa.schema([("a", pa.int64())], metadata={key: "<x>: ["})), tmp_path / "p")
    with pytest.raises(UserError, match=f"{key}.*(no VOTable|not YAML)") as caught:
        read_uploads({"t": tmp_path / "p"}, hold=lambda size: None)
    assert str(tmp_path) not in caught.value.render()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"\x1f\x8b\x08junk", "compressed"),
        (b"<VOTABLE><oops", "not XML"),
        (b"<VOTABLE></VOTABLE>", "cannot be read as votable"),
        (b"a,b\n1\n", "cannot be read as csv"),
        (b"PAR1junk", "cannot be read as parquet"),
        (b"SIMPLE  = junk", "cannot be read as fits"),
    ],
)
def test_what_is_no_table(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "t"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_uploads({"t": path}, hold=lambda size: None)
    assert str(tmp_path) not in caught.value.render()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'<!DOCTYPE v [<!ENTITY a "b">]><VOTABLE>&a;</VOTABLE>', "a document type"),
        (b'<!DOCTYPE v SYSTEM "file:///etc/passwd"><VOTABLE/>', "a document type"),
        ('<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE v []><VOTABLE/>'.encode("utf-16"), "a document type"),
        (b'<VOTABLE xmlns="x"><STREAM href="file:///etc/passwd"/></VOTABLE>', "lies elsewhere"),
        (b'<v:VOTABLE xmlns:v="x"><v:STREAM href="http://h/"/></v:VOTABLE>', "lies elsewhere"),
        (b'<VOTABLE><STREAM encoding="gzip">AAAA</STREAM></VOTABLE>', "a compressed STREAM"),
        (b'<?xml version="1.0" encoding="utf-7"?><VOTABLE/>', "in an encoding that cannot be read"),
        (b'<?xml version="1.0" encoding="big5"?><VOTABLE/>', "in an encoding that cannot be read"),
    ],
)
def test_votables_that_reach_out_or_grow(content: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_votable(io.BytesIO(content))


def source(url: str, *addresses: str) -> UploadSource:
    found = [(0, 0, 0, "", (address, 0)) for address in addresses]
    return UploadSource(Parameters({"UPLOAD": [f"t,{url}"]}), ("data.org",), 1000, lambda _host, _port: found)


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("http://other.org/t", ["8.8.8.8"]),
        ("http://data.org.evil.org/t", ["8.8.8.8"]),
        ("http://data.org@evil.org/t", ["8.8.8.8"]),
        ("http://user@data.org/t", ["8.8.8.8"]),
        ("file:///etc/passwd", []),
        ("ftp://data.org/t", ["8.8.8.8"]),
        ("http://data.org:x/t", ["8.8.8.8"]),
        ("http://data.org/t", ["127.0.0.1"]),
        ("http://data.org/t", ["8.8.8.8", "10.0.0.1"]),
        ("http://data.org/t", ["169.254.169.254"]),
        ("http://data.org/t", ["::1"]),
        ("http://data.org/t", ["::ffff:127.0.0.1"]),
        ("http://data.org/t", []),
    ],
)
def test_urls_that_are_not_fetched(tmp_path: Path, url: str, addresses: list[str]) -> None:
    with pytest.raises(UserError, match="is not fetched by this service"):
        source(url, *addresses).save(tmp_path)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [(200, b"a\n1\n", ""), (302, b"", "HTTP status 302"), (200, b"x" * 1001, "has more than 1000 bytes")],
)
def test_urls_that_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, message: str
) -> None:
    asked = []

    really = socket.create_connection

    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)

    def connect(place: tuple[str, int], timeout: float) -> socket.socket:
        asked.append(place)
        return really(listening.getsockname(), timeout=timeout)

    monkeypatch.setattr(socket, "create_connection", connect)
    wanted = source("http://data.org:81/t?x=1", "8.8.8.8")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        if message:
            with pytest.raises(QservError, match=message):
                wanted.save(tmp_path)
        else:
            assert wanted.save(tmp_path)["t"].read_bytes() == body
        thread.join()
    assert asked == [("8.8.8.8", 81)]  # the address that was checked


@contextmanager
def dawdling(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand for all servers: a header, and then a byte now and then for as long as somebody listens."""
    really = socket.create_connection

    def answer() -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 x\r\nContent-Length: 900\r\n\r\n")
            for _ in range(900):
                connection.sendall(b"x")
                time.sleep(0.05)

    monkeypatch.setattr(
        socket, "create_connection", lambda _place, timeout: really(listening.getsockname(), timeout=timeout)
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join(20)
        assert not thread.is_alive(), "the connection was left open"


def test_a_server_that_dawdles_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_source, "FETCH_S", 0.5)
    with dawdling(monkeypatch):
        began = time.monotonic()
        with pytest.raises(UserError, match="does not answer"):
            source("http://data.org/t", "8.8.8.8").save(tmp_path)
        assert time.monotonic() - began < AT_ONCE_S


def test_fetching_ends_when_the_query_is_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = source("http://data.org/t", "8.8.8.8")
    with dawdling(monkeypatch):
        told_at = []

        def tell() -> None:
            told_at.append(time.monotonic())
            wanted.cancel.cancel(QueryCancelledError("the client has gone"))

        timer = threading.Timer(0.3, tell)
        timer.start()
        with pytest.raises(QueryCancelledError, match="the client has gone"):
            wanted.save(tmp_path)
        assert time.monotonic() - told_at[0] < AT_ONCE_S


def test_columns_of_csv_files_get_the_type_that_their_values_have(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "whole,real,exponent,nothing,id,zeros,hex,large,truth,missing\n"
        "1,1.0,1e3,NaN,4611686018427387905,007,0x10,9223372036854775808,true,\n"
        "-2,3.0,2e3,nan,NaN,012,0x20,1,FALSE,\n"
    )
    table = read_upload(path)
    assert {name: str(table.schema.field(name).type) for name in table.column_names} == {
        "whole": "int64",
        "real": "double",
        "exponent": "double",
        "nothing": "double",
        "id": "int64",
        "zeros": "string",
        "hex": "string",
        "large": "string",
        "truth": "bool",
        "missing": "string",
    }
    assert table["id"].to_pylist() == [4611686018427387905, None]
    path.write_text("x;y\n1;2\n")
    with pytest.raises(ContributionError, match='"x;y" is the only column'):
        read_upload(path)


def test_ecsv_says_the_types_of_its_columns(tmp_path: Path) -> None:
    from astropy.table import Table

    path = tmp_path / "t.ecsv"
    Table({"name": ["1E5", "NaN"], "real": [1.0, 3.0], "whole": [1, 2], "truth": [True, False]}).write(path)
    assert read_upload(path).to_pydict() == {
        "name": ["1E5", "NaN"],
        "real": [1.0, 3.0],
        "whole": [1, 2],
        "truth": [True, False],
    }
    assert str(read_upload(path).schema.field("real").type) == "double"
