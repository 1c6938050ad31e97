"""Runs the services: one process with one event loop, until a signal tells it to stop."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version

import uvicorn

from qserv_py.czar.cluster import Cluster
from qserv_py.czar.identified_session import IdentifiedSession
from qserv_py.czar.queries.limits import ServiceLimits
from qserv_py.czar.session import Session
from qserv_py.errors import ConfigError
from qserv_py.executor.allocators import give_back_what_is_free, trimming
from qserv_py.vo.app import SERVICES, make_app
from qserv_py.vo.connections import PatientProtocol
from qserv_py.vo.service import Service, ServiceSettings
from qserv_py.vo.tap.sync import BrokenResultError

CONNECTIONS = 8
"""Statements that one worker runs at a time: with two for each query, four long queries still leave room."""

log = logging.getLogger("qserv.http")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Where a server listens and how it stops."""

    host: str = "127.0.0.1"
    port: int = 8080
    """Port to listen on; 0 takes any that is free."""

    grace_s: float = 10.0
    """Seconds that queries and jobs have to end after the signal to stop."""


class Server(uvicorn.Server):
    """A uvicorn server that tells the service before it waits for its connections."""

    def __init__(self, config: uvicorn.Config, service: Service, *, grace_s: float) -> None:
        super().__init__(config)
        self._service = service
        self._grace_s = grace_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests, and say where."""
        await super().startup(sockets)
        for listening in sockets or []:
            host, port = listening.getsockname()[:2]
            log.info("serving at http://%s:%s", f"[{host}]" if ":" in host else host, port)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal, without uvicorn's sending it once more: the jobs would not be released."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop taking requests, let those that are here end, and close."""
        log.info("stopping")
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        await self._service.stop(grace_s=self._grace_s)
        await super().shutdown(sockets)


def serve(
    cluster: Cluster,
    *,
    services: tuple[str, ...] = tuple(SERVICES),
    settings: ServerSettings | None = None,
    presents: ServiceSettings | None = None,
    limits: ServiceLimits | None = None,
) -> None:
    """Serve a cluster until SIGTERM or SIGINT.

    Raises
    ------
    ConfigError
        If the address cannot be listened on, or the settings name a table as ``ivoa.ObsCore`` that cannot be it.
    """
    chosen = settings or ServerSettings()
    _raise_file_limit()
    give_back_what_is_free()
    logging.getLogger("uvicorn.error").addFilter(_drop_broken_results)
    with (
        _listen(chosen) as listening,
        Session(cluster, connections=CONNECTIONS) as session,
        trimming(session.queries.have_freed),
    ):
        asyncio.run(_serve(session, services, chosen, presents, limits, listening))


async def _serve(
    session: Session,
    services: tuple[str, ...],
    settings: ServerSettings,
    presents: ServiceSettings | None,
    limits: ServiceLimits | None,
    listening: socket.socket,
) -> None:
    service = Service(IdentifiedSession(session), limits=limits, settings=presents)
    service.check()
    session.check_settings()
    config = uvicorn.Config(
        make_app(service, services=services),
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=[("Server", f"qserv_py/{version('qserv-py')}")],
        proxy_headers=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=5,
        backlog=1024,
    )
    server = Server(config, service, grace_s=settings.grace_s)
    service.start()
    try:
        await server.serve(sockets=[listening])
    finally:
        await asyncio.to_thread(service.close, grace_s=settings.grace_s)
        log.info("stopped")


def _listen(settings: ServerSettings) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {settings.host}, port {settings.port}: {error.strerror}",
            hint="Give another --port; 0 takes any that is free.",
        ) from error
    return listening


def _raise_file_limit() -> None:
    """Let the process have as many open files, and so connections, as it is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else hard
    if soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _drop_broken_results(record: logging.LogRecord) -> bool:
    """Keep uvicorn from writing a traceback when a result was broken off on purpose."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, BrokenResultError)
