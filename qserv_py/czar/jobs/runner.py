"""Runs the jobs of a service: claims them in their turn, watches and ends them, and removes what is over.

All state that matters is in the registry's job table; this process only remembers which queries it runs itself. One
thread, the dispatcher, claims jobs, writes down their progress and sweeps; each running job has a thread of its own.
Several processes may serve one cluster: a job is run by whoever claims it, and what another process did to it is seen
at the next report, within a second.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from qserv_py.czar.identified_session import IdentifiedSession
from qserv_py.czar.identity.identity import Identity
from qserv_py.czar.identity.limits import LimitRules
from qserv_py.czar.jobs.results import ResultFiles
from qserv_py.czar.jobs.watchers import Watchers
from qserv_py.czar.queries.limits import ServiceLimits
from qserv_py.czar.queries.request import query_request
from qserv_py.czar.queries.running import QueryKind, RunningQuery
from qserv_py.czar.queries.written import WrittenQuery
from qserv_py.errors import InternalError, LimitError, QservError, QueryCancelledError
from qserv_py.registry import jobs
from qserv_py.registry.connection import Registry
from qserv_py.registry.jobs import TapJob
from qserv_py.registry.statements import Connection, run

TICK_S = 0.5
"""How often running jobs are reported."""

SWEEP_S = 15.0
"""How often jobs are looked for that have expired or whose runner died."""

log = logging.getLogger("qserv.jobs")


class JobRunner:
    """Runs the jobs that wait, as many at a time as the limits say.

    Parameters
    ----------
    session
        Answers the queries.
    registry
        Where the jobs' threads write down how jobs end; it stays open. The dispatcher has a connection of its own.
    limits
        What jobs may do.
    rules
        What each user may do.
    files
        Gets the results.
    watchers
        Hear of changes of a job's phase.
    """

    def __init__(
        self,
        session: IdentifiedSession,
        registry: Registry,
        *,
        limits: ServiceLimits,
        rules: LimitRules,
        files: ResultFiles,
        watchers: Watchers,
    ) -> None:
        self._session = session
        self._limits = limits
        self._rules = rules
        self._files = files
        self._watchers = watchers
        self._registry = registry
        self._claims = session.cluster.registry()
        self._runner = secrets.token_hex(8)
        self._locked_on: Connection | None = None
        self._running: dict[str, RunningQuery] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(limits.jobs_running, thread_name_prefix="qserv-job")
        self._dispatcher = threading.Thread(target=self._dispatch, name="qserv-jobs", daemon=True)

    def start(self) -> None:
        """Begin to run jobs: those that wait, and those of processes that died."""
        self._dispatcher.start()

    def wake(self) -> None:
        """Look at once for jobs that wait."""
        self._wake.set()

    def stop(self, job_id: str, why: str) -> None:
        """End a job that this process runs, and its statements on the servers."""
        query = self._running.get(job_id)
        if query is not None:
            query.cancel.cancel(QueryCancelledError(why))

    def close(self, *, grace_s: float) -> None:
        """Stop; jobs that do not end within the grace wait again, for the next process that serves the cluster."""
        self._stopping.set()
        self._wake.set()
        if self._dispatcher.is_alive():
            self._dispatcher.join()
        ends = time.monotonic() + grace_s
        while self._running and time.monotonic() < ends:
            time.sleep(0.02)
        for query in list(self._running.values()):
            query.cancel.cancel(QueryCancelledError("the service stops"))
        self._threads.shutdown(wait=True)
        with suppress(QservError):  # without a registry: others find the jobs, as the runner's lock is free
            jobs.release_jobs(self._claims, runner=self._runner)
        self._claims.close()

    def _dispatch(self) -> None:
        """Work until the service stops; the dispatcher's thread."""
        swept = -SWEEP_S
        while not self._stopping.is_set():
            try:
                self._hold_lock()
                self._report()
                if time.monotonic() - swept >= SWEEP_S:
                    self._sweep()
                    swept = time.monotonic()
                self._claim()
            except QservError as error:  # the registry is away: jobs wait until it is back
                log.warning("jobs wait: %s", error.message)
            except Exception:
                log.exception("the dispatcher of jobs met a defect")
            self._wake.wait(TICK_S)
            self._wake.clear()

    def _hold_lock(self) -> None:
        """Hold the lock that says that this process lives; PostgreSQL frees it when the connection breaks."""
        with self._claims.connection() as connection:
            if connection is not self._locked_on:
                run(connection, "lock", name=jobs.lock_name(self._runner))
                self._locked_on = connection

    def _report(self) -> None:
        for job_id, query in list(self._running.items()):
            done, chunks = query.chunks
            figures = {"chunks_done": done, "chunks": chunks, "rows": query.rows}
            if not jobs.report_job(self._claims, job_id, runner=self._runner, **figures) and job_id in self._running:
                query.cancel.cancel(QueryCancelledError("the job was taken away from this process"))

    def _sweep(self) -> None:
        for job_id in jobs.recover_jobs(self._claims, besides=self._runner):
            log.warning("the runner of a job died", extra={"job": job_id})
            self._watchers.tell(job_id)
        for job_id in jobs.delete_expired(self._claims):
            self.stop(job_id, "the job was destroyed at its time")
            self._files.remove(job_id)
            self._watchers.tell(job_id)
        self._files.sweep(lambda present: jobs.known_jobs(self._claims, present))

    def _claim(self) -> None:
        while len(self._running) < self._limits.jobs_running and not self._stopping.is_set():
            job = jobs.claim_job(self._claims, runner=self._runner)
            if job is None:
                return
            query = self._query_of(job)
            self._running[job.job_id] = query
            self._watchers.tell(job.job_id)
            self._threads.submit(self._work, job, query)

    def _query_of(self, job: TapJob) -> RunningQuery:
        identity = Identity.from_record(job.identity)
        longest = min(job.execution_s, self._rules.limits_for(identity).execution_s)
        late = LimitError(
            f"the job ran longer than {longest} s", hint="Ask for a longer executionduration, or for less."
        )
        text = job.parameters.get("QUERY", "")
        return self._session.queries.make(
            kind=QueryKind.JOB,
            identity=identity,
            text=text if isinstance(text, str) else "",
            id=job.job_id,
            longest_s=longest,
            late=late,
        )

    def _work(self, job: TapJob, query: RunningQuery) -> None:
        """Run a job to its end; a job's thread."""
        try:
            with self._session.queries.running(query):
                self._answer(job, query)
        except QservError as error:
            self._fail(job, error)
        except Exception as error:
            log.exception("a job met a defect", extra={"job": job.job_id})
            self._fail(job, InternalError(f"the job failed in an unforeseen way: {type(error).__name__}"))
        finally:
            self._running.pop(job.job_id, None)
            self._watchers.tell(job.job_id)
            self._wake.set()

    def _answer(self, job: TapJob, query: RunningQuery) -> None:
        allowed = self._rules.limits_for(query.identity)
        request = query_request(job.parameters, most_rows=allowed.rows)
        suffix = request.format.suffix
        uploads = self._files.uploaded(job.job_id)
        written = WrittenQuery(self._session, query, request, uploads=uploads, most_bytes=allowed.result_bytes)
        with self._files.writing(job.job_id, suffix) as sink:
            sink.writelines(written.result(request.format, ("JOB", job.job_id)))
        completed = jobs.complete_job(
            self._registry,
            job.job_id,
            runner=self._runner,
            result_file=self._files.name(job.job_id, suffix),
            result_type=request.format.mime,
            result_bytes=query.bytes,
            rows=query.rows,
            overflow=written.overflow,
        )
        if not completed:  # deleted, aborted or taken over while the last bytes were written
            self._files.remove(job.job_id)
        log.info("job done", extra={"job": job.job_id, "rows": query.rows, "bytes": query.bytes})

    def _fail(self, job: TapJob, error: QservError) -> None:
        if self._stopping.is_set():
            return  # the job is released, and run again
        log.info("job failed: %s", error.message, extra={"job": job.job_id, "code": error.code})
        try:
            jobs.fail_job(self._registry, job.job_id, runner=self._runner, error=error)
        except QservError as failure:
            log.warning("the end of a job cannot be written down: %s", failure.message, extra={"job": job.job_id})
