"""Which pieces are merged: however appends come, pieces stay few and no row is written again often."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qserv_py.ingest.storage.tiers import FEW, merged_tail


@given(st.integers(1, 100_000), st.lists(st.integers(1, 1000), min_size=1, max_size=300))
def test_pieces_stay_few_and_rows_are_seldom_written_again(first: int, appends: list[int]) -> None:
    pieces, written = [first], 0
    for rows in appends:
        pieces.append(rows)
        if count := merged_tail(pieces):
            merged = sum(pieces[-count:])
            pieces[-count:] = [merged]
            written += merged
        bits = (first + sum(appends)).bit_length()
        assert len(pieces) <= FEW * bits
    assert sum(pieces) == first + sum(appends)
    assert written <= 2 * (len(appends).bit_length() + 10) * sum(appends) + (first if written else 0) * 2


@given(st.lists(st.integers(0, 10**6), max_size=40), st.integers(1, 10**6))
def test_no_merged_piece_has_more_rows_than_allowed(sizes: list[int], most: int) -> None:
    count = merged_tail(sizes, most=most)
    assert count == 0 or count >= FEW
    assert sum(sizes[len(sizes) - count :]) <= most


def test_what_the_module_says() -> None:
    assert merged_tail([1000, 10, 10, 10]) == 0
    assert merged_tail([1000, 10, 10, 10, 10]) == 4
    assert merged_tail([1000, 40, 10, 10, 10, 10]) == 5
