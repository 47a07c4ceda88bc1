"""The entry point: finds the verb, and ends every failure in a message and an exit code, never in a traceback."""

import os
import sys
from collections.abc import Mapping
from importlib import import_module

import click

from capacity.errors import CapacityError

VERBS: Mapping[str, tuple[str, str, str]] = {
    "init": ("Set up", "capacity.cli.setup:init", "Make a workspace, empty or with a sample company."),
    "ingest": ("Set up", "capacity.cli.setup:ingest", "Check a source against its contract and take it in."),
    "check": ("Set up", "capacity.cli.setup:check", "List every problem and every assumption of the workspace."),
    "services": ("Know", "capacity.cli.know:services", "Evaluate every service; draft the catalogue."),
    "forecast": ("Know", "capacity.cli.know:forecast", "Forecast DAU, DAT and each service's worst second."),
    "backtest": ("Know", "capacity.cli.know:backtest", "Judge the forecast on past days and promotions."),
    "loadtest": ("Know", "capacity.cli.loadtest:loadtest", "Read load tests, and plan the next ones."),
    "saturation": ("Know", "capacity.cli.know:saturation", "Find what each service can take at its SLO."),
    "plan": ("Decide", "capacity.cli.decide:plan", "Derive instances, limits and degradation; sign them."),
    "rehearse": ("Decide", "capacity.cli.decide:rehearse", "Play a plan second by second, with faults."),
    "readiness": ("Decide", "capacity.cli.decide:readiness", "List all that is open before a promotion."),
    "export": ("Decide", "capacity.cli.export:export", "Write the plan as files for the systems that carry it out."),
    "runbooks": ("Decide", "capacity.cli.runbooks:runbooks", "Write what to do when it breaks; edits are kept."),
    "freeze": ("Evening", "capacity.cli.freeze:freeze", "Say whether a change may go out; sign exceptions."),
    "journal": ("Evening", "capacity.cli.evening:journal", "Write and read the log kept during a promotion."),
    "track": ("Evening", "capacity.cli.track:track", "Follow a promotion against its forecast and limits."),
    "retrospective": ("Learn", "capacity.cli.learn:retrospective", "Compare forecast and plan with what happened."),
    "report": ("Reports", "capacity.cli.reports:report", "Make pages: now, when due, for past days."),
    "lab": ("Reports", "capacity.cli.reports:lab", "Open the notebooks in JupyterLab."),
}
"""Verb: its section, where its command is, and what it does; nothing is imported to show the help."""


class Verbs(click.Group):
    """The verbs, imported one by one when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the verbs in the order of the work."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command of one verb."""
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name][1].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb, or say which one was likely meant."""
        from capacity.errors import did_you_mean

        if args and args[0] not in VERBS:
            hint = did_you_mean(args[0], VERBS) or "capacity --help lists the verbs"
            raise click.UsageError(f"there is no verb {args[0]!r}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the verbs by section."""
        for section in dict.fromkeys(section for section, _, _ in VERBS.values()):
            with formatter.section(section):
                formatter.write_dl([(verb, says) for verb, (part, _, says) in VERBS.items() if part == section])


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-w", "--workspace", "directory", default=None, metavar="DIR", help="The workspace.  [default: .]")
@click.option("--as-of", default=None, metavar="DATE", help="Know nothing of this day or later.")
@click.option("--debug", is_flag=True, help="Show the traceback of a failure.")
@click.version_option(package_name="capacity")
@click.pass_context
def cli(ctx: click.Context, directory: str | None, as_of: str | None, debug: bool) -> None:
    """Plan the capacity of a promotion: forecast, limits, rehearsal, review.

    Start with: capacity init shop --sample && capacity -w shop forecast 2026-double11 --as-of 2026-10-20
    """
    ctx.obj = {"directory": directory, "as_of": as_of, "debug": debug}


_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def main() -> None:
    """Run the command line and exit with its code: 0 done, 2 bad input, 3 not covered or infeasible, 6 frozen."""
    for name in _THREADS:
        # Its matrices are small: threads only get in each other's way, and in that of a second process.
        os.environ.setdefault(name, "1")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    if "--debug" in arguments:
        return _call(arguments)
    try:
        return _call(arguments)
    except CapacityError as error:
        click.echo(f"capacity: {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("capacity: stopped; nothing half-written was left behind", err=True)
        return 130
    except BrokenPipeError:
        # The reader of a pipe went away (such as `head`): not a failure, and nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # Permissions, a full disk, a folder where a file should be: the machine's answer, not the program's fault.
        what = f"{error.filename}: " if error.filename else ""
        click.echo(f"capacity: {what}{error.strerror or error}", err=True)
        click.echo("Next: see that it exists, may be read and written, and that the disk has room", err=True)
        return 2
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback reaches a user
        click.echo(f"capacity: unexpected {type(error).__name__}: {error}", err=True)
        click.echo("This is a fault of the program. --debug shows where; please report it.", err=True)
        return 1


def _call(arguments: list[str]) -> int:
    code = cli.main(args=arguments, prog_name="capacity", standalone_mode=False)
    return code if isinstance(code, int) else 0
