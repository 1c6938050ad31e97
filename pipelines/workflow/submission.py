"""From a few words of a user to a run of BPS: the file and the environment that BPS needs, and the submission."""

from __future__ import annotations

import contextlib
import getpass
import io
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from qserv_py.errors import NotFoundError, NothingToDoError, PipelineError, QservError, UserError
from qserv_py.extras import import_extra
from qserv_py.hints import did_you_mean
from qserv_py.pipelines.workflow.bps.programs import program_variables
from qserv_py.pipelines.workflow.control import RunView, look_at
from qserv_py.pipelines.workflow.overrides import Override, arguments, check_overrides
from qserv_py.pipelines.workflow.plan import load_plan

_COMPUTE_SITES = {"local": "local", "parsl": "local", "slurm": "slurm", "htcondor": "condor", "panda": "panda"}
"""Templates in ``bps/``, and how each calls its machines; a file of a user's own may name any other service."""

LOOK_S = 0.3
FAILED_GRAPH_LOG = "graph-failed.log"
"""In the directory of runs: what was said when a graph could not be built, the last time."""

# BPS pastes paths and collections into command lines that bash reads, without quotes.
_PLAIN = re.compile(r"[\w./:@%+=,~-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a user wants to run."""

    repository: str
    pipeline: str
    """A file, perhaps with ``#subset``, or the name of a pipeline that qserv_py has."""

    inputs: tuple[str, ...]
    """Collections, the first one first."""

    output: str = ""
    """Collection of the results; by default named after the user and the pipeline."""

    where: str = ""
    """What is to be processed, as the Butler reads it; everything by default."""

    overrides: tuple[Override, ...] = ()
    """Settings of tasks, for this run."""

    site: str = "local"
    cores: int | None = None
    memory_mb: int | None = None
    quanta_per_job: int | None = None
    submit_directory: Path = Path("submit")
    """Runs get directories below it."""


def bps_text(submission: Submission) -> str:
    """Return the file for BPS.

    Raises
    ------
    UserError
        If a value cannot stand in BPS's command lines.
    NotFoundError
        If there is no such pipeline.
    """
    import yaml

    name, _, subset = submission.pipeline.partition("#")
    pipeline = find_pipeline(name)
    output = submission.output or f"u/{getpass.getuser()}/{pipeline.stem}"
    inputs = ",".join(submission.inputs)
    submit = submission.submit_directory.expanduser().absolute()
    named = {
        "repository": _repository(submission.repository),
        "pipeline": f"{pipeline}#{subset}" if subset else str(pipeline),
        "input collection": inputs,
        "output collection": output,
        "submit directory": str(submit),
    }
    for what, value in named.items():
        plain = value.replace("#", "", 1) if what == "pipeline" else value
        if not _PLAIN.fullmatch(plain):
            raise UserError(
                f'BPS cannot take the {what} "{value}"',
                detail="It puts such names into command lines; blanks, quotes and the like do not survive that.",
                hint="Give a name without them; a symbolic link will do for a directory.",
            )
    text: dict[str, object] = {
        "includeConfigs": f"resource://qserv_py.pipelines.workflow.bps/{submission.site}.yaml",
        "pipelineYaml": named["pipeline"],
        "submitPath": f"{submit}/{{outputRun}}",
        "payload": {
            "payloadName": pipeline.stem + (f"-{subset.replace(',', '-')}" if subset else ""),
            "butlerConfig": named["repository"],
            "inCollection": inputs,
            "output": output,
            "dataQuery": _plain_text(submission.where.replace("\\", "\\\\").replace('"', '\\"'), "--where"),
        },
    }
    if not submission.where:
        text["pipetaskDataQuery"] = ""
    if submission.quanta_per_job is not None:
        text["clusterQuanta"] = submission.quanta_per_job
    if submission.overrides:
        text["extraQgraphOptions"] = _plain_text(arguments(submission.overrides), "--config")
    limits = {"cores": submission.cores, "memory": submission.memory_mb}
    given = {name: value for name, value in limits.items() if value is not None}
    if given:
        text["site"] = {_COMPUTE_SITES[submission.site]: given}
    return yaml.safe_dump(text, sort_keys=False)


def submit(submission: Submission) -> Path:
    """Build the graph of a run and start it; return its directory.

    With the site ``local`` this comes back when the run has begun; Parsl stays until it is over.

    Raises
    ------
    ConfigError
        If a task has no such setting, or it cannot have such a value.
    RepositoryError
        If the repository cannot be opened, or must be converted first.
    NothingToDoError
        If no data fit.
    PipelineError
        If the graph cannot be built or the run cannot be started; says what the log says.
    """
    import_extra("lsst.ctrl.bps")
    from qserv_py.pipelines.repository.former_names import need_present_names

    text = bps_text(submission)
    check_overrides(pipeline_uri(submission.pipeline), submission.overrides)
    need_present_names(_repository(submission.repository))
    os.environ.update(program_variables())
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as scratch, contextlib.redirect_stdout(said), _quiet():
        from lsst.ctrl.bps import BpsSubprocessError
        from lsst.ctrl.bps.drivers import submit_driver

        file = Path(scratch) / "submission.yaml"  # BPS copies it into the run's directory
        file.write_text(text)
        try:
            submit_driver(str(file))
        except BpsSubprocessError as error:
            log = _kept_log(_said_directory(said.getvalue()), submission.submit_directory.expanduser().absolute())
            raise _graph_error(log) from error
        except QservError:
            raise
        except Exception as error:  # of any workflow service: a missing program, a server that does not answer
            why = str(error).strip().splitlines() or [type(error).__name__]
            needs = Path(str(files("qserv_py.pipelines.workflow.bps"))) / f"{submission.site}.yaml"
            hint = "" if submission.site == "local" else f"{needs} begins with what this service needs."
            raise PipelineError("the run cannot be submitted", detail=why[0], hint=hint) from error
    return _said_directory(said.getvalue())


def follow(directory: Path, listener: Callable[[RunView], None]) -> RunView:
    """Watch a run until it is over, or until nobody carries it on; return how it is then."""
    plan = load_plan(directory)
    while True:
        begun = time.monotonic()
        view = look_at(directory, plan=plan)
        listener(view)
        if view.state != "RUNNING":
            return view
        time.sleep(max(LOOK_S, 10 * (time.monotonic() - begun)))  # a look at a large run takes a while


def steps_of(pipeline: str) -> tuple[str, ...]:
    """Return the steps of a pipeline, in their order; each is a subset that is run by itself.

    Raises
    ------
    NotFoundError
        If there is no such pipeline.
    UserError
        If it has no steps, or cannot be read.
    """
    base = import_extra("lsst.pipe.base")
    path = find_pipeline(pipeline)
    try:
        steps = tuple(base.Pipeline.from_uri(str(path)).to_graph(visualization_only=True).steps)
    except Exception as error:  # of yaml, of a task's module, of the middleware
        raise UserError(f"the pipeline {path} cannot be read: {error}") from error
    if not steps:
        raise UserError(f"the pipeline {path} has no steps", hint="Run it as a whole.")
    return steps


def find_pipeline(name: str) -> Path:
    """Return the file of a pipeline: the file named, or one that qserv_py has.

    Raises
    ------
    NotFoundError
        If there is none; lists those that there are.
    """
    if Path(name).is_file():
        return Path(name).resolve()
    own = Path(str(files("qserv_py.pipelines"))) / "definitions"
    known = sorted(path.stem for path in own.glob("*.yaml"))
    if name in known:
        return own / f"{name}.yaml"
    has = f"qserv_py has {', '.join(known)}." if known else "Give the path of a pipeline's YAML file."
    raise NotFoundError(f'there is no pipeline "{name}"', hint=f"{did_you_mean(name, known)} {has}".strip())


def pipeline_uri(name: str) -> str:
    """Return the file of a pipeline, with the ``#subset`` that its name may end in."""
    whole, _, subset = name.partition("#")
    return f"{find_pipeline(whole)}#{subset}" if subset else str(find_pipeline(whole))


def _repository(name: str) -> str:
    """Return a repository as BPS's commands find it from any directory; an alias or an address stays."""
    place = Path(name).expanduser()
    if place.exists():
        return str(place.resolve())
    if "://" in name or (os.environ.get("DAF_BUTLER_REPOSITORY_INDEX") and "/" not in name):
        return name
    raise NotFoundError(f'there is no Butler repository "{name}"', hint=f"`qserv pipeline init {name}` makes one.")


def _plain_text(text: str, option: str) -> str:
    """Return a text so that BPS hands it on as it is, through its own braces."""
    if "$" in text:
        raise UserError(f"BPS cannot take a $ in {option}", detail="It reads the name of a variable there.")
    return text.replace("{", "{{").replace("}", "}}").replace("\n", " ")


def _said_directory(said: str) -> Path:
    match = re.search(r"^Submit dir: (.+)$", said, re.MULTILINE)
    if match is None:
        raise PipelineError("BPS did not say where it put the run", detail=said.strip())
    return Path(match[1])


def _kept_log(directory: Path, top: Path) -> Path:
    """Remove the directory of a run that got no graph, but for the log, which it returns.

    Only the last such log is kept: tries that come to nothing leave nothing else.
    """
    log = top / FAILED_GRAPH_LOG
    with contextlib.suppress(FileNotFoundError):
        os.replace(directory / "quantumGraphGeneration.out", log)
    shutil.rmtree(directory, ignore_errors=True)
    for parent in directory.parents:
        if parent == top or not parent.is_relative_to(top):
            break
        with contextlib.suppress(OSError):  # other runs are in it
            parent.rmdir()
    return log


def _graph_error(log: Path) -> PipelineError:
    """Return an error with the line of the log that tells most."""
    lines = log.read_text().splitlines() if log.exists() else []
    telling = [line for line in lines if re.search(r"\bERROR\b|^\S*(Error|Exception)\b", line)]
    if any("QuantumGraph was empty" in line for line in lines):
        return NothingToDoError(
            "there is nothing to do: no data in the input collections fit the pipeline and the condition",
            hint=f"Ask with fewer conditions; {log} has the query to try.",
        )
    # The exception's class is Rubin's business; what it says is the user's.
    detail = re.sub(r"^(?:[\w.]+\.)?\w*(?:Error|Exception): ", "", telling[-1].strip()) if telling else ""
    return PipelineError("the graph of the run cannot be built", detail=detail, hint=f"{log} says more.")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the remarks of Rubin's packages to errors, whatever their loggers are set to."""
    import logging

    logger = logging.getLogger("lsst")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
