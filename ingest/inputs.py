"""Where the rows of an ingest come from: a file of the user, or whatever else can be opened as a `Reader`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qserv_py.catalog.dataset import NewDataset
from qserv_py.ingest.files.opened import open_reader
from qserv_py.ingest.files.reader import Reader
from qserv_py.ingest.requests import InputOptions, format_of


class Input(Protocol):
    """The rows of one contribution."""

    @property
    def label(self) -> str:
        """How messages call the input."""

    @property
    def file_name(self) -> str:
        """Name that the input's reject file begins with."""

    @property
    def source(self) -> str:
        """Where the rows come from, as the registry notes it."""

    @property
    def format(self) -> str:
        """Format of the rows."""

    @property
    def bytes(self) -> int:
        """Size of what is read."""

    @property
    def dataset(self) -> NewDataset | None:
        """The dataset that the rows are, which a table takes once; None for files, which nothing identifies."""

    def sha256(self) -> str | None:
        """Return the SHA-256 of the content; None when it can be read once only, or something else identifies it."""

    def open(self) -> Reader:
        """Open the input for reading; ContributionError if that is not possible."""


@dataclass(frozen=True, slots=True)
class FileInput:
    """A file of the user."""

    path: Path
    options: InputOptions

    @property
    def label(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def file_name(self) -> str:
        """Name of the file, without its directory."""
        return self.path.name

    @property
    def source(self) -> str:
        """Its path."""
        return str(self.path)

    @property
    def format(self) -> str:
        """Format of the file, as the options or its suffix say."""
        return format_of(self.path, self.options).value

    @property
    def bytes(self) -> int:
        """Size of the file."""
        return self.path.stat().st_size

    @property
    def dataset(self) -> NewDataset | None:
        """None: a file is no dataset of a Butler."""
        return None

    def sha256(self) -> str | None:
        """Return that of the file; None for a pipe, or for what opening it will say more of."""
        if not self.path.is_file():
            return None
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return None

    def open(self) -> Reader:
        """Open the file."""
        return open_reader(self.path, format_of(self.path, self.options), self.options)
