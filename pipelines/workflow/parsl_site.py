"""Parsl on this machine, with all its sockets on the loopback."""

from __future__ import annotations

from lsst.ctrl.bps.parsl.configuration import get_bps_config_value
from lsst.ctrl.bps.parsl.sites import Local
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

LOOPBACK = "127.0.0.1"


class ThisMachine(Local):  # type: ignore[misc]
    """Rubin's site ``Local``, whose workers find the run at an address that needs no search.

    Parsl's executor, given no address, collects those of all interfaces and asks https://api.ipify.org for the one that
    the world sees (`parsl.addresses.get_all_addresses`): a stranger learns of each run, a machine without a network
    waits for an answer, and the port of the run is open to other machines.
    """

    def get_executors(self) -> list[HighThroughputExecutor]:
        """Return the one executor; ``cores`` of the site says how many workers it has."""
        cores = get_bps_config_value(self.site, "cores", int, required=True)
        provider = LocalProvider()
        return [HighThroughputExecutor("local", address=LOOPBACK, provider=provider, max_workers_per_node=cores)]
