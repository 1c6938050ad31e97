"""Tables that the czar adds to the catalogues: the datasets that rows came from, and ObsCore.

They are there as long as somebody who asks may read a database that has a row in them. How many rows that are is known
at once; they are read when a query asks for them. ObsCore is made of the registry's images, unless the settings name a
table of a database that is it: then no image of the registry is in it, for whoever asks.

Settings may be changed, and that table be published anew, while a service runs: what is wrong with them then costs
``ivoa.ObsCore`` alone, and the log says why. ``check_obscore`` refuses to start with them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from qserv_py.catalog.snapshot import Catalog
from qserv_py.czar.obscore.brought import ShownTable, brought_obscore
from qserv_py.czar.obscore.images import ImageAccess, obscore_table
from qserv_py.czar.obscore.standard import OBSCORE_DATABASE
from qserv_py.czar.settings.settings_file import read_settings
from qserv_py.czar.tables.czar_tables import CzarTables
from qserv_py.czar.tables.dataset_table import BUTLER_DATABASE, dataset_table
from qserv_py.errors import ConfigError
from qserv_py.registry.connection import Registry
from qserv_py.registry.datasets import count_datasets, dataset_rows, image_rows

_log = logging.getLogger("qserv.catalog")


class ServiceTables:
    """The tables as of one state of the registry.

    Parameters
    ----------
    directory
        The cluster's directory, where its settings are.
    """

    def __init__(self, registry: Registry, directory: Path) -> None:
        self._registry = registry
        self._counts = count_datasets(registry)
        self._refused = False
        try:
            self._access = read_settings(directory).images
        except ConfigError as error:
            self._access = ImageAccess()
            self._refuse(error)
        if self._access.obscore and (having := [name for name, (_, images) in self._counts.items() if images]):
            _log.warning(
                "ivoa.ObsCore is %s, as settings.yaml says: the images of %s are not in it",
                self._access.obscore,
                ", ".join(having),
            )

    def visible(self, catalog: Catalog) -> Iterator[CzarTables | ShownTable]:
        """Give the tables, with the rows of the databases of a catalogue; ObsCore only where the settings allow it."""
        taken = {database.name.lower() for database in catalog.databases}
        snapshots = {name: number for name, number in catalog.published.items() if name in self._counts}
        datasets, images = (sum(self._counts[name][place] for name in snapshots) for place in range(2))
        if datasets and BUTLER_DATABASE not in taken:
            yield dataset_table(datasets, partial(dataset_rows, self._registry, snapshots))
        if OBSCORE_DATABASE in taken or self._refused:
            return
        if self._access.obscore:
            yield from self._brought(catalog)
        elif images:
            yield obscore_table(images, partial(image_rows, self._registry, snapshots), self._access)

    def _brought(self, catalog: Catalog) -> Iterator[ShownTable]:
        try:
            brought = brought_obscore(catalog, self._access.obscore)
        except ConfigError as error:
            self._refuse(error)
            return
        if brought is not None:
            yield brought

    def _refuse(self, error: ConfigError) -> None:
        """Leave ObsCore out until the catalogue changes."""
        self._refused = True
        said = " ".join(f"{error.message}. {error.detail} {error.hint}".split())
        _log.error("there is no ivoa.ObsCore: %s", said)


def check_obscore(catalog: Catalog, directory: Path) -> None:
    """Raise if the settings of a cluster's directory name a table that cannot be ``ivoa.ObsCore``.

    Raises
    ------
    ConfigError
        If the settings cannot be read, or the table cannot be it; with the columns.
    """
    named = read_settings(directory).images.obscore
    if named:
        brought_obscore(catalog, named)
