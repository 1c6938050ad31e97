"""The runner of the documentation's examples notices what it should."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support import examples

PAGE = """
Text.

```console
$ export NAME=sky
$ echo "one
> $NAME   two" && mkdir -p deep && \\
> cd deep
one
sky two
$ echo 'it
goes on'
it
goes on
$ basename "$PWD"
de...
```

<!-- file: words.txt -->
```text
hello
```

<!-- example: exit 3 -->
```console
$ cat words.txt; exit 3
hello
```

<!-- example: skip, it would end the world -->
```console
$ false
```

```python
print("a", 1 + 1)
```

```text
a 2
```
"""


def write(tmp_path: Path, text: str) -> Path:
    page = tmp_path / "page.md"
    page.write_text(text)
    return page


def test_a_right_page_passes_and_keeps_its_state(tmp_path: Path) -> None:
    session = examples.run_page(write(tmp_path, PAGE), tmp_path, environment={})
    assert session.directory == tmp_path / "deep"
    assert session.environment["NAME"] == "sky"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("one\nsky", "one\nsea"),
        ("exit 3 -->", "exit 4 -->"),
        ("\na 2", "\na 3"),
        ("de...", "x..."),
        ("skip,", "run,"),
    ],
)
def test_a_wrong_page_fails_with_the_place(tmp_path: Path, old: str, new: str) -> None:
    with pytest.raises(AssertionError, match=r"page\.md:\d+"):
        examples.run_page(write(tmp_path, PAGE.replace(old, new)), tmp_path, environment={})


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a ... c", "a b c", True),
        ("a\n...\nz", "a\nb\nc\nz", True),
        ("a\n...\nz", "a\nz", True),
        ("a\nz", "a\nb\nz", False),
        (" n \n---\n 4", "┏━━━┓\n┃ n ┃\n│ 4 │", True),
        ("", "anything", True),
        ("... rows", "17 rows", True),
        ("1.5", "1x5", False),
    ],
)
def test_matching(expected: str, printed: str, same: bool) -> None:
    assert examples.matches(expected, printed) is same


def test_ports_of_a_page_are_free_ones() -> None:
    page = "$ serve --port 8093 &\n$ curl http://127.0.0.1:8093/a http://127.0.0.1:8094/b # 8093 rows\n"
    replaced = examples.with_free_ports(page)
    found = re.fullmatch(
        r"\$ serve --port (\d+) &\n\$ curl http://127\.0\.0\.1:(\d+)/a http://127\.0\.0\.1:(\d+)/b # 8093 rows\n",
        replaced,
    )
    assert found is not None
    served, asked, other = found.groups()
    assert served == asked != other
    assert not {served, other} & {"8093", "8094"}
