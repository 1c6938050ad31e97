"""Pipelines as YAML, for ``pipetask`` and ``bps``."""
