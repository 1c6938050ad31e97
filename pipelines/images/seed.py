"""What a new Butler repository is told of our images."""

from __future__ import annotations

from importlib import resources

from lsst.daf.butler import Config


def seed_config() -> Config:
    """Return storage classes and formatters, for ``Butler.makeRepo``."""
    return Config(str(resources.files("qserv_py.pipelines.images") / "butler.yaml"))
