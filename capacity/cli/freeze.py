"""Evening: may this change go out, who may except it, do the windows hold."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from capacity.cli.output import common_options, print_json, print_lines, print_text, read_moment
from capacity.errors import UsageError

if TYPE_CHECKING:
    from capacity.workspace import Workspace

FROZEN = 6
_KINDS = click.Choice(["release", "data_migration", "emergency_scaling", "hot_fix"])


@click.group()
def freeze() -> None:
    """Ask whether a change may go out, sign exceptions, audit the windows."""


@freeze.command()
@click.option("--service", default=None, help="What changes.  [default: anything]")
@click.option("--at", default=None, metavar="TIME", help="When, ISO 8601.  [default: now]")
@click.option("--kind", type=_KINDS, default="release", show_default=True, help="Of change.")
@common_options
def check(ws: "Workspace", service: str | None, at: str | None, kind: Any, as_json: bool) -> None:
    """Answer a deploy job: exits with 0 when the change may go out, with 6 when a freeze forbids it."""
    from capacity.questions import may_change

    moment = read_moment(at, "--at", ws.settings.zone) or datetime.now(ws.settings.zone)
    answer = may_change(ws, at=moment, service=service, kind=kind)
    if as_json:
        exemption = None if answer.exemption is None else answer.exemption.id
        print_json(
            "freeze",
            {"allowed": answer.allowed, "reason": answer.reason, "promotion": answer.promotion_id, "at": moment,
             "may_grant": list(answer.may_grant), "exception": exemption},
        )  # fmt: skip
    else:
        print_text(answer.summary())
    if not answer.allowed:
        sys.exit(FROZEN)


@freeze.command(name="except")
@click.argument("promotion")
@click.argument("reason")
@click.option("--who", required=True, help="Who signs; one who may by operations.yaml.")
@click.option("--until", required=True, metavar="TIME", help="When it ends.")
@click.option("--at", default=None, metavar="TIME", help="When it begins.  [default: now]")
@click.option("--service", default=None, help="For this service alone.")
@click.option("--kind", type=_KINDS, default="release", show_default=True, help="Of change.")
@common_options
def except_(
    ws: "Workspace", promotion: str, reason: str, who: str, until: str, at: str | None, service: str | None, kind: Any,
    as_json: bool,
) -> None:  # fmt: skip
    """Sign an exception from PROMOTION's freeze into its journal, with its REASON."""
    from capacity.questions import sign_exception

    zone = ws.settings.zone
    begin, end = read_moment(at, "--at", zone) or datetime.now(zone), read_moment(until, "--until", zone)
    if end is None:
        raise UsageError("--until: got nothing, expected a time")
    entry = sign_exception(ws, promotion, who=who, at=begin, until=end, reason=reason, service=service, kind=kind)
    if as_json:
        print_json("freeze", {"entry": entry.to_document()})
    else:
        print_text(f"{entry.id} is signed: {entry.text}")


@freeze.command()
@click.argument("promotion", required=False)
@common_options
def audit(ws: "Workspace", promotion: str | None, as_json: bool) -> None:
    """Check the windows of PROMOTION, or all to come: phases, buffers, core services, overlaps, years; 6 if not."""
    from capacity.operations import audit_freezes

    today = ws.as_of
    chosen = {
        name: one for name, one in ws.promotions.items()
        if (name == promotion if promotion else today is None or one.ends_at.date() >= today)
    }  # fmt: skip
    if promotion is not None:
        ws.promotions[promotion]
    core = tuple(name for name, service in ws.services.items() if service.tier == "core")
    found = audit_freezes(chosen, ws.operations, core=core)
    if as_json:
        print_json("freeze", {"promotions": list(chosen), "findings": found.to_frame().to_dict("records")})
    else:
        print_text(found.summary())
        print_lines("Findings", tuple(one.says for one in found.findings))
    if found.findings:
        sys.exit(FROZEN)
