"""Which quanta share a job."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qserv_py.pipelines.workflow.clustering import connected, layers_of, packed

TASKS = {
    "isr": ("instrument", "exposure", "detector"),
    "calibrate": ("instrument", "visit", "detector"),
    "summary": ("instrument", "visit"),
    "ubercal": ("instrument",),
    "reprocess": ("instrument", "visit", "detector"),
    "consolidate": ("instrument", "visit"),
}
PARENTS = {
    "isr": (),
    "calibrate": ("isr",),
    "summary": ("calibrate",),
    "ubercal": ("summary",),
    "reprocess": ("ubercal", "isr"),
    "consolidate": ("reprocess",),
}


def test_a_global_step_divides_what_is_before_it_from_what_is_behind() -> None:
    layers = layers_of(TASKS, PARENTS, whole_visits=True)
    assert layers["isr"] == layers["calibrate"] == layers["summary"]
    assert layers["reprocess"] == layers["consolidate"]
    assert layers["isr"] < layers["ubercal"] < layers["reprocess"]


def test_detectors_of_a_visit_are_parted_when_visits_are_few() -> None:
    layers = layers_of(TASKS, PARENTS, whole_visits=False)
    assert layers["isr"] == layers["calibrate"] < layers["summary"] < layers["ubercal"] < layers["reprocess"]


def test_no_layer_depends_on_a_later_one() -> None:
    for whole_visits in (True, False):
        layers = layers_of(TASKS, PARENTS, whole_visits=whole_visits)
        for task, parents in PARENTS.items():
            assert all(layers[parent] <= layers[task] for parent in parents)


def test_connected() -> None:
    assert connected("abcde", [("a", "d"), ("d", "e"), ("b", "c")]) == [["a", "d", "e"], ["b", "c"]]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=200), st.integers(1, 50), st.integers(1, 16))
def test_packed_takes_every_unit_once_in_order(sizes: list[int], quanta_per_job: int, cores: int) -> None:
    jobs = packed(sizes, quanta_per_job=quanta_per_job, cores=cores)
    assert [unit for job in jobs for unit in job] == list(range(len(sizes)))
    assert all(len(job) for job in jobs)
    assert len(jobs) >= min(cores, len(sizes))
    mean = sum(sizes) / len(jobs)
    assert all(sum(sizes[unit] for unit in job) <= mean + 1.5 * max(sizes) for job in jobs)


def test_packed_fills_jobs_and_cores() -> None:
    assert packed([8, 8, 8, 8], quanta_per_job=16, cores=2) == [range(2), range(2, 4)]
    assert len(packed([1] * 400, quanta_per_job=16, cores=4)) == 28, "a multiple of the cores"
    assert packed([1], quanta_per_job=16, cores=8) == [range(1)]
