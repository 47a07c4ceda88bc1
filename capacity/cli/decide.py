"""Decide: plan and rehearse."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from capacity.cli.output import common_options, print_json, print_lines, print_table, progress
from capacity.errors import UsageError

if TYPE_CHECKING:
    from capacity.plan import Plan
    from capacity.workspace import Workspace

INFEASIBLE = 3


@click.command()
@click.argument("promotion")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="What if: demand=1.2, zone_losses=2, overload_probability=0.01, SERVICE.instances=30, SERVICE.limit_qps=500, "
    "SERVICE.zones=2, SERVICE.max_qps=9000, SERVICE.max_instances=80, off.FEATURE=1; repeatable. The difference to the "
    "plan is shown, nothing is saved.",
)
@click.option("--approve", "approved_by", metavar="NAME", help="Sign the plan; exports, tracking and review use it.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write plan.json here as well.")
@common_options
def plan(
    ws: "Workspace", promotion: str, changes: tuple[str, ...], approved_by: str | None, out: Path | None, as_json: bool
) -> int:
    """Derive PROMOTION's instances, limits and degradation; write data/plans/PROMOTION/AS_OF/plan.json."""
    from capacity.document import write_text
    from capacity.flow import plan_promotion

    if changes:
        if approved_by:
            raise UsageError("a what-if cannot be approved", remedy="put the change into the files, plan, then approve")
        return _what_if(ws, promotion, dict(_read_change(change) for change in changes), out, as_json=as_json)
    with progress("Planning") as step:
        made, rehearsal = plan_promotion(ws, promotion, on_step=step)
    made = ws.save(made, rehearsal, approved_by=approved_by)
    if out is not None:
        write_text(out, made.to_json())
    if as_json:
        click.echo(made.to_json())
    else:
        _show(made)
        click.echo(f"\n{rehearsal!r}")
    return _answer(made, kept="written all the same")


def _what_if(ws: "Workspace", promotion: str, changes: dict[str, float], out: Path | None, *, as_json: bool) -> int:
    from capacity.document import write_text
    from capacity.questions import compare_plan

    with progress("Planning under the change") as step:
        found = compare_plan(ws, promotion, changes=changes, on_step=step)
    if out is not None:
        write_text(out, found.anew.to_json())
    if as_json:
        print_json("what-if", found.to_document())
    else:
        click.echo(repr(found))
        print_table(found.totals, title="The plan, held under the change, and made anew under it")
        print_table(found.to_frame(), title="Services that it touches", units=found.units)
        print_lines("Mind", list(found.warnings))
    return _answer(found.anew, kept="shown, not saved, as every what-if")


def _answer(made: "Plan", *, kept: str) -> int:
    if not made.feasible:
        reasons = "".join(f"\n  - {reason}" for reason in made.infeasible_because)
        click.echo(f"capacity: no feasible plan of {made.promotion_id} ({kept}):{reasons}", err=True)
        sys.exit(INFEASIBLE)
    return 0


@click.command()
@click.argument("promotion")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="FAULT",
    help="NAME[=SERVICE][:FACTOR][@WHEN][/SECONDS], see below; repeatable.",
)
@click.option(
    "--limits",
    type=click.Choice(["cluster", "instance", "instance-and-cluster", "none"]),
    default="cluster",
    show_default=True,
    help="Which limits are enforced, besides those of callers and hot keys.",
)
@click.option(
    "--skew",
    type=click.FloatRange(0.0, 1.0),
    default=0.0,
    show_default=True,
    help="The fullest third of the instances gets so much more than the mean.",
)
@click.option(
    "--paths",
    type=click.IntRange(1, 2000),
    default=None,
    help="Futures to play.  [default: 100, fewer with thousands of services]",
)
@common_options
def rehearse(
    ws: "Workspace",
    promotion: str,
    faults: tuple[str, ...],
    limits: Any,
    skew: float,
    paths: int | None,
    as_json: bool,
) -> None:
    r"""Play the plan of PROMOTION second by second: what breaks first, when, why, and what mends it.

    \b
    Faults, each with when it strikes unless @WHEN says otherwise:
      zone-loss[=ZONES]                   zones are gone from the beginning
      slow-downstream=SERVICE[:FACTOR]    takes 0.3 of its capacity for 6 min, from a minute before the worst second
      third-party-down=SERVICE            answers nothing for 6 min, from a minute before the worst second
      cold-cache[=SERVICE]                caches in front of it empty a minute before, full again within minutes
      retry-storm[=SERVICE][:FACTOR]      calls tried 4 times, users 3 times, no budget; set off by 30 s at 0.33
      limiter-loss[=SERVICE]              no limit is enforced
      demand=FACTOR                       so many times the arrivals
      late-scale-up[=SERVICE]             instances asked for at the start, serving after their startup time
      hot-key[=SERVICE][:FACTOR]          the hottest item gets 3 times its share
    WHEN is peak, start, peak-60 or seconds after the start; /SECONDS says for how long: zone-loss@peak,
    slow-downstream=payment:0.5@peak-30/120.
    """
    from capacity.rehearsal import rehearse as play

    with progress("Rehearsing"):
        rehearsal = play(ws.plan(promotion), faults=list(faults), n_paths=paths, limits=limits, skew=skew)
    if as_json:
        print_json("rehearsal", rehearsal.to_document())
        return
    click.echo(repr(rehearsal))
    if len(rehearsal.breaks):
        what = ["service", "share", "at_s", "metastable", "shed_to_qps", "spread"]
        print_table(rehearsal.breaks[what], title="What breaks", units=rehearsal.units)
    if len(rehearsal.tried):
        print_table(rehearsal.tried, title="Tried to mend the first of it")
    print_lines("Why", list(rehearsal.why))


@click.command()
@click.argument("promotion")
@click.option("--check", is_flag=True, help="Exit with 3 unless everything is ready.")
@common_options
def readiness(ws: "Workspace", promotion: str, check: bool, as_json: bool) -> None:
    """List what is open before PROMOTION: broken promises, scaling, load tests, gaps, owners and days."""
    from capacity.questions import check_readiness

    with progress("Gathering what is open") as step:
        found = check_readiness(ws, promotion, on_step=step)
    frame = found.to_frame()
    if as_json:
        print_json("readiness", {"summary": found.summary(), "state": found.state, "items": frame.to_dict("records")})
    else:
        click.echo(repr(found))
        print_table(frame, units=found.units)
    if check and found.blocking:
        sys.exit(INFEASIBLE)


def _read_change(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name.strip(), float(value)
    except ValueError:
        raise UsageError(f"--set {text}: expected NAME=NUMBER", remedy="such as --set demand=1.2") from None


def _show(made: "Plan") -> None:
    click.echo(repr(made))
    document = made.document
    print_table(made.to_frame(), title=f"Services ({document['promotion']}, as of {document['as_of']})")
    for name, service in document["services"].items():
        if service["decision"] != "keep":
            print_lines(f"{name}: {service['decision']}", service["why"])
    print_lines("Assumed", document["assumptions"])
