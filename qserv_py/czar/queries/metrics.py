"""Figures of the service for Prometheus; each service counts for itself."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from qserv_py.registry.jobs import UwsPhase

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Metrics:
    """The figures."""

    def __init__(self, *, sync_queries: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "qserv_http_requests", "Requests by route and status.", ["route", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "qserv_query_seconds",
            "Seconds from a synchronous query to the last byte that was written.",
            buckets=SECONDS,
            registry=self._registry,
        )
        self.rows = Counter("qserv_result_rows", "Rows of synchronous results.", ["format"], registry=self._registry)
        self.bytes = Counter("qserv_result_bytes", "Bytes of synchronous results.", ["format"], registry=self._registry)
        self.failures = Counter(
            "qserv_query_failures", "Synchronous queries that failed, by code.", ["code"], registry=self._registry
        )
        self._jobs = Gauge("qserv_jobs", "Jobs by phase.", ["phase"], registry=self._registry)
        running = Gauge("qserv_sync_queries", "Synchronous queries that run or wait.", registry=self._registry)
        running.set_function(sync_queries)

    def exposition(self, jobs: dict[UwsPhase, int]) -> tuple[bytes, str]:
        """Return the figures as Prometheus reads them, and their MIME type."""
        for phase, number in jobs.items():
            self._jobs.labels(phase.value).set(number)
        return generate_latest(self._registry), CONTENT_TYPE_LATEST
