"""Which quanta share a job: so many that starting a process is little beside them, so few that all cores are busy.

A job of BPS starts a Python of its own (about 2 s) and each quantum costs the middleware some 50 ms, so a job for each
quantum wastes most of its time, and a job for each visit does where visits are small. Here tasks over the same
dimensions form a layer; inside a layer, quanta that depend on each other stay together, and neighbours (detectors of a
visit, then visits) are put together into jobs of even size.

``clusterAlgorithm: qserv_py.pipelines.workflow.clustering.cluster_by_work`` chooses it in a file for ``bps``;
``clusterQuanta`` is how many quanta make a job.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qserv_py.pipelines.workflow.bps.site import site_number

if TYPE_CHECKING:
    from lsst.ctrl.bps import BpsConfig, ClusteredQuantumGraph
    from lsst.daf.butler import DataCoordinate
    from lsst.pipe.base.quantum_graph import PredictedQuantumGraph

QUANTA_PER_JOB = 32
"""With quanta of a second, as those of ``isr`` and ``calibrateImage``, a job's start is a twentieth of its time."""

_SPATIAL = ("visit", "detector", "tract", "patch")
"""Dimensions that make a layer, and the order of quanta in it; ``exposure`` counts as ``visit``."""


@dataclass(frozen=True, slots=True, order=True)
class Layer:
    """Tasks over the same dimensions with nothing between them."""

    depth: int
    dimensions: tuple[str, ...]


def layers_of(
    tasks: Mapping[str, Iterable[str]], parents: Mapping[str, Iterable[str]], *, whole_visits: bool
) -> dict[str, Layer]:
    """Return the layer of each task; no layer depends on a later one.

    Parameters
    ----------
    tasks
        Dimensions of each task, parents before children.
    parents
        Tasks whose outputs each task reads.
    whole_visits
        Whether tasks over visits share layers with those over their detectors: fewer processes start, and a visit is
        the least that makes a job.
    """
    layers: dict[str, Layer] = {}
    for task, dimensions in tasks.items():
        named = {"visit" if name == "exposure" else name for name in dimensions}
        if whole_visits and "visit" in named:
            named.discard("detector")
        spatial = tuple(name for name in _SPATIAL if name in named)
        above = [layers[parent] for parent in parents[task]]
        depth = max((layer.depth + (layer.dimensions != spatial) for layer in above), default=0)
        layers[task] = Layer(depth, spatial)
    return layers


def connected(items: Sequence[Hashable], edges: Iterable[tuple[Hashable, Hashable]]) -> list[list[Hashable]]:
    """Return the groups of items that edges connect, in the order of their first items."""
    leader = {item: item for item in items}

    def find(item: Hashable) -> Hashable:
        while leader[item] != item:
            leader[item] = item = leader[leader[item]]
        return item

    for one, other in edges:
        leader[find(other)] = find(one)
    groups: dict[Hashable, list[Hashable]] = defaultdict(list)
    for item in items:
        groups[find(item)].append(item)
    return list(groups.values())


def packed(sizes: Sequence[int], *, quanta_per_job: int, cores: int) -> list[range]:
    """Return which units, in their order, share a job.

    There are as many jobs as the quanta fill, and as many as there are cores when the units suffice; above that a
    multiple of the cores, so that all end together.
    """
    total = sum(sizes)
    wanted = max(math.ceil(total / quanta_per_job), min(cores, len(sizes)))
    jobs = min(len(sizes), math.ceil(wanted / cores) * cores)
    ranges, first, done = [], 0, 0
    for number in range(1, jobs + 1):
        last = first
        # A unit goes to the job in whose share its middle lies; each later job keeps one at least.
        while last < len(sizes) - (jobs - number) and (
            last == first or (done + sizes[last] / 2) * jobs <= total * number
        ):
            done += sizes[last]
            last += 1
        ranges.append(range(first, last))
        first = last
    ranges[-1] = range(ranges[-1].start, len(sizes))
    return ranges


def cluster_by_work(config: BpsConfig, qgraph: PredictedQuantumGraph, name: str) -> ClusteredQuantumGraph:
    """Put the quanta of a graph into jobs; BPS calls this.

    Parameters
    ----------
    config
        ``clusterQuanta`` is the number of quanta that make a job, ``site.<computeSite>.cores`` the cores to keep busy.
    qgraph
        The graph.
    name
        Of the result.
    """
    from lsst.ctrl.bps import ClusteredQuantumGraph, QuantaCluster

    clustered = ClusteredQuantumGraph(name=name, qgraph=qgraph, qgraph_filename=config[".bps_defined.runQgraphFile"])
    quanta = clustered.qxgraph
    places = {quantum: _place(info["data_id"]) for quantum, info in quanta.nodes.items()}
    per_job, cores = site_number(config, "clusterQuanta", QUANTA_PER_JOB), site_number(config, "cores", 1)
    visits = {place["visit"] for place in places.values() if "visit" in place}
    layers = _task_layers(qgraph, whole_visits=len(visits) >= cores)
    by_layer: dict[Layer, list[Hashable]] = defaultdict(list)
    for quantum in sorted(quanta.nodes, key=lambda quantum: (_order(places[quantum]), str(quantum))):
        by_layer[layers[quanta.nodes[quantum]["task_label"]]].append(quantum)
    cluster_of: dict[Hashable, str] = {}
    for layer, members in sorted(by_layer.items()):
        inside = set(members)
        edges = ((one, other) for one in members for other in quanta.successors(one) if other in inside)
        units = connected(members, edges)
        label = _label([task for task, its in layers.items() if its == layer])
        jobs = packed([len(unit) for unit in units], quanta_per_job=per_job, cores=cores)
        for number, chosen in enumerate(jobs, 1):
            first = places[units[chosen.start][0]]
            cluster = QuantaCluster("_".join((label, f"{number:04d}", *(f"{key}{first[key]}" for key in first))), label)
            for quantum in (quantum for unit in units[chosen.start : chosen.stop] for quantum in unit):
                cluster.add_quantum(quantum, quanta.nodes[quantum]["task_label"])
                cluster_of[quantum] = cluster.name
            clustered.add_cluster(cluster)
    for one, other in quanta.edges:
        if cluster_of[one] != cluster_of[other]:
            clustered.add_dependency(cluster_of[one], cluster_of[other])
    return clustered


def _task_layers(qgraph: PredictedQuantumGraph, *, whole_visits: bool) -> dict[str, Layer]:
    tasks = qgraph.pipeline_graph.tasks  # parents come before children
    graph = qgraph.pipeline_graph.make_task_xgraph()
    dimensions = {label: tuple(node.raw_dimensions) for label, node in tasks.items()}
    parents = {label: [parent.name for parent in graph.predecessors(node.key)] for label, node in tasks.items()}
    return layers_of(dimensions, parents, whole_visits=whole_visits)


def _place(data_id: DataCoordinate) -> dict[str, int]:
    """Return where on the sky, or on the focal plane, a quantum works."""
    values = {"visit" if name == "exposure" else name: value for name, value in data_id.required.items()}
    return {name: values[name] for name in _SPATIAL if name in values}


def _order(place: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(place.get(name, -1) for name in _SPATIAL)


def _label(tasks: Sequence[str]) -> str:
    """Return what jobs of some tasks are called: the first task, and the last when there are several."""
    return tasks[0] if len(tasks) == 1 else f"{tasks[0]}-{tasks[-1]}"
