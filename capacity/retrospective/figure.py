"""The review's figures."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capacity.display import format_number, format_qps
from capacity.display.figures import (
    BLUE,
    GREY,
    INK,
    ORANGE,
    VERMILION,
    Chart,
    draw_band,
    label_line,
    new_figure,
    number_axis,
)
from capacity.errors import UsageError, did_you_mean
from capacity.retrospective.attribution import ALL_ENTRIES
from capacity.retrospective.frames import number, rows_of
from capacity.retrospective.incidents import STEPS

if TYPE_CHECKING:
    from capacity.retrospective.result import Review

_MOST_SERVICES = 20
_FACTOR_WORDS = {
    "dau": "DAU",
    "dat_per_dau": "DAT per DAU",
    "requests_per_dat": "requests per DAT",
    "peak_share": "peak share",
    "burst": "burst",
}


def draw_review(review: "Review", what: str, *, service: str | None) -> Chart:
    """Draw one figure; see :meth:`capacity.retrospective.Review.plot`."""
    figures: dict[str, Callable[[Review, str | None], Chart]] = {
        "peaks": draw_peaks,
        "service": draw_service,
        "miss": draw_miss,
        "demand": draw_demand,
        "incidents": draw_incidents,
    }
    if what not in figures:
        remedy = did_you_mean(what, figures) or f"one of {', '.join(figures)}"
        raise UsageError(f"there is no figure {what!r}", remedy=remedy)
    return figures[what](review, service)


def draw_peaks(review: "Review", service: str | None = None) -> Chart:
    """Draw forecast band, actual and limit of every service's largest peak, as multiples of the forecast's middle."""
    table = _largest_peaks(review)
    table = (table if service is None else table[table["service"] == service]).head(_MOST_SERVICES)
    figure = new_figure(8.0, 1.2 + 0.32 * max(len(table), 1))
    axes = figure.subplots()
    rows = rows_of(table)
    for place, row in enumerate(reversed(rows)):
        middle = row["forecast_q50"]
        band = [row["forecast_q05"] / middle, row["forecast_q95"] / middle]
        axes.plot(band, [place, place], color=BLUE, alpha=0.35, lw=7, solid_capstyle="butt")
        axes.plot([1.0], [place], marker="|", color=BLUE, markersize=9)
        axes.plot(
            [row["actual"] / middle], [place], marker="o", color=INK, markerfacecolor=INK if row["sure"] else "white"
        )
        if np.isfinite(number(row["limit_qps"])):
            axes.plot([row["limit_qps"] / middle], [place], marker=">", color=VERMILION)
        label_line(axes, row["actual"] / middle, place + 0.25, format_qps(row["actual"]), color=INK)
    axes.set_yticks(range(len(rows)), [str(row["service"]) for row in reversed(rows)])
    axes.set_xlabel("multiple of the forecast's middle")
    axes.set_title("bar: 90 % interval   ●: actual   ○: a floor of it   ▶: cluster limit", fontsize=9, loc="left")
    outside = sum(row["actual"] > row["forecast_q95"] or row["actual"] < row["forecast_q05"] for row in rows)
    title = f"Largest peak of {len(rows)} services: {outside} outside their 90 % interval"
    alt = "Range chart of forecast, actual and limit. " + "; ".join(
        f"{row['service']}: forecast {format_qps(row['forecast_q05'])} to {format_qps(row['forecast_q95'])}, "
        f"actual {format_qps(row['actual'])}, limit {format_qps(number(row['limit_qps']))}"
        for row in rows[:6]
    )
    return Chart(figure, title, alt, table.drop(columns=["sure"]), {"actual": "requests/s", "limit_qps": "requests/s"})


def draw_service(review: "Review", service: str | None) -> Chart:
    """Draw one service over time: its traffic, the forecast's band of each phase, the limit."""
    known = sorted(review.series["service"].unique())
    if service is None or service not in known:
        remedy = did_you_mean(service or "", known) or f"one of {', '.join(known[:10])}"
        raise UsageError(f"there is no traffic of a service {service!r}", remedy=remedy)
    series = review.series[review.series["service"] == service]
    local = series["ts"].dt.tz_localize(None)
    figure = new_figure(8.0, 3.6)
    axes = figure.subplots()
    axes.plot(local, series["rate_qps"], color=GREY, lw=1.0)
    if series["second_qps"].notna().any():
        axes.plot(local, series["second_qps"], color=INK, lw=1.0)
        last = series["second_qps"].last_valid_index()
        label_line(axes, local[last], series["second_qps"][last], "busiest second", color=INK)
    peaks = review.services[review.services["service"] == service]
    spans = {phase.name: (phase.starts_at, phase.ends_at) for phase in review.promotion.phases}
    for row in rows_of(peaks):
        ends = [pd.Timestamp(t).tz_convert(series["ts"].dt.tz).tz_localize(None) for t in spans[row["phase"]]]
        draw_band(
            axes,
            np.array(ends, dtype="datetime64[us]"),
            [row["forecast_q05"]] * 2,
            [row["forecast_q95"]] * 2,
            coverage=0.9,
        )
    limit = number(review.capacity.set_index("service")["limit_qps"].get(service))
    if np.isfinite(limit):
        axes.axhline(limit, color=VERMILION, lw=1.2)
        label_line(axes, local.iloc[-1], limit, f"limit {format_qps(limit)}", color=VERMILION)
    number_axis(axes.yaxis)
    axes.set_ylabel("requests/s")
    axes.set_ylim(bottom=0.0)
    axes.tick_params(axis="x", rotation=30)
    top = review.capacity.set_index("service")["peak_qps"].get(service)
    title = f"{service}: peak {format_qps(number(top))}, 90 % interval of each phase's worst second shaded"
    alt = f"Line chart of {service}'s requests/s with the forecast's band by phase and limit {format_qps(limit)}."
    return Chart(
        figure, title, alt, series.reset_index(drop=True), {"rate_qps": "requests/s", "second_qps": "requests/s"}
    )


