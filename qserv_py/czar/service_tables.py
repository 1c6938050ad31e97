"""Tables that the czar makes of its registry beside the catalogues: the datasets that rows came from, and ObsCore.

They are there as long as somebody who asks may read a database that has a row in them. How many rows that are is known
at once; they are read when a query asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from qserv_py.catalog.snapshot import Catalog
from qserv_py.czar.czar_tables import CzarTables
from qserv_py.czar.dataset_table import BUTLER_DATABASE, dataset_table
from qserv_py.czar.obscore import OBSCORE_DATABASE, ImageAccess, obscore_table
from qserv_py.czar.settings_file import read_settings
from qserv_py.registry.connection import Registry
from qserv_py.registry.datasets import count_datasets, dataset_rows, image_rows


class ServiceTables:
    """The tables as of one state of the registry.

    Parameters
    ----------
    directory
        The cluster's, where its settings are.
    """

    def __init__(self, registry: Registry, directory: Path) -> None:
        self._registry = registry
        self._counts = count_datasets(registry)
        has_images = any(images for _, images in self._counts.values())
        self._access = read_settings(directory).images if has_images else ImageAccess()

    def visible(self, catalog: Catalog) -> Iterator[CzarTables]:
        """Give the tables, with the rows of the databases of a catalogue."""
        taken = {database.name.lower() for database in catalog.databases}
        snapshots: Mapping[str, int] = {
            name: snapshot.number for name, snapshot in catalog.snapshots.items() if name in self._counts
        }
        datasets, images = (sum(self._counts[name][place] for name in snapshots) for place in range(2))
        if datasets and BUTLER_DATABASE not in taken:
            yield dataset_table(datasets, partial(dataset_rows, self._registry, snapshots))
        if images and OBSCORE_DATABASE not in taken:
            yield obscore_table(images, partial(image_rows, self._registry, snapshots), self._access)
