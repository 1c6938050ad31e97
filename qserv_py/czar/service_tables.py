"""Tables that the czar makes of its registry beside the catalogues: the datasets that rows came from, and ObsCore.

They are there as long as somebody who asks may read a database that has a row in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from qserv_py.catalog.dataset import Image, LoadedDataset
from qserv_py.catalog.snapshot import Catalog
from qserv_py.czar.czar_tables import CzarTables
from qserv_py.czar.dataset_table import BUTLER_DATABASE, dataset_table
from qserv_py.czar.obscore import OBSCORE_DATABASE, ImageAccess, obscore_table
from qserv_py.czar.settings_file import read_settings
from qserv_py.registry.connection import Registry
from qserv_py.registry.datasets import published_datasets, published_images


@dataclass(frozen=True, kw_only=True)
class ServiceTables:
    """What the tables are made of."""

    datasets: tuple[LoadedDataset, ...] = ()
    images: tuple[tuple[str, Image], ...] = ()
    access: ImageAccess = field(default_factory=ImageAccess)

    def visible(self, catalog: Catalog) -> Iterator[CzarTables]:
        """Give the tables, with the rows of the databases of a catalogue."""
        names = {database.name for database in catalog.databases}
        taken = {name.lower() for name in names}
        datasets = [dataset for dataset in self.datasets if dataset.database in names]
        if datasets and BUTLER_DATABASE not in taken:
            yield dataset_table(datasets)
        images = [(database, image) for database, image in self.images if database in names]
        if images and OBSCORE_DATABASE not in taken:
            yield obscore_table(images, self.access)


def read_service_tables(registry: Registry, directory: Path) -> ServiceTables:
    """Return what the registry knows; ``directory`` is the cluster's, where its settings are."""
    datasets, images = published_datasets(registry), published_images(registry)
    access = read_settings(directory).images if images else ImageAccess()
    return ServiceTables(datasets=datasets, images=images, access=access)
