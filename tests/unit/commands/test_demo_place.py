"""The demo replaces an earlier demo and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from qserv_py.demo import place
from qserv_py.errors import ConfigError


def test_an_absent_or_empty_directory_is_free(tmp_path: Path) -> None:
    assert not place.earlier_demo(tmp_path / "new")
    assert not place.earlier_demo(tmp_path)


def test_an_earlier_demo_may_be_replaced(tmp_path: Path) -> None:
    place.mark(tmp_path, objects=10, seed=1)
    (tmp_path / "workers" / "w1" / "parts" / "dr1").mkdir(parents=True)
    assert place.earlier_demo(tmp_path)


@pytest.mark.parametrize(
    ("file", "message"),
    [("cluster.json", "holds a cluster that qserv demo did not make"), ("thesis.tex", "holds files that are not")],
)
def test_nothing_else_is_replaced(tmp_path: Path, file: str, message: str) -> None:
    (tmp_path / file).touch()
    with pytest.raises(ConfigError, match=message) as caught:
        place.earlier_demo(tmp_path)
    assert "--dir" in caught.value.hint


def test_data_of_the_user_in_a_demo_stay(tmp_path: Path) -> None:
    place.mark(tmp_path, objects=10, seed=1)
    (tmp_path / "workers" / "w2" / "parts" / "openngc").mkdir(parents=True)
    with pytest.raises(ConfigError, match="also holds openngc, which a new demo would remove"):
        place.earlier_demo(tmp_path)


def test_each_demo_knows_its_own_database(tmp_path: Path) -> None:
    place.mark(tmp_path, database=place.PIXELS_DATABASE, visits=4)
    (tmp_path / "workers" / "w1" / "parts" / "prompt").mkdir(parents=True)
    assert place.earlier_demo(tmp_path)
    place.mark(tmp_path, objects=10)
    with pytest.raises(ConfigError, match="also holds prompt"):
        place.earlier_demo(tmp_path)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    place.mark(tmp_path, objects=10, seed=1)
    link = tmp_path.with_name(tmp_path.name + "-link")
    link.symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="is not a directory"):
        place.earlier_demo(link)


def test_the_users_choice_is_taken_as_it_is(tmp_path: Path) -> None:
    assert place.choose_directory(tmp_path / "x") == tmp_path / "x"


def test_without_a_choice_it_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(place, "blocking_directory", lambda path, account: None)
    assert place.choose_directory(None) == tmp_path / "demo-cluster"
    monkeypatch.setattr(place, "blocking_directory", lambda path, account: tmp_path)
    assert str(place.choose_directory(None)).startswith("/var/tmp/qserv-")
