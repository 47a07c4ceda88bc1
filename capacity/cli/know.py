"""Know: services, forecast, backtest, saturation."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from capacity.cli.output import common_options, print_json, print_lines, print_table, progress
from capacity.errors import NotCoveredError, UsageError

if TYPE_CHECKING:
    from capacity.plan.evaluation import Evaluation
    from capacity.workspace import Workspace


@click.command()
@click.argument("name", required=False)
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.option("--from", "source", metavar="SYSTEM", help="With propose: kubernetes or backstage, which wrote FILE.")
@click.option("--write", is_flag=True, help="With propose: write the difference into data/services.yaml.")
@click.option("--promotion", metavar="ID", help="Evaluate for this promotion.  [default: the next one]")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="With draft: write it to this file.")
@click.option(
    "--graph", type=click.Path(dir_okay=False, path_type=Path), help="Draw the call graph with its load: .svg or .png."
)
@common_options
def services(
    ws: "Workspace", name: str | None, file: Path | None, source: str | None, write: bool, promotion: str | None,
    out: Path | None, graph: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Evaluate every service, or NAME: load tests, forecast, capacity, verdict, gaps.

    `services draft` proposes the catalogue from ingested traffic and calls; `services propose --from kubernetes FILE`
    (or backstage) shows what FILE says otherwise than data/services.yaml, as a difference.
    """
    from capacity.cli.propose import propose
    from capacity.questions import evaluate_services

    if name == "propose":
        propose(ws, source, file, write=write, as_json=as_json)
        return
    if file is not None or source is not None or write:
        raise UsageError(
            "services: FILE, --from and --write go with propose alone",
            remedy="capacity services propose --from kubernetes FILE",
        )
    if name == "draft":
        _draft(ws, out, as_json=as_json)
        return
    if graph is not None and graph.suffix.lower() not in {".svg", ".png"}:
        raise UsageError(f"--graph {graph}: got the ending {graph.suffix!r}, expected .svg or .png")
    chosen = None if name is None else ws.services[name].name
    found = evaluate_services(ws, promotion)
    if graph is not None:
        found.plot(chosen).save(graph)
    if as_json:
        print_json("services", _services_document(found, chosen))
        return
    _show_services(found, chosen)
    if graph is not None:
        click.echo(f"\nThe call graph is in {graph}")


def _services_document(found: "Evaluation", chosen: str | None) -> dict[str, object]:
    table, gaps = found.table, found.gaps_frame()
    if chosen is not None:
        table, gaps = table[table["service"] == chosen], gaps[gaps["service"] == chosen]
    document: dict[str, object] = {
        "promotion": found.plan.promotion_id if found.plan is not None else None,
        "services": table.to_dict(orient="records"),
        "gaps": gaps.to_dict(orient="records"),
    }
    if chosen is not None:
        document["neighbours"] = found.neighbours(chosen).to_dict(orient="records")
    return document


def _show_services(found: "Evaluation", chosen: str | None) -> None:
    click.echo(repr(found))
    frame, gaps = found.to_frame(), found.gaps_frame()
    if chosen is not None:
        frame, gaps = frame[frame["service"] == chosen], gaps[gaps["service"] == chosen]
    print_table(frame, units=found.units, title="Every service before the promotion")
    if chosen is not None:
        around = found.neighbours(chosen)
        for direction in ("upstream", "downstream"):
            part = around[around["direction"] == direction].drop(columns="direction").dropna(axis=1, how="all")
            if len(part):
                print_table(part, units={"peak_q50": "requests/s"}, title=direction.capitalize())
            else:
                click.echo(f"\n{direction.capitalize()}: nothing")
        if found.plan is not None:
            print_lines("Why", found.plan.document["services"][chosen]["why"])
    if len(gaps):
        print_table(gaps, title="Open")
    if found.plan is None:
        click.echo("\nForecast, capacity and verdict come with a plan: capacity plan PROMOTION")


def _draft(ws: "Workspace", out: Path | None, *, as_json: bool) -> None:
    from capacity.document import write_text
    from capacity.history import draft_services

    traffic, calls = ws.traffic(), ws.calls()
    if traffic.is_empty and calls.empty:
        raise NotCoveredError(
            "there is no traffic and there are no calls to propose services from",
            remedy="take some in with: capacity ingest FILES --as traffic (or calls), or give a later --as-of",
        )
    text = draft_services(traffic, calls)
    if out is not None:
        write_text(out, text)
    if as_json:
        print_json("draft", {"services_yaml": text})
    elif out is None:
        click.echo(text, nl=False)
    else:
        click.echo(f"Proposed services are in {out}; read every line before you trust it.")


