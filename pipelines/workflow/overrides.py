"""Settings of tasks that a user gives for one run, as ``pipetask -c task:option=value`` takes them.

They are tried on the tasks' configurations before anything runs: a wrong name or value is refused with those that there
are, not by a graph that fails a minute later.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from qserv_py.errors import ConfigError
from qserv_py.extras import import_extra
from qserv_py.hints import did_you_mean

_EXAMPLE = "For example -c calibrateImage:characterise.threshold=4.5."


@dataclass(frozen=True, slots=True)
class Override:
    """One setting."""

    task: str
    """Label of the task in its pipeline."""

    option: str
    """Name, with that of its part before: ``characterise.threshold``."""

    value: str
    """As Python writes it; what is no literal is a text."""

    @property
    def text(self) -> str:
        """As it was given."""
        return f"{self.task}:{self.option}={self.value}"


def parse_override(text: str) -> Override:
    """Return a setting from ``task:option=value``.

    Raises
    ------
    ConfigError
        If it is not written so, or pipetask would read it otherwise.
    """
    name, equals, value = text.partition("=")
    task, colon, option = (part.strip() for part in name.partition(":"))
    if not (task and colon and option and equals and value):
        raise ConfigError(f'"{text}" is no setting: TASK:OPTION=VALUE is needed', hint=_EXAMPLE)
    if ":" in value and "=" in value.rpartition(":")[2]:
        raise ConfigError(f'"{text}" has a second ":" and "=", at which pipetask would cut it', hint=_EXAMPLE)
    return Override(task, option, value)


def arguments(overrides: Iterable[Override]) -> str:
    """Return the arguments of pipetask, quoted."""
    return " ".join(f"-c {shlex.quote(one.text)}" for one in overrides)


def check_overrides(pipeline: str, overrides: Sequence[Override]) -> None:
    """Try settings on the tasks of a pipeline.

    Parameters
    ----------
    pipeline
        Its file, perhaps with ``#subset``.
    overrides
        All are of its tasks.

    Raises
    ------
    ConfigError
        If the pipeline has no such task, the task no such option, or the option not such a value.
    """
    if not overrides:
        return
    tasks = _tasks(pipeline)
    for one in overrides:
        if one.task not in tasks:
            has = f"It has {', '.join(sorted(tasks))}."
            raise ConfigError(
                f'the pipeline {pipeline} has no task "{one.task}"',
                hint=f"{did_you_mean(one.task, tasks, most=1)} {has}".strip(),
            )
    for label in dict.fromkeys(one.task for one in overrides):
        config = tasks[label].task_class.ConfigClass()
        for one in overrides:
            if one.task == label:
                _try(config, one)


def overrides_within(pipeline: str, overrides: Sequence[Override]) -> tuple[Override, ...]:
    """Return the settings of those tasks that a part of a pipeline has."""
    tasks = _tasks(pipeline) if overrides else {}
    return tuple(one for one in overrides if one.task in tasks)


def _tasks(pipeline: str) -> dict[str, Any]:
    base = import_extra("lsst.pipe.base")
    try:
        return dict(base.Pipeline.from_uri(pipeline).to_graph(visualization_only=True).tasks)
    except Exception as error:  # of yaml, of a task's module, of the middleware
        raise ConfigError(f"the pipeline {pipeline} cannot be read: {error}") from error


def _try(config: Any, one: Override) -> None:
    overrides = import_extra("lsst.pipe.base.configOverrides").ConfigOverrides()
    _check_name(config, one)
    overrides.addValueOverride(one.option, one.value)
    try:
        overrides.applyTo(config)
    except Exception as error:  # of a field's check, of any class
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigError(f'the setting "{one.option}" of {one.task} cannot be {one.value}', detail=said[0]) from error


def _check_name(config: Any, one: Override) -> None:
    part = config
    for number, name in enumerate(one.option.split(".")):
        known = [*getattr(type(part), "_fields", ())]
        if not known:  # a part that is chosen among several has its own ways
            return
        if name not in known:
            before = ".".join([*one.option.split(".")[:number], ""])
            names = [f"{before}{other}" for other in known]
            close = did_you_mean(one.option, names, most=1)
            hint = close or f"It has {', '.join(names)}."
            raise ConfigError(f'{one.task} has no setting "{one.option}"', hint=hint)
        part = getattr(part, name)
