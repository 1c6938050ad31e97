"""The queue of jobs: it starts them in their turn, watches them, ends them, and removes what has expired.

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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime

from qserv_py.czar.identified_session import IdentifiedSession
from qserv_py.czar.identity.identity import Identity
from qserv_py.czar.identity.limits import LimitRules
from qserv_py.czar.jobs.bounded import BoundedQuery
from qserv_py.czar.jobs.limits import ServiceLimits
from qserv_py.czar.jobs.request import query_request
from qserv_py.czar.jobs.results import ResultFiles
from qserv_py.errors import InternalError, LimitError, QservError, QueryCancelledError
from qserv_py.registry import jobs
from qserv_py.registry.jobs import JobEntry, Parameters, TapJob, UwsPhase
from qserv_py.registry.statements import Connection, run

TICK_S = 0.5
"""How often running jobs are reported."""

SWEEP_S = 15.0
"""How often jobs are looked for that have expired or whose runner died."""

log = logging.getLogger("qserv.jobs")


class JobService:
    """The jobs of one cluster.

    Parameters
    ----------
    session
        Answers the queries.
    limits
        What jobs may do.
    rules
        What each user may do.
    """

    def __init__(self, session: IdentifiedSession, *, limits: ServiceLimits, rules: LimitRules) -> None:
        self.limits = limits
        self._rules = rules
        self.files = ResultFiles(session.cluster.config.czar_dir / "results")
        self._session = session
        self._registry = session.cluster.registry()
        self._claims = session.cluster.registry()
        self._runner = secrets.token_hex(8)
        self._locked_on: Connection | None = None
        self._running: dict[str, _Running] = {}
        self._lock = threading.Lock()
        self._watchers: dict[str, set[Callable[[], None]]] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(limits.jobs_running, thread_name_prefix="qserv-job")
        self._dispatcher = threading.Thread(target=self._dispatch, name="qserv-jobs", daemon=True)

    def start(self) -> None:
        """Begin to run jobs: those that wait, and those of processes that died."""
        self._dispatcher.start()

    def close(self, *, grace_s: float = 10.0) -> None:
        """Stop; jobs that do not end within the grace wait again, for the next process that serves the cluster."""
        self._stopping.set()
        self._wake.set()
        if self._dispatcher.is_alive():
            self._dispatcher.join()
        ends = time.monotonic() + grace_s
        while self._running and time.monotonic() < ends:
            time.sleep(0.02)
        for running in list(self._running.values()):
            running.stop(QueryCancelledError("the service stops"))
        self._threads.shutdown(wait=True)
        with suppress(QservError):  # without a registry, the jobs are found by their runner's lock
            jobs.release_jobs(self._claims, runner=self._runner)
        self._claims.close()
        self._registry.close()

    def create(self, *, identity: Identity, requester: str, parameters: Parameters, run_id: str = "") -> str:
        """Write down a new job, PENDING, and return its id; LimitError if its requester has too many."""
        allowed = self._rules.limits_for(identity)
        if jobs.unfinished_jobs(self._registry, requester) >= allowed.unfinished_jobs:
            raise LimitError(
                f"you have {allowed.unfinished_jobs} jobs that have not ended, which is the most",
                hint="Wait until some have ended, or delete them.",
            )
        return jobs.add_job(
            self._registry,
            owner=identity.owner,
            requester=requester,
            identity=identity.as_record(),
            most_running=allowed.concurrent_jobs,
            parameters=parameters,
            run_id=run_id,
            execution_s=min(self.limits.job_s, allowed.execution_s),
            keep_s=self.limits.keep_s,
        )

    def find(self, job_id: str) -> TapJob:
        """Return a job; NotFoundError if there is none."""
        return jobs.find_job(self._registry, job_id)

    def list(
        self, requester: str, *, phases: Sequence[UwsPhase] = (), after: datetime | None = None, most: int
    ) -> list[JobEntry]:
        """Return the jobs of a requester, newest first."""
        return jobs.list_jobs(self._registry, requester, phases=phases, after=after, most=most)

    def counts(self) -> dict[UwsPhase, int]:
        """Return how many jobs there are in each phase."""
        return jobs.count_phases(self._registry)

    def run(self, job_id: str, identity: Identity) -> bool:
        """Let a PENDING job wait for its turn, as its owner is known now; False when it was not PENDING."""
        queued = jobs.queue_job(
            self._registry,
            job_id,
            identity=identity.as_record(),
            most_running=self._rules.limits_for(identity).concurrent_jobs,
        )
        if queued:
            self._tell(job_id)
            self._wake.set()
        return queued

    def abort(self, job_id: str) -> bool:
        """End a job that has not ended, and its statements on the servers; False when it had ended."""
        aborted = jobs.abort_job(self._registry, job_id)
        self._stop(job_id, "the job was aborted")
        self._tell(job_id)
        return aborted

    def delete(self, job_id: str) -> None:
        """Abort a job and forget it and its result."""
        jobs.delete_job(self._registry, job_id)
        self._stop(job_id, "the job was deleted")
        self.files.remove(job_id)
        self._tell(job_id)

    def change(self, job_id: str, parameters: Parameters, *, run_id: str | None) -> bool:
        """Set parameters of a job, and its run id unless None; False when it was started already."""
        return jobs.change_parameters(self._registry, job_id, parameters, run_id=run_id)

    def change_duration(self, job_id: str, seconds: int, identity: Identity) -> None:
        """Set how long a job may run, within what its owner may; 0 asks for as long as that is."""
        longest = self._rules.limits_for(identity).execution_s
        self._change_times(job_id, execution_s=min(seconds or longest, longest))

    def change_destruction(self, job_id: str, moment: datetime) -> None:
        """Set when a job is destroyed, within the limit."""
        self._change_times(job_id, destruction_at=moment)

    def _change_times(
        self, job_id: str, *, execution_s: int | None = None, destruction_at: datetime | None = None
    ) -> None:
        keep_s = self.limits.keep_s
        jobs.change_times(self._registry, job_id, execution_s=execution_s, destruction_at=destruction_at, keep_s=keep_s)

    def watch(self, job_id: str, changed: Callable[[], None]) -> None:
        """Call back, from any thread, whenever this process changes a job's phase, until ``unwatch``."""
        with self._lock:
            self._watchers.setdefault(job_id, set()).add(changed)

    def unwatch(self, job_id: str, changed: Callable[[], None]) -> None:
        """End a ``watch``."""
        with self._lock:
            self._watchers.get(job_id, set()).discard(changed)
            if not self._watchers.get(job_id):
                self._watchers.pop(job_id, None)

    def _tell(self, job_id: str) -> None:
        with self._lock:
            watchers = list(self._watchers.get(job_id, ()))
        for changed in watchers:
            changed()

    def _stop(self, job_id: str, why: str) -> None:
        running = self._running.get(job_id)
        if running is not None:
            running.stop(QueryCancelledError(why))

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
        """Hold the lock that says that this process lives; it went with the connection when that broke."""
        with self._claims.connection() as connection:
            if connection is not self._locked_on:
                run(connection, "lock", name=jobs.lock_name(self._runner))
                self._locked_on = connection

    def _report(self) -> None:
        for job_id, running in list(self._running.items()):
            done, chunks = running.chunks
            figures = {"chunks_done": done, "chunks": chunks, "rows": running.rows}
            if not jobs.report_job(self._claims, job_id, runner=self._runner, **figures) and job_id in self._running:
                running.stop(QueryCancelledError("the job was taken away from this process"))

    def _sweep(self) -> None:
        for job_id in jobs.recover_jobs(self._claims, besides=self._runner):
            log.warning("the runner of a job died", extra={"job": job_id})
            self._tell(job_id)
        for job_id in jobs.delete_expired(self._claims):
            self._stop(job_id, "the job was destroyed at its time")
            self.files.remove(job_id)
            self._tell(job_id)
        self.files.sweep(lambda present: jobs.known_jobs(self._claims, present))

    def _claim(self) -> None:
        while len(self._running) < self.limits.jobs_running and not self._stopping.is_set():
            job = jobs.claim_job(self._claims, runner=self._runner)
            if job is None:
                return
            running = _Running(job)
            self._running[job.job_id] = running
            self._tell(job.job_id)
            self._threads.submit(self._work, running)

    def _work(self, running: _Running) -> None:
        """Run a job to its end; a job's thread."""
        job = running.job
        try:
            self._answer(running)
        except QservError as error:
            self._fail(job, error)
        except Exception as error:
            log.exception("a job met a defect", extra={"job": job.job_id})
            self._fail(job, InternalError(f"the job failed in an unforeseen way: {type(error).__name__}"))
        finally:
            self._running.pop(job.job_id, None)
            self._tell(job.job_id)
            self._wake.set()

    def _answer(self, running: _Running) -> None:
        job = running.job
        identity = Identity.from_record(job.identity)
        allowed = self._rules.limits_for(identity)
        request = query_request(job.parameters, most_rows=allowed.rows)
        suffix = request.format.suffix
        uploads = self.files.uploaded(job.job_id)
        query = BoundedQuery(
            self._session, request, identity=identity, uploads=uploads, most_bytes=allowed.result_bytes
        )
        longest = min(job.execution_s, allowed.execution_s)
        late = LimitError(
            f"the job ran longer than {longest} s", hint="Ask for a longer executionduration, or for less."
        )
        timer = threading.Timer(longest, query.stop, (late,))
        timer.daemon = True
        timer.start()
        try:
            running.attach(query)
            with self.files.writing(job.job_id, suffix) as sink:
                sink.writelines(query.result(request.format, ("JOB", job.job_id)))
        finally:
            timer.cancel()
        completed = jobs.complete_job(
            self._registry,
            job.job_id,
            runner=self._runner,
            result_file=self.files.name(job.job_id, suffix),
            result_type=request.format.mime,
            result_bytes=query.written,
            rows=query.rows,
            overflow=query.overflow,
        )
        if not completed:  # deleted, aborted or taken over while the last bytes were written
            self.files.remove(job.job_id)
        log.info("job done", extra={"job": job.job_id, "rows": query.rows, "bytes": query.written})

    def _fail(self, job: TapJob, error: QservError) -> None:
        if self._stopping.is_set():
            return  # it is released, and run again
        log.info("job failed: %s", error.message, extra={"job": job.job_id, "code": error.code})
        try:
            jobs.fail_job(self._registry, job.job_id, runner=self._runner, error=error)
        except QservError as failure:
            log.warning("the end of a job cannot be written down: %s", failure.message, extra={"job": job.job_id})


class _Running:
    """A job that this process runs; it may be stopped before its query is there."""

    def __init__(self, job: TapJob) -> None:
        self.job = job
        self._query: BoundedQuery | None = None
        self._reason: QservError | None = None
        self._lock = threading.Lock()

    def attach(self, query: BoundedQuery) -> None:
        """Tell which query the job is."""
        with self._lock:
            self._query = query
            if self._reason is not None:
                query.stop(self._reason)

    def stop(self, reason: QservError) -> None:
        with self._lock:
            self._reason = self._reason or reason
            if self._query is not None:
                self._query.stop(self._reason)

    @property
    def chunks(self) -> tuple[int, int]:
        return self._query.chunks if self._query is not None else (0, 0)

    @property
    def rows(self) -> int:
        return self._query.rows if self._query is not None else 0