@click.command()
@click.argument("promotion")
@common_options
def forecast(ws: "Workspace", promotion: str, as_json: bool) -> None:
    """Forecast DAU, DAT and each service's worst second for PROMOTION, with 90 % intervals."""
    from capacity.cli.documents import demand_document, peaks_document
    from capacity.forecast import forecast_demand
    from capacity.peaks import forecast_peaks

    subject = ws.promotions[promotion]
    with progress("Forecasting DAU and DAT") as step:
        demand = forecast_demand(ws.daily_activity(), subject, promotions=ws.promotions, lessons=ws.lessons)
        step("Forecasting each service's worst second")
        peaks = forecast_peaks(demand, ws.traffic(), services=ws.services.for_promotion(subject), lessons=ws.lessons)
    if as_json:
        document = demand_document(demand) | peaks_document(peaks)
        document["assumptions"] = tuple(dict.fromkeys([*demand.assumptions, *peaks.assumptions]))
        print_json("forecast", document)
        return
    click.echo(f"{demand!r}\n{peaks!r}")
    print_table(demand.to_frame(), title="People and orders a day")
    if demand.business is not None:
        print_table(demand.business.to_frame(), title="The business's estimate beside history, largest day")
    if peaks.business is not None:
        print_table(
            peaks.business.to_frame(), title="The business's estimate of the worst second beside the forecast's"
        )
    print_table(peaks.to_frame(), title="Worst second by phase and service", units={"q50": "requests/s"})
    if len(demand.evidence):
        print_table(demand.evidence.drop(columns="left_out_sd"), title="The past promotions it leans on")
    print_lines("Why", [*demand.why, *([peaks.business.summary()] if peaks.business is not None else [])])
    print_lines("Assumed", list(dict.fromkeys([*demand.assumptions, *peaks.assumptions])))


@click.command()
@common_options
def backtest(ws: "Workspace", as_json: bool) -> None:
    """Forecast past days and promotions from what was known before them, and compare with what came."""
    from capacity.cli.documents import backtest_document
    from capacity.forecast import backtest_demand

    with progress("Forecasting past days"):
        result = backtest_demand(ws.daily_activity(), promotions=ws.promotions, lessons=ws.lessons)
    if as_json:
        print_json("backtest", backtest_document(result))
        return
    click.echo(repr(result))
    if len(result.events):
        print_table(result.events.drop(columns=["kind"]), title="Past promotions, forecast three weeks before")
    frame = result.to_frame()
    short = ["metric", "days", "days_ahead", "method", "n", "wape", "bias", "coverage_80", "coverage_90", "coverage_95"]
    own, every = frame["method"] == "forecast", frame["days_ahead"] == "all"
    print_table(frame.loc[every, [*short, "width_90", "interval_score_90", "error_ratio"]], title="All days ahead")
    print_table(frame.loc[own & ~every, [*short, "width_90"]], title="The forecast by days ahead")
    print_lines("Why", list(result.why))
    print_lines("Assumed", list(result.assumptions))


@click.command()
@click.argument("service", required=False)
@common_options
def saturation(ws: "Workspace", service: str | None, as_json: bool) -> None:
    """Find the QPS an instance takes at its SLO, for SERVICE or for all, with 90 % intervals and evidence."""
    from capacity.cli.documents import curves_document
    from capacity.saturation import fit_saturation

    chosen = list(ws.services.names) if service is None else [ws.services[service].name]
    with progress("Fitting load tests"):
        curves = fit_saturation(ws.load_tests(), ws.services, traffic=ws.traffic(), lessons=ws.lessons)
    if as_json:
        print_json("saturation", curves_document(curves, chosen))
        return
    click.echo(repr(curves))
    frame = curves.to_frame()
    print_table(frame[frame["service"].isin(chosen)], title="Capacity of one instance at its SLO")
    for name in chosen if service is not None else []:
        print_lines("Why", list(curves.why[name]))
        print_lines("Next load test", [curves.next_step[name]] if curves.next_step.get(name) else [])
