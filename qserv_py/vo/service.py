"""What one HTTP service holds: the session, the jobs, who is let in, and the documents it has made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

from starlette.requests import Request

from qserv_py.catalog.snapshot import Catalog
from qserv_py.czar.identified_session import IdentifiedSession
from qserv_py.czar.identity.authenticate import Authenticator
from qserv_py.czar.jobs.service import JobService
from qserv_py.czar.queries.admission import Admission
from qserv_py.czar.queries.limits import ServiceLimits
from qserv_py.czar.queries.metrics import Metrics
from qserv_py.czar.queries.running import QueryKind, RunningQuery
from qserv_py.czar.settings.settings_file import read_settings
from qserv_py.czar.upkeep import UpkeepThread
from qserv_py.errors import QservError, QueryCancelledError
from qserv_py.vo.http.requester import requester_of

PLANNERS = 4
READERS = 4
DOCUMENTS_KEPT = 64
"""Documents that are kept for one view of the catalogue: a client can ask under any number of addresses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """How a service presents itself."""

    public_url: str = ""
    """Address that clients use, when a proxy stands before the service; else that of each request."""

    upload_hosts: tuple[str, ...] = ()
    """Hosts that tables are fetched from when UPLOAD names a URL."""


class Service:
    """The parts that requests share. Made in the event loop.

    Parameters
    ----------
    session
        Answers queries; whoever made it closes it, after ``close``.
    limits, settings
        What is allowed, and how the service presents itself.
    """

    def __init__(
        self,
        session: IdentifiedSession,
        *,
        limits: ServiceLimits | None = None,
        settings: ServiceSettings | None = None,
    ) -> None:
        self.session = session
        self.limits = limits or ServiceLimits()
        self.settings = settings or ServiceSettings()
        cluster_settings = read_settings(session.cluster.config.directory)
        self.spill_dir = session.cluster.config.czar_dir / "spill"
        self.spill_dir.mkdir(parents=True, exist_ok=True)
        self.rules = cluster_settings.limits
        self.publication = cluster_settings.publication
        self.authenticator = Authenticator(session.cluster.registry(), cluster_settings.identity)
        self.sees_addresses = not self.settings.public_url and cluster_settings.identity.proxy is None
        """Whether a connection comes from the client's address; behind a proxy all come from the proxy's."""

        self.jobs = JobService(session, limits=self.limits, rules=self.rules)
        self._upkeep = UpkeepThread(session.cluster)
        self.admission = Admission(self.limits, self.rules)
        self.metrics = Metrics(sync_queries=lambda: self.admission.present)
        self.threads = ThreadPoolExecutor(self.limits.sync_running, thread_name_prefix="qserv-sync")
        """Run queries and write their results."""

        self.planners = ThreadPoolExecutor(PLANNERS, thread_name_prefix="qserv-plan")
        """Plan queries, before their turn comes."""

        self.readers = ThreadPoolExecutor(READERS, thread_name_prefix="qserv-upload")
        """Fetch and read tables that come along, and plan the queries; apart, as that can take a minute."""

        self.reading = asyncio.Semaphore(READERS)
        """Held by who uses a thread of ``readers``: others wait in the event loop, and can leave."""
        self.stopping = asyncio.Event()
        """Set when the service begins to stop, so that requests that wait for something end."""

        self.started_at = datetime.now(UTC)
        self._documents: WeakKeyDictionary[Catalog, dict[tuple[str, ...], bytes]] = WeakKeyDictionary()

    def start(self) -> None:
        """Begin to run jobs, and to look after what is stored."""
        self.jobs.start()
        self._upkeep.start()

    async def stop(self, *, grace_s: float) -> None:
        """Begin to stop: no request waits any longer, and queries that do not end within the grace are cancelled."""
        self.stopping.set()
        loop = asyncio.get_running_loop()
        ends = loop.time() + grace_s
        while self._synchronous() and loop.time() < ends:
            await asyncio.sleep(0.05)
        for query in self._synchronous():
            query.cancel.cancel(
                QueryCancelledError("the service is being stopped", hint="Send the query again in a minute.")
            )

    def _synchronous(self) -> list[RunningQuery]:
        return self.session.queries.of_kind(QueryKind.SYNC)

    def close(self, *, grace_s: float) -> None:
        """End; jobs that still run after the grace are run again by the next process."""
        self.jobs.close(grace_s=grace_s)
        self._upkeep.close()
        for threads in (self.planners, self.readers, self.threads):
            threads.shutdown(wait=True)
        self.authenticator.close()

    def check(self) -> None:
        """Raise ClusterError unless the registry answers."""
        try:
            self.session.check()
        except QservError:
            self.session.check()  # the server may have been restarted since the last use

    def base_url(self, request: Request) -> str:
        """Return the service's address without a slash at its end."""
        return (self.settings.public_url or str(request.base_url)).rstrip("/")

    def cached(
        self,
        make: Callable[[Catalog, str], bytes],
        request: Request,
        *,
        chunks_of: Callable[[Catalog], Collection[str]] = lambda catalog: (),
    ) -> bytes:
        """Return a document about what the requester may read, made once for each state of that and address.

        ``chunks_of`` tells the databases whose chunks the document is made of.
        """
        identity = requester_of(request).identity
        catalog = self.session.catalog(identity)
        documents = self._documents.setdefault(catalog, {})
        key = (make.__module__, make.__qualname__, self.base_url(request))
        if key not in documents and len(documents) >= DOCUMENTS_KEPT:
            documents.clear()
        if (made := documents.get(key)) is None:
            if names := chunks_of(catalog):
                catalog = self.session.catalog_with_chunks(names, identity)
            made = documents.setdefault(key, make(catalog, key[-1]))
        return made


def service_of(request: Request) -> Service:
    """Return the service that a request came to."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service
