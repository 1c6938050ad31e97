"""What a Python child of a test begins with: this folder is on its ``PYTHONPATH``, Python imports this file first."""

from loopback_only import install  # type: ignore[import-not-found]

install()
