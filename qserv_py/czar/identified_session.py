"""The session as a service holds it: each call names the identity that asks.

``Session`` answers as the operator when nobody is named, which is right on the czar's machine and would be a leak on a
network. So services hold this one, and import-linter keeps them from importing the other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import pyarrow as pa

from qserv_py.catalog.snapshot import Catalog
from qserv_py.czar.answer import Answer
from qserv_py.czar.cluster import Cluster
from qserv_py.czar.identity.identity import Identity, Proof
from qserv_py.czar.queries.queries import Queries
from qserv_py.czar.queries.running import RunningQuery
from qserv_py.czar.session import Session
from qserv_py.czar.user_tables.user_tables import UserTables
from qserv_py.errors import InternalError
from qserv_py.executor.runner import Progress
from qserv_py.planner.plan.query_plan import QueryPlan


class IdentifiedSession:
    """Answers queries of those who say who they are; the operator, to whom everything is open, is refused.

    Parameters
    ----------
    session
        Session that answers; whoever made it closes it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def cluster(self) -> Cluster:
        """The cluster that answers."""
        return self._session.cluster

    @property
    def queries(self) -> Queries:
        """The queries of the session that run."""
        return self._session.queries

    @property
    def user_tables(self) -> UserTables:
        """The tables that users keep; each of its calls names the user."""
        return self._session.user_tables

    def check(self) -> None:
        """Raise ClusterError unless the registry answers."""
        self._session.catalog()

    def catalog(self, identity: Identity) -> Catalog:
        """Return the databases that an identity may read, and the tables that it keeps or that others share with it.

        As long as nothing changes, identities that may read the same databases and no such tables get the same object.
        """
        catalog = self._session.catalog(_known(identity))
        for kept in self.user_tables.databases(identity):
            catalog = kept.added_to(catalog)
        return catalog

    def catalog_with_chunks(self, names: Collection[str], identity: Identity) -> Catalog:
        """Return the databases that an identity may read, with the chunks of some of them."""
        return self._session.catalog_with_chunks(names, _known(identity))

    def plan(self, adql: str, identity: Identity, *, uploads: Mapping[str, pa.Table] | None = None) -> QueryPlan:
        """Return the plan of a query, as ``Session.plan`` does."""
        return self._session.plan(adql, uploads=uploads, identity=_known(identity))

    def answer(
        self,
        adql: str,
        identity: Identity,
        *,
        maxrec: int | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        uploads: Mapping[str, pa.Table] | None = None,
        query: RunningQuery | None = None,
    ) -> Answer:
        """Plan a query and return its answer, as ``Session.answer`` does."""
        return self._session.answer(
            adql, maxrec=maxrec, on_progress=on_progress, uploads=uploads, identity=_known(identity), query=query
        )


def _known(identity: Identity) -> Identity:
    if identity.proof is Proof.OPERATOR:
        raise InternalError("a service asked as the operator")
    return identity
