"""``qserv pipeline``: a Butler repository, and image pipelines over it."""

from __future__ import annotations

import click

from qserv_py.cli.pipelines import repository_commands
from qserv_py.cli.pipelines.pipeline_run_commands import cancel, environment, report, restart, run, status, submit


@click.group()
def pipeline() -> None:
    """Make a Butler repository, and run image pipelines over it."""


for command in repository_commands.COMMANDS:
    pipeline.add_command(command)
for command in (run, submit, report, status, cancel, restart, environment):
    pipeline.add_command(command)
