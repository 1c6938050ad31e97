"""The jobs of one cluster, as those who serve them see them: made, found, started, changed, ended, watched.

All state is in the registry's job table, so several processes may serve one cluster; ``runner`` runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from qserv_py.counts import counted
from qserv_py.czar.identified_session import IdentifiedSession
from qserv_py.czar.identity.identity import Identity
from qserv_py.czar.identity.limits import LimitRules
from qserv_py.czar.jobs.results import ResultFiles
from qserv_py.czar.jobs.runner import JobRunner
from qserv_py.czar.jobs.watchers import Watchers
from qserv_py.czar.queries.limits import ServiceLimits
from qserv_py.errors import LimitError
from qserv_py.registry import jobs
from qserv_py.registry.jobs import JobEntry, Parameters, TapJob, UwsPhase


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
        self.files = ResultFiles(session.cluster.config.czar_dir / "results")
        self._rules = rules
        self._registry = session.cluster.registry()
        self._watchers = Watchers()
        self._runner = JobRunner(
            session, self._registry, limits=limits, rules=rules, files=self.files, watchers=self._watchers
        )

    def start(self) -> None:
        """Begin to run jobs: those that wait, and those of processes that died."""
        self._runner.start()

    def close(self, *, grace_s: float = 10.0) -> None:
        """Stop; jobs that do not end within the grace wait again, for the next process that serves the cluster."""
        self._runner.close(grace_s=grace_s)
        self._registry.close()

    def create(self, *, identity: Identity, requester: str, parameters: Parameters, run_id: str = "") -> str:
        """Write down a new job, PENDING, and return its id; LimitError if its requester has too many."""
        allowed = self._rules.limits_for(identity)
        if jobs.unfinished_jobs(self._registry, requester) >= allowed.unfinished_jobs:
            raise LimitError(
                f"you have {counted(allowed.unfinished_jobs, 'job')} that have not ended, which is the most",
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
            self._watchers.tell(job_id)
            self._runner.wake()
        return queued

    def abort(self, job_id: str) -> bool:
        """End a job that has not ended, and its statements on the servers; False when it had ended."""
        aborted = jobs.abort_job(self._registry, job_id)
        self._runner.stop(job_id, "the job was aborted")
        self._watchers.tell(job_id)
        return aborted

    def delete(self, job_id: str) -> None:
        """Abort a job and forget it and its result."""
        jobs.delete_job(self._registry, job_id)
        self._runner.stop(job_id, "the job was deleted")
        self.files.remove(job_id)
        self._watchers.tell(job_id)

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
        self._watchers.add(job_id, changed)

    def unwatch(self, job_id: str, changed: Callable[[], None]) -> None:
        """End a ``watch``."""
        self._watchers.remove(job_id, changed)
