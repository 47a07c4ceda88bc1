"""Decide: runbooks for critical paths and third parties."""

from typing import TYPE_CHECKING

import click

from capacity.cli.output import common_options, print_json, print_lines, print_text

if TYPE_CHECKING:
    from capacity.workspace import Workspace


@click.command()
@click.argument("promotion")
@common_options
def runbooks(ws: "Workspace", promotion: str, as_json: bool) -> None:
    """Write data/runbooks from PROMOTION's plan: one a critical path, a third party, a service outside of all paths.

    Generated parts are made anew; what a person wrote between them stays, and so does a part that a person changed.
    """
    from capacity.operations import make_runbooks

    plan = ws.plan(promotion)
    subject = ws.promotions[promotion]
    contacts = {term.name: term.contact for term in subject.third_parties}
    books = make_runbooks(plan.document, ws.services.for_promotion(subject), ws.operations, contacts=contacts)
    woven = ws.write_runbooks(books)
    notes = [f"{name}: {part} was changed by hand and is kept" for name, one in woven.items() for part in one.kept]
    notes += [f"{name}: {part} was taken out and is not put back" for name, one in woven.items() for part in one.gone]
    notes += [
        f"{name}: the end of {part} is missing; it is left as it is" for name, one in woven.items() for part in one.torn
    ]
    notes += [f"{name} belongs to no path or service any more: its numbers are old" for name in ws.old_runbooks(books)]
    if as_json:
        print_json("runbooks", {"files": [f"data/runbooks/{name}" for name in woven], "notes": notes})
        return
    print_text(f"{len(woven)} runbooks in data/runbooks: {', '.join(woven)}")
    print_lines("Mind", notes)
