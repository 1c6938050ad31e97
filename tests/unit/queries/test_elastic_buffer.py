"""The buffer between a query and its client: order, spilling to the disk, ends and failures."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qserv_py.czar.queries.elastic import ElasticBuffer
from qserv_py.errors import LimitError, QservError
from qserv_py.executor.budget import Budget


def disk(most: int = 1 << 30) -> Budget:
    return Budget("results", most, setting="spill_bytes")


async def drain(buffer: ElasticBuffer) -> bytes:
    found = b""
    while piece := await buffer.read():
        found += piece
    buffer.close()
    return found


@given(pieces=st.lists(st.binary(max_size=300), max_size=40), memory=st.integers(1, 400), reads=st.data())
def test_what_comes_out_is_what_went_in(pieces: list[bytes], memory: int, reads: st.DataObject) -> None:
    async def go() -> bytes:
        buffer = ElasticBuffer(Path(tempfile.gettempdir()), disk().account(), disk().account(), memory=memory)
        found = b""
        try:
            for piece in pieces:
                buffer.write(piece)
                if piece and reads.draw(st.booleans()):
                    found += await buffer.read()
            buffer.finish()
            return found + await drain(buffer)
        finally:
            buffer.close()

    assert asyncio.run(go()) == b"".join(pieces)


def test_a_reader_waits_for_a_writer_in_another_thread(tmp_path: Path) -> None:
    pieces = [bytes([number % 256]) * 1000 for number in range(500)]

    async def go() -> bytes:
        buffer = ElasticBuffer(tmp_path, disk().account(), disk().account(), memory=5000)

        def write() -> None:
            for piece in pieces:
                buffer.write(piece)
            buffer.finish()

        thread = threading.Thread(target=write)
        thread.start()
        found = await drain(buffer)
        thread.join()
        return found

    assert asyncio.run(go()) == b"".join(pieces)


def test_memory_is_bounded_and_a_writer_never_waits(tmp_path: Path) -> None:
    async def go() -> tuple[int, int]:
        buffer = ElasticBuffer(tmp_path, disk().account(), disk().account(), memory=10_000)
        for _ in range(1000):
            buffer.write(b"x" * 1000)
        held = buffer.held
        buffer.finish()
        return held, len(await drain(buffer))

    assert asyncio.run(go()) == (10_000, 1_000_000)


def test_memory_is_bounded_for_all_together(tmp_path: Path) -> None:
    memory = disk(10_000)

    async def go() -> None:
        one, other = (ElasticBuffer(tmp_path, disk().account(), memory.account()) for _ in range(2))
        one.write(b"x" * 9000)
        other.write(b"y" * 2000)
        other.write(b"z" * 500)
        assert (one.held, other.held) == (9000, 0)
        assert len(await one.read()) == 9000
        assert memory.taken == 9000, "the client may take them slowly"
        one.finish()
        assert await one.read() == b""
        assert memory.taken == 0
        other.finish()
        assert await drain(other) == b"y" * 2000 + b"z" * 500
        one.write(b"too late")
        one.close()
        assert (memory.taken, memory.highest) == (0, 9000)

    asyncio.run(go())


def test_a_failure_comes_after_the_bytes(tmp_path: Path) -> None:
    async def go() -> None:
        buffer = ElasticBuffer(tmp_path, disk().account(), disk().account(), memory=3)
        buffer.write(b"abc")
        buffer.write(b"def")
        buffer.finish(ValueError("broke off"))
        assert not buffer.is_whole
        assert await buffer.read() + await buffer.read() == b"abcdef"
        with pytest.raises(ValueError, match="broke off"):
            await buffer.read()
        buffer.close()

    asyncio.run(go())


def test_a_closed_buffer_takes_and_keeps_nothing(tmp_path: Path) -> None:
    async def go() -> None:
        buffer = ElasticBuffer(tmp_path, disk().account(), disk().account(), memory=2)
        buffer.write(b"abcdef")
        buffer.close()
        assert buffer.write(b"more") == 4
        assert buffer.held == 0

    asyncio.run(go())


def test_what_waits_on_the_disk_is_bounded_for_all_together(tmp_path: Path) -> None:
    budget = disk(10_000)

    async def go() -> None:
        one, other = (ElasticBuffer(tmp_path, budget.account(), disk().account(), memory=10) for _ in range(2))
        one.write(b"x" * 6000)
        with pytest.raises(LimitError, match="of results would have to be held at a time"):
            other.write(b"x" * 6000)
        one.finish()
        assert len(await drain(one)) == 6000
        assert budget.taken == 0
        other.write(b"x" * 6000)
        other.close()
        assert budget.taken == 0

    asyncio.run(go())


def test_the_first_bytes_the_end_or_the_failure(tmp_path: Path) -> None:
    async def go() -> None:
        begun, empty, failed, cancelled = (
            ElasticBuffer(tmp_path, disk().account(), disk().account()) for _ in range(4)
        )
        begun.write(b"x")
        begun.give_up(QservError("it has begun, and says itself how it ends"))
        await begun.first()
        assert await begun.read() == b"x"
        empty.finish()
        await empty.first()
        assert await empty.read() == b""
        failed.finish(QservError("it failed"))
        cancelled.give_up(QservError("it was cancelled"))
        cancelled.write(b"too late")
        cancelled.finish()
        for buffer, text in ((failed, "it failed"), (cancelled, "it was cancelled")):
            with pytest.raises(QservError, match=text):
                await buffer.first()

    asyncio.run(asyncio.wait_for(go(), 5))
