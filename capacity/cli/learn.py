"""Learn: the retrospective, and on consent its lessons."""

from typing import TYPE_CHECKING

import click

from capacity.cli.output import common_options, print_json, print_lines, print_table, progress

if TYPE_CHECKING:
    from capacity.workspace import Workspace


@click.command()
@click.argument("promotion")
@click.option("--learn", is_flag=True, help="After showing them, write the lessons to data/lessons.yaml.")
@click.option("--keep", is_flag=True, help="Write what worked, and fields for people to fill, to data/reviews/ID.yaml.")
@click.option("--yes", is_flag=True, help="With --learn: consent without being asked.")
@common_options
def retrospective(ws: "Workspace", promotion: str, learn: bool, keep: bool, yes: bool, as_json: bool) -> None:
    """Compare PROMOTION's plan with what happened: what missed and why, and what it teaches."""
    from capacity.flow import review_promotion
    from capacity.retrospective import find_tactics, outcomes_frame, tactics_frame

    with progress("Reviewing") as step:
        review = review_promotion(ws, promotion, on_step=step)
    if as_json:
        print_json("retrospective", review.to_document())
    else:
        for sentence in review.verdict:
            click.echo(sentence)
        print_table(review.demand, title="People and orders")
        print_table(review.to_frame(), title="Worst second: forecast and actual")
        print_table(review.decomposition, title="Why the forecast missed (factors multiply to the whole)")
        print_table(review.worklist, title="Actions")
        print_table(outcomes_frame(review, ws.kept_review(promotion)), title="Outcomes")
        print_table(tactics_frame(find_tactics(review, ws.journal(promotion))), title="What worked")
        print_lines("What cannot be judged", list(review.missing))
    if keep:
        click.echo(f"Kept in {ws.keep_review(review)}; what people filled in there stays.", err=True)
    if learn and not review.lessons:
        click.echo("This promotion teaches nothing that the forecast did not know.", err=True)
    elif learn:
        click.echo(f"\nLessons for data/lessons.yaml:\n{review.lessons.to_yaml()}", err=True)
        if yes or click.confirm("Write them, for the next forecast to read?", err=True):
            ws.learn(review.lessons)
            click.echo("Written.", err=True)
