"""``qserv pipeline``: image pipelines over a Butler repository."""

from __future__ import annotations

import click

from qserv_py.cli.pipeline_run_commands import cancel, environment, report, restart, run, status, submit


@click.group()
def pipeline() -> None:
    """Run image pipelines over a Butler repository."""


for command in (run, submit, report, status, cancel, restart, environment):
    pipeline.add_command(command)
