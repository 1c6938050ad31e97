"""Plans of queries that were asked before: a portal and a monitor send the same text again and again.

A plan depends on the text, on the databases that an identity sees, and on their chunks; on no table that a query or a
user brings. Each state of the catalogue has its own kept plans, so they go with it. Example: a portal asks ``SELECT
TOP 10 * FROM dr1.Object`` for each visitor; the first is planned, the others take its plan until ``dr1`` is published
anew.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from qserv_py.planner.plan.query_plan import QueryPlan

MOST_PLANS = 128
MOST_CHARACTERS = 10_000
"""Length of a text whose plan is kept: what lists thousands of constants has a plan of megabytes."""

MOST_CHUNKS = 1_000
"""Chunk queries of a plan that is kept: the chunks of a plan are listed in it, and a long scan gains nothing."""


class KeptPlans:
    """The plans of one state of the catalogue that were used last; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: OrderedDict[str, QueryPlan] = OrderedDict()

    def get(self, adql: str) -> QueryPlan | None:
        """Return the plan of a text, if it is kept."""
        with self._lock:
            plan = self._plans.get(adql)
            if plan is not None:
                self._plans.move_to_end(adql)
            return plan

    def keep(self, adql: str, plan: QueryPlan) -> None:
        """Keep a plan unless it is a large one."""
        if len(adql) > MOST_CHARACTERS or plan.chunks > MOST_CHUNKS:
            return
        with self._lock:
            self._plans[adql] = plan
            if len(self._plans) > MOST_PLANS:
                self._plans.popitem(last=False)
