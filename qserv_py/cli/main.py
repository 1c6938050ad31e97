"""The command ``qserv``: it finds a command, and turns errors into a text and an exit code.

Commands are imported when they run, so that ``qserv --help`` loads nothing but click; their one-line helps stand here.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from qserv_py.cli.errors import exit_code, report_defect, report_error
from qserv_py.errors import InternalError, QservError

COMMANDS = {
    "demo": ("operation.demo_commands:demo", "Make a cluster with a simulated survey and query it."),
    "cluster": ("operation.cluster_commands:cluster", "Make, start, stop and watch a cluster."),
    "schema": ("data.schema_commands:schema", "Load, show and validate schemas (Felis)."),
    "ingest": ("data.ingest_commands:ingest", "Load files, or datasets of a Butler, into a table."),
    "publish": ("data.ingest_commands:publish", "Make loaded rows visible to queries."),
    "compact": ("data.ingest_commands:compact", "Write what appends have left as one, and free its space."),
    "query": ("queries.query_commands:query", "Answer an ADQL query."),
    "explain": ("queries.query_commands:explain", "Show how a query would be answered."),
    "validate": ("queries.validate_command:validate", "Check queries without answering them."),
    "pipeline": (
        "pipelines.pipeline_commands:pipeline",
        "Make Butler repositories, run pipelines over them.",
    ),
    "cancel": ("queries.cancel_command:cancel", "End a query that runs, in any process."),
    "job": ("queries.job_commands:job", "List, watch, cancel and fetch the jobs of a service."),
    "serve": ("operation.serve_commands:serve", "Serve TAP and the other services over HTTP."),
    "grant": ("operation.grant_commands:grant", "Let users, groups or everybody read a database."),
    "revoke": ("operation.grant_commands:revoke", "Take such a grant back."),
    "table": ("data.table_commands:table", "Make, list, share and drop tables that users keep."),
    "token": ("operation.token_commands:token", "Make, list and revoke access tokens."),
    "sim": ("pipelines.sim_commands:sim", "Make data whose truth is known: raw images of a survey."),
    "list": ("data.list_commands:list_group", "List databases, tables, chunks, workers and running queries."),
}
"""Where each command is, below this package, and what ``qserv --help`` says of it; in the order of the help."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of ``COMMANDS``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(f"qserv_py.cli.{module}"), name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the arguments; a usage error names those that are alike."""
        name = click.utils.make_str(args[0])
        if name not in COMMANDS and not name.startswith("-"):
            from qserv_py.hints import did_you_mean

            hint = did_you_mean(name, COMMANDS, most=1) or f"Commands are {', '.join(COMMANDS)}."
            ctx.fail(f'There is no command "{name}". {hint}')
        return super().resolve_command(ctx, args)


def _print_version(ctx: click.Context, _option: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"qserv {version('qserv-py')}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--cluster",
    "cluster_dir",
    metavar="DIR",
    type=click.Path(path_type=Path, readable=False),
    help="Cluster; default QSERV_CLUSTER.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but results and errors.")
@click.option("-v", "--verbose", count=True, help="Say more; twice for the debug log.")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Version.")
@click.pass_context
def cli(ctx: click.Context, cluster_dir: Path | None, quiet: bool, verbose: int) -> None:
    """A sharded astronomical catalogue that answers ADQL.

    Data go to standard output, everything else to standard error.
    """
    ctx.obj = {"cluster_dir": cluster_dir, "verbosity": -1 if quiet else verbose}
    if verbose:
        import logging

        logging.basicConfig(level=logging.DEBUG if verbose > 1 else logging.INFO, format="%(name)s: %(message)s")


def main() -> NoReturn:
    """Run ``qserv`` and end the process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run ``qserv`` with arguments; return the exit code.

    Errors are text on standard error, never a traceback, unless ``QSERV_DEBUG`` is 1.
    """
    debug = os.environ.get("QSERV_DEBUG") == "1"
    try:
        result = cli.main(arguments, prog_name="qserv", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as in `qserv query ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except QservError as error:
        if debug:
            raise
        if isinstance(error, InternalError):
            report_defect(error)
        else:
            report_error(error)
        return exit_code(error)
    except Exception as error:
        if debug:
            raise
        report_defect(error)
        return 1


if __name__ == "__main__":
    main()
