"""The reference page of the pipelines knows every task, setting and dataset type."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from lsst.pex.config import Config, ConfigField
from lsst.pipe.base import Pipeline, PipelineTaskConfig

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "pipelines.md").read_text(encoding="utf-8")
PIPELINES = ("cp", "drp-single-frame")


def settings_of(config: Config, prefix: str = "") -> list[str]:
    """Return the names of a task's own settings, those of parts with the part's name before."""
    names = []
    for name, field in type(config)._fields.items():
        if name in PipelineTaskConfig._fields or name == "connections":
            continue
        if isinstance(field, ConfigField):
            names += settings_of(getattr(config, name), f"{prefix}{name}.")
        else:
            names.append(f"{prefix}{name}")
    return names


def graph_of(name: str) -> Any:
    return Pipeline.fromFile(str(resources.files("qserv_py.pipelines.definitions") / f"{name}.yaml")).to_graph()


@pytest.mark.parametrize("name", PIPELINES)
def test_the_page_has_every_task_and_setting(name: str) -> None:
    graph = graph_of(name)
    assert graph.tasks
    for label, node in graph.tasks.items():
        assert f"`{label}`" in PAGE
        for setting in settings_of(node.config):
            assert f"`{setting}`" in PAGE, f"{label}: {setting}"


@pytest.mark.parametrize("name", PIPELINES)
def test_the_page_has_every_dataset_type(name: str) -> None:
    graph = graph_of(name)
    for label, node in graph.tasks.items():
        for edge in (*node.inputs.values(), *node.prerequisite_inputs.values(), *node.outputs.values()):
            assert f"`{edge.parent_dataset_type_name}`" in PAGE, f"{label}: {edge.parent_dataset_type_name}"


def test_steps_are_parts_of_the_pipeline() -> None:
    pipeline = Pipeline.fromFile(str(resources.files("qserv_py.pipelines.definitions") / "drp-single-frame.yaml"))
    steps = list(pipeline.to_graph().steps)
    assert steps == ["step1", "step2", "step3"]
    in_steps = [label for step in steps for label in pipeline.subsets[step]]
    assert sorted(in_steps) == sorted(pipeline.task_labels)
