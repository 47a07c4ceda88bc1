"""Pieces of the kick-off's page: the brief as a table, its phases, and the promotions before it."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from capacity.display import format_number, format_percent
from capacity.report.narrate import Table
from capacity.report.verdict import Metric, Verdict, record

if TYPE_CHECKING:
    from capacity.forecast import Demand
    from capacity.promotion import Promotion, Promotions


def promotion_brief(promotion: "Promotion") -> Table:
    """Return what ``promotions.yaml`` says of a promotion, one row a field; what is missing is told as that."""
    import pandas as pd

    expected = promotion.expected
    rows = [
        ("kind", promotion.kind),
        ("from", _moment(promotion.starts_at)),
        ("until", _moment(promotion.ends_at)),
        ("freeze", _span(promotion)),
        ("background", promotion.background),
        ("objectives", "; ".join(promotion.objectives)),
        ("products", "; ".join(promotion.products)),
        ("third parties", "; ".join(_term(term) for term in promotion.third_parties)),
        ("units in stock", "" if promotion.inventory is None else format_number(promotion.inventory.units)),
        ("people expected", "" if expected is None else _range(expected.dau)),
        ("orders expected", "" if expected is None else _range(expected.dat)),
        ("orders a second expected", "" if expected is None else _range(expected.peak_tps)),
        ("which rests on", "" if expected is None else expected.basis),
        ("and is answered for by", "" if expected is None else f"{expected.owner}, signed {expected.signed_at or '–'}"),
    ]
    frame = pd.DataFrame([(name, value or "not given") for name, value in rows], columns=["what", "says"])
    return Table(frame)


def promotion_phases(promotion: "Promotion") -> Table:
    """Return the phases in time order."""
    import pandas as pd

    rows = [(phase.name, _moment(phase.starts_at), _moment(phase.ends_at)) for phase in promotion.phases]
    return Table(pd.DataFrame(rows, columns=["phase", "from", "until"]))


def past_promotions(promotion: "Promotion", promotions: "Promotions", *, most: int = 10) -> Table:
    """Return what earlier promotions of the kind brought, beside what was expected of them, the newest first."""
    import pandas as pd

    before = [p for p in promotions.of_kind(promotion.kind).values() if p.ends_at <= promotion.starts_at]
    rows = [_past(p) for p in sorted(before, key=lambda p: p.starts_at, reverse=True)[:most]]
    columns = ["promotion", "intensity", "dau", "dau_expected", "dat", "dat_expected", "peak_tps", "peak_at"]
    units = {
        "dau": "people",
        "dau_expected": "people",
        "dat": "orders",
        "dat_expected": "orders",
        "peak_tps": "orders/s",
    }
    return Table(pd.DataFrame(rows, columns=columns), units)


def kickoff_verdict(demand: "Demand") -> Verdict:
    """Say how far the business's estimate of the largest day lies from what history alone says."""
    import numpy as np

    business = demand.business
    if business is None:
        return record(f"Nobody has said what is expected of {demand.promotion.id}; history speaks alone.")
    frame = business.to_frame()
    said, metrics = [], []
    for metric, name in (("dau", "people"), ("dat", "orders")):
        rows = frame[frame["metric"] == metric].set_index("voice")
        if not {"history", "business"} <= set(rows.index):
            continue
        history, own = (float(str(rows.loc[voice, "q50"])) for voice in ("history", "business"))
        said.append(f"{format_number(own)} {name} ({_apart(own, history)} history's {format_number(history)})")
        values: list[Metric] = [
            {"name": f"{metric}_business", "value": own, "unit": name},
            {"name": f"{metric}_history", "value": history, "unit": name},
        ]
        metrics += [value for value in values if np.isfinite(float(str(value["value"])))]
    return record(f"The business expects on the largest day of {demand.promotion.id} {' and '.join(said)}.", metrics)


def _apart(own: float, history: float) -> str:
    share = own / history - 1.0
    return (
        "as much as" if abs(share) < 0.005 else f"{format_percent(abs(share))} {'more' if share > 0 else 'less'} than"
    )


def _past(promotion: "Promotion") -> dict[str, Any]:
    actual, expected = promotion.actual, promotion.expected
    row: dict[str, Any] = {"promotion": promotion.id, "intensity": promotion.intensity}
    if actual is not None:
        row |= {"dau": actual.dau, "dat": actual.dat, "peak_tps": actual.peak_tps, "peak_at": actual.peak_at}
    for metric in ("dau", "dat"):
        band = None if expected is None else getattr(expected, metric)
        row[f"{metric}_expected"] = None if band is None else band.mid
    return row


def _moment(value: datetime) -> str:
    return value.isoformat(sep=" ", timespec="minutes")


def _span(promotion: "Promotion") -> str:
    freeze = promotion.freeze
    return "" if freeze is None else f"{_moment(freeze.starts_at)} – {_moment(freeze.ends_at)}"


def _term(term: Any) -> str:
    takes = "no SLA" if term.sla_qps is None else f"{format_number(term.sla_qps)}/s"
    return f"{term.name}: {takes}{f', {term.contact}' if term.contact else ''}"


def _range(band: Any) -> str:
    return "" if band is None else f"{format_number(band.mid)} [{format_number(band.low)} – {format_number(band.high)}]"