def draw_miss(review: "Review", service: str | None = None) -> Chart:
    """Draw the waterfall from the forecast's centre to the actual peak."""
    entry = service or ALL_ENTRIES
    part = review.decomposition[review.decomposition["entry"] == entry]
    if part.empty:
        known = sorted(set(review.decomposition["entry"]))
        remedy = did_you_mean(entry, known) or (f"one of {', '.join(known[:10])}" if known else "see review.missing")
        raise UsageError(f"the miss of {entry!r} could not be split", remedy=remedy)
    names = [_factor_name(str(name)) for name in part["factor"]]
    terms = part["log_term"].to_numpy(dtype=float)
    ends = np.cumsum(terms)
    starts = ends - terms
    figure = new_figure(8.0, 3.4)
    axes = figure.subplots()
    for place, (start, end, term) in enumerate(zip(starts, ends, terms, strict=True)):
        low, high = sorted((np.exp(start), np.exp(end)))
        axes.bar(place, high - low, bottom=low, color=ORANGE if term >= 0 else BLUE, width=0.6)
        axes.annotate(f"× {np.exp(term):.3f}", (place, high), ha="center", va="bottom", fontsize=9)
    total = float(np.exp(ends[-1]))
    axes.bar(len(terms), total - 1.0, bottom=1.0, color=INK, width=0.6)
    axes.annotate(f"× {total:.3f}", (len(terms), max(total, 1.0)), ha="center", va="bottom", fontsize=9)
    axes.axhline(1.0, color=GREY, lw=1.0)
    axes.set_xticks(range(len(terms) + 1), [*names, "all together"])
    axes.set_ylabel("actual ÷ forecast's centre")
    reach = [1.0, *np.exp(ends)]
    axes.set_ylim(min(reach) - 0.1 * np.ptp(reach) - 0.01, max(reach) + 0.15 * np.ptp(reach) + 0.01)
    title = f"Why the peak of {entry} came at {total:.2f} times the forecast's centre"
    factors = ", ".join(f"{name} × {np.exp(term):.3f}" for name, term in zip(names, terms, strict=True))
    return Chart(
        figure, title, f"Waterfall of factors: {factors}; together × {total:.3f}.", part.reset_index(drop=True)
    )


