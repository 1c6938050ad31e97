"""How the Butler writes and reads our images: its formatters, thin over ``fits_file``.

A dataset's file carries its provenance as cards ``LSST BUTLER ...`` (id, run, data id, inputs), as Rubin's files do;
they are not part of the header that comes back.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from lsst.daf.butler import DatasetProvenance, FormatterV2
from lsst.daf.butler.formatters.parquet import ParquetFormatter
from lsst.resources import ResourcePath

from qserv_py.pipelines.images.exposure import Exposure, HeaderValue, RawImage
from qserv_py.pipelines.images.fits_file import (
    Source,
    read_component,
    read_exposure,
    read_raw,
    read_raw_component,
    write_exposure,
)
from qserv_py.pipelines.instrument.camera import Camera
from qserv_py.pipelines.instrument.raws import write_raw

_PROVENANCE = "LSST BUTLER"
_MAX_INPUTS = 500  # of a dataset in its header


class _FitsFormatter(FormatterV2):  # type: ignore[misc]
    default_extension = ".fits"
    supported_extensions = frozenset({".fits", ".fits.gz", ".fits.fz", ".fit"})
    can_read_from_stream = True  # a component or a box of a remote file is read by ranges of bytes
    can_read_from_local_file = True

    def read_from_stream(self, stream: IO[bytes], component: str | None = None, expected_size: int = -1) -> Any:
        return self._read(stream, component)

    def read_from_local_file(self, path: str, component: str | None = None, expected_size: int = -1) -> Any:
        return self._read(Path(path), component)

    def _read(self, source: Source, component: str | None) -> Any:
        raise NotImplementedError

    @property
    def _name(self) -> str:
        return str(self.file_descriptor.location.uri.unquoted_path)


class ExposureFormatter(_FitsFormatter):
    """Exposures as FITS."""

    def add_provenance(
        self, in_memory_dataset: Exposure, /, *, provenance: DatasetProvenance | None = None
    ) -> Exposure:
        """Return the exposure with cards that say which dataset it is and what it was made from."""
        cards = (provenance or DatasetProvenance()).to_flat_dict(
            self.dataset_ref, prefix=_PROVENANCE, sep=" ", simple_types=True, max_inputs=_MAX_INPUTS
        )
        return replace(in_memory_dataset, header={**_own(in_memory_dataset.header), **cards})

    def write_local_file(self, in_memory_dataset: Exposure, uri: ResourcePath) -> None:
        """Write the file."""
        write_exposure(in_memory_dataset, Path(uri.ospath))

    def _read(self, source: Source, component: str | None) -> Any:
        bbox = (self.file_descriptor.parameters or {}).get("bbox")
        if component == "header":
            return _own(read_component(source, component, name=self._name))
        if component is not None:
            return read_component(source, component, name=self._name, bbox=bbox)
        exposure = read_exposure(source, name=self._name, bbox=bbox)
        return replace(exposure, header=_own(exposure.header))


class RawFormatter(_FitsFormatter):
    """Raw images as FITS."""

    def write_local_file(self, in_memory_dataset: RawImage, uri: ResourcePath) -> None:
        """Write the file."""
        write_raw(Path(uri.ospath), in_memory_dataset)

    def _read(self, source: Source, component: str | None) -> Any:
        if component is not None:
            return read_raw_component(source, component, name=self._name)
        return read_raw(source, name=self._name)


class TableFormatter(ParquetFormatter):  # type: ignore[misc]
    """Tables as Parquet, whose files others name ``.parquet``, not ``.parq`` as the Butler does."""

    supported_extensions = frozenset({".parq", ".parquet"})


class CameraFormatter(FormatterV2):  # type: ignore[misc]
    """Descriptions of cameras as JSON."""

    default_extension = ".json"
    unsupported_parameters = None
    can_read_from_uri = True

    def read_from_uri(self, uri: ResourcePath, component: str | None = None, expected_size: int = -1) -> Camera:
        """Read the file."""
        return Camera.from_json(uri.read().decode("utf-8", errors="replace"), place=str(uri))

    def to_bytes(self, in_memory_dataset: Camera) -> bytes:
        """Return the content of the file."""
        return in_memory_dataset.to_json().encode()


def _own(header: Any) -> dict[str, HeaderValue]:
    return {key: value for key, value in header.items() if not key.startswith(f"{_PROVENANCE} ")}
