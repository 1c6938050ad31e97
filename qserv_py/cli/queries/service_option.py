"""Options of commands that ask a service: ``--url``, and the token from the environment."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from qserv_py.errors import ConfigError

if TYPE_CHECKING:
    from qserv_py.remote.http import Service
    from qserv_py.remote.jobs import Jobs
    from qserv_py.remote.queries import RemoteQueries

URL_VARIABLE = "QSERV_URL"
TOKEN_VARIABLE = "QSERV_TOKEN"  # noqa: S105 - the name of a variable

Function = TypeVar("Function", bound=Callable[..., Any])


def url_option(function: Function) -> Function:
    """Give a command ``--url``; it receives ``url``, perhaps empty."""
    return click.option(
        "--url", default="", envvar=URL_VARIABLE, metavar="URL", help=f"Address of a service; default {URL_VARIABLE}."
    )(function)


def jobs_at(url: str) -> Jobs:
    """Return the jobs of the service at an address."""
    from qserv_py.remote.jobs import Jobs

    return Jobs(_service_at(url))


def queries_at(url: str) -> RemoteQueries:
    """Return the running queries at the service at an address, those of the owner of the token."""
    from qserv_py.remote.queries import RemoteQueries

    return RemoteQueries(_service_at(url))


def _service_at(url: str) -> Service:
    if not url:
        raise ConfigError("no service was named", hint=f"Give --url URL or set {URL_VARIABLE}.")
    from qserv_py.remote.http import Service

    return Service(url, token=os.environ.get(TOKEN_VARIABLE, ""))
