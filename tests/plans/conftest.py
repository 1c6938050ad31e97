"""``pytest tests/plans --update-plans`` writes the plans of today into the files; read the difference."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-plans", action="store_true", help="rewrite the expected plans of tests/plans/*.txt")
