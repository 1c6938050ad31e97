"""The Python API of notebooks."""
