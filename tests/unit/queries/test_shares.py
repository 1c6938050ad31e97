"""What queries may hold: of the process, of one query; and how much that is on a machine or in a control group."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.waiting import wait_until

from qserv_py.cancelling import Cancel
from qserv_py.czar.queries.shares import MemorySettings, Shares, available_bytes, shares_of
from qserv_py.errors import LimitError, QueryCancelledError
from qserv_py.executor.budget import Budget

GIB = 1 << 30


def budget() -> Budget:
    return Budget("rows", 1000, setting="process_bytes", each=600, each_setting="query_bytes")


def test_one_query_and_all_together() -> None:
    made = budget()
    one, other = made.account(), made.account()
    one.take(600)
    with pytest.raises(LimitError, match="more than 0.0 MiB of rows would have to be held for one query") as caught:
        one.take(1)
    assert '"query_bytes" in settings.yaml' in caught.value.hint
    other.take(400)
    with pytest.raises(LimitError, match="of rows would have to be held at a time") as caught:
        other.take(1)
    assert '"process_bytes" in settings.yaml' in caught.value.hint
    one.give_back(1)
    other.take(1)
    one.give_back()
    other.give_back()
    assert (made.taken, one.taken, other.taken) == (0, 0, 0)


def test_threads_take_no_more_than_there_is() -> None:
    made = budget()
    refused = threading.Semaphore(0)

    def work() -> None:
        account = made.account()
        for _ in range(500):
            try:
                account.take(7)
            except LimitError:
                refused.release()
                account.give_back()
            assert 0 <= made.taken <= 1000
        account.give_back()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.taken == 0


def test_an_older_query_gets_what_the_youngest_holds() -> None:
    made = budget()
    old, middle, young = (made.account(Cancel()) for _ in range(3))
    middle.take(400)
    young.take(500)
    with ThreadPoolExecutor(1) as threads:
        taking = threads.submit(old.take, 300)
        assert wait_until(lambda: young.cancel is not None and young.cancel.is_cancelled)
        assert not taking.done()
        with pytest.raises(LimitError, match="of rows would have to be held at a time"):
            young.take(1)
        young.give_back()
        taking.result(60)
    assert (old.taken, middle.taken, made.taken, made.highest) == (300, 400, 700, 900)
    assert isinstance(young.cancel, Cancel)
    assert isinstance(young.cancel.reason, LimitError)
    assert '"process_bytes" in settings.yaml' in young.cancel.reason.hint


def test_a_query_that_has_all_its_rows_is_not_refused_for_an_older_one() -> None:
    made = budget()
    old, young = (made.account(Cancel()) for _ in range(2))
    young.take(600)
    young.settle()
    with pytest.raises(LimitError, match="of rows would have to be held at a time"):
        old.take(500)
    assert made.taken == 600


def test_a_query_that_is_cancelled_while_it_waits_holds_nothing() -> None:
    made, ending = budget(), Cancel()
    old, young = (made.account(Cancel()) for _ in range(2))
    young.take(600)
    with ThreadPoolExecutor(1) as threads:
        taking = threads.submit(lambda: old.take(500, cancel=ending))
        assert wait_until(lambda: young.cancel is not None and young.cancel.is_cancelled)
        ending.cancel()
        with pytest.raises(QueryCancelledError):
            taking.result(60)
    young.give_back()
    assert (old.taken, made.taken) == (0, 0)


def test_the_parts_are_no_more_than_the_whole(tmp_path: Path) -> None:
    shares = shares_of(MemorySettings(process_bytes=GIB, spill_bytes=GIB), tmp_path)
    assert shares == Shares(
        merges=GIB // 2,
        rows=GIB * 3 // 8,
        query_rows=GIB // 4,
        replies=GIB // 16,
        batch=1 << 19,
        merge_spill=GIB // 2,
        reply_spill=GIB // 2,
    )
    assert shares_of(MemorySettings(process_bytes=16 << 20), tmp_path).batch == 64 << 10
    assert shares_of(MemorySettings(process_bytes=64 * GIB), tmp_path).batch == 1 << 20
    assert shares_of(MemorySettings(process_bytes=GIB, query_bytes=GIB), tmp_path).query_rows == GIB * 3 // 8
    assert shares_of(MemorySettings(), tmp_path).merges * 2 <= available_bytes()


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "1000000"}, 1_000_000),
        ("0::/a\n", {"memory.max": "5000"}, 5000),
        ("4:memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "7000", "memory.max": "max"}, 7000),
        ("3:cpu,memory:/\n", {"memory/memory.limit_in_bytes": "8000"}, 8000),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("", {}, None),
    ],
)
def test_the_limit_of_a_control_group(tmp_path: Path, own: str, files: dict[str, str], limit: int | None) -> None:
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    machine = available_bytes(tmp_path / "nothing", tmp_path / "nothing")
    assert available_bytes(tmp_path / "groups", tmp_path / "own") == (limit or machine)
