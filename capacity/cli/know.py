"""Know: services, forecast, backtest, saturation."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from capacity.cli.output import common_options, print_json, print_lines, print_table, progress
from capacity.errors import NotCoveredError

if TYPE_CHECKING:
    from capacity.workspace import Workspace


@click.command()
@click.argument("name", required=False)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="With draft: write it to this file.")
@common_options
def services(ws: "Workspace", name: str | None, out: Path | None, as_json: bool) -> None:
    """Show the catalogue, one service (NAME), or propose the file from traffic and calls (draft)."""
    if name == "draft":
        _draft(ws, out, as_json=as_json)
        return
    chosen = ws.services.names if name is None else (ws.services[name].name,)
    frame = ws.services.to_frame()
    frame = frame[frame["service"].isin(chosen)]
    if as_json:
        print_json("services", {"services": frame.to_dict(orient="records")})
        return
    print_table(frame)
    if name is not None:
        from capacity.graph import downstream, upstream

        click.echo(f"\nUpstream:   {', '.join(upstream(ws.services, name)) or 'nothing'}")
        click.echo(f"Downstream: {', '.join(downstream(ws.services, name)) or 'nothing'}")


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