def draw_demand(review: "Review", service: str | None = None) -> Chart:
    """Draw DAU and DAT by day against their 90 % interval."""
    _ = service
    figure = new_figure(8.0, 4.8)
    panels = figure.subplots(2, 1, sharex=True)
    days = sorted(review.demand["date"].unique())
    said = []
    for axes, metric in zip(panels, ("dau", "dat"), strict=True):
        part = review.demand[review.demand["metric"] == metric].sort_values("date")
        for place, row in enumerate(rows_of(part)):
            axes.plot(
                [place, place],
                [row["forecast_q05"], row["forecast_q95"]],
                color=BLUE,
                alpha=0.35,
                lw=9,
                solid_capstyle="butt",
            )
            axes.plot([place], [row["forecast_q50"]], marker="_", color=BLUE, markersize=14)
            face = "white" if row["floor_because"] else INK
            axes.plot([place], [row["actual"]], marker="o", color=INK, markerfacecolor=face, markersize=6)
            if np.isfinite(row["actual"]):
                label_line(axes, place + 0.02, row["actual"], format_number(row["actual"]))
        axes.set_ylabel(metric.upper())
        axes.set_ylim(bottom=0.0)
        axes.set_xlim(-0.6, max(len(days), 1) - 0.4)
        number_axis(axes.yaxis)
        inside = part["inside_band"].dropna()
        said.append(f"{metric.upper()} inside on {int(inside.sum())} of {len(inside)} days")
    step = max(1, -(-len(days) // 12))
    panels[1].set_xticks(range(0, len(days), step), [str(day) for day in days[::step]])
    panels[0].set_title("bar: 90 % interval   ●: actual   ○: a floor of it", fontsize=9, loc="left")
    title = f"People and orders against their 90 % interval: {'; '.join(said)}"
    return Chart(figure, title, f"Two range charts of forecast and actual by day. {title}.", review.demand)


def draw_incidents(review: "Review", service: str | None = None) -> Chart:
    """Draw when each incident began, was noticed, taken up, mitigated and resolved."""
    part = review.incidents if service is None else review.incidents[review.incidents["service"] == service]
    figure = new_figure(8.0, 1.4 + 0.4 * max(len(part), 1))
    axes = figure.subplots()
    colors = dict(zip(STEPS, (ORANGE, BLUE, GREY, INK), strict=True))
    rows = rows_of(part)
    names = []
    for place, row in enumerate(reversed(rows)):
        minutes = {
            step: (row[step] - row["starts_at"]).total_seconds() / 60.0 for step in STEPS if row[step] is not pd.NaT
        }
        end = max([0.0, *minutes.values()])
        axes.plot([0.0, end], [place, place], color=GREY, lw=3, alpha=0.5, solid_capstyle="butt")
        for step, minute in minutes.items():
            axes.plot([minute], [place], marker="o", color=colors[step], markersize=6)
        if "resolved" not in minutes:
            label_line(axes, end, place, "not resolved", color=VERMILION)
        names.append(f"{str(row['service'] or row['id'])[:24]}, {row['starts_at']:%m-%d %H:%M}")
    axes.set_yticks(range(len(rows)), names)
    axes.set_ylim(-0.6, max(len(rows), 1) - 0.4)
    axes.set_xlabel("minutes after the start")
    for step, color in colors.items():
        axes.plot([], [], "o", color=color, label=step)
    if rows:
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), fontsize=8, ncols=4)
    measures = {row["measure"]: row for row in rows_of(review.mean_times)}
    resolved = measures["mttr"]
    title = f"{len(rows)} incidents; MTTR {format_number(number(resolved['minutes']))} min (n = {resolved['n']})"
    return Chart(figure, title, f"Timeline of incidents. {title}.", part)


def _largest_peaks(review: "Review") -> pd.DataFrame:
    services = review.services[review.services["actual"].notna() & review.services["forecast_q50"].gt(0)]
    largest = services.loc[services.groupby("service")["forecast_q50"].idxmax()]
    table = largest[["service", "phase", "resolution", "forecast_q05", "forecast_q50", "forecast_q95", "actual"]].copy()
    table["limit_qps"] = table["service"].map(review.capacity.set_index("service")["limit_qps"])
    table["sure"] = (largest["floor_because"] == "").to_numpy()
    table["off"] = np.abs(np.log(table["actual"].where(table["actual"] > 0) / table["forecast_q50"]))
    return table.sort_values("off", ascending=False).drop(columns=["off"]).reset_index(drop=True)


def _factor_name(name: str) -> str:
    return " × ".join(_FACTOR_WORDS.get(part, part) for part in name.split(" × "))


__all__ = ["draw_demand", "draw_incidents", "draw_miss", "draw_peaks", "draw_review", "draw_service"]
