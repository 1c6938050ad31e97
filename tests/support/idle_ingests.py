"""Begins super-transactions as ingests do and leaves them open; run as a program by the tests.

Arguments: ``CLUSTER DATABASE NUMBER``. Their ids are printed as one line; the program ends when its input is closed.
"""

from __future__ import annotations

import os
import socket
import sys

from qserv_py.czar.cluster import open_cluster
from qserv_py.registry.transactions import begin_transaction


def begin(cluster: str, database: str, number: str) -> None:
    """Begin super-transactions of this process and wait."""
    with open_cluster(cluster).registry() as registry:
        context = {"host": socket.gethostname(), "pid": os.getpid()}
        print(*(begin_transaction(registry, database, context=context) for _ in range(int(number))), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    begin(*sys.argv[1:])
