"""SQL that reads raw rows by a contract: typed cells, and why a row is rejected.

The first reason found is given, columns in the contract's order, then the checks across columns. Cells are
unknown when empty or ``null``; ``NaN`` and infinities are never a way to say unknown.
"""

# ruff: noqa: S608 - names come from the contracts, texts are quoted; a file's content never enters a query.
from capacity.history.contracts import LONGEST_NAME, Column, Contract
from capacity.history.engine import quote_name, quote_text

# Date, time, offset. Groups that are not there are empty.
_INSTANT = r"^(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?) ?([Zz]|[+-]\d\d(?::?\d\d)?)?$"
_DAY = r"^\d{4}-\d\d-\d\d([Tt ]00:00(:00(\.0+)?)?)?$"
_FIRST_YEAR, _LAST_YEAR = 1990, 2099
_WHOLE = "'total'"


def parse_sql(view: str, types: dict[str, str], *, contract: Contract, file: int, as_json: bool = False) -> str:
    """Write the query that turns raw rows into typed ones.

    Parameters
    ----------
    view
        The raw rows.
    types
        SQL type of each column that the raw rows have.
    contract
        What to read them as.
    file
        Index of the file, carried along.
    as_json
        Rows are JSON texts in ``_text``.

    Returns
    -------
    str
        Columns ``_file, _line, _reason, _raw``, then each column typed. An instant is two columns: ``NAME``, the
        wall time written, and ``NAME_offset_s``, null where none was written. Blank rows are left out.
    """
    raw = _json_cells(view, contract) if as_json else f"SELECT * FROM {view}"
    present = contract.names if as_json else tuple(name for name in contract.names if name in types)
    kinds = {name: "VARCHAR" if as_json else types.get(name, "absent") for name in contract.names}
    cells = ", ".join(_cell_sql(column, kinds[column.name], present) for column in contract.columns)
    typed = ", ".join(_typed_sql(column, kinds[column.name]) for column in contract.columns)
    blank = " AND ".join(f"{_written(name, kinds[name])} IS NULL" for name in present)
    names = ", ".join(quote_name(name) for name in typed_columns(contract))
    raw_cells = ", ".join(f"{quote_name(name)} := {_said(name, kinds[name])}" for name in contract.names)
    return f"""
        WITH raw AS ({raw}),
        cells AS (SELECT _line, _broken, _text, {cells} FROM raw),
        typed AS (SELECT *, {typed} FROM cells WHERE _broken IS NOT NULL OR NOT ({blank})),
        judged AS (SELECT *, {_reason_sql(contract, kinds)} AS _reason FROM typed)
        SELECT {file}::INTEGER AS _file, _line, _reason,
               CASE WHEN _reason IS NOT NULL THEN struct_pack({raw_cells}, "_text" := _text) END AS _raw, {names}
        FROM judged"""


def _json_cells(view: str, contract: Contract) -> str:
    valid = "CASE WHEN json_valid(_text) THEN json_type(_text) = 'OBJECT' ELSE FALSE END"
    paths = ", ".join(_json_cell(column) for column in contract.columns)
    return f"""
        SELECT _line, _text, {paths},
               CASE WHEN NOT _object AND trim(_text) <> ''
                    THEN 'not a JSON object' END AS _broken
        FROM (SELECT *, {valid} AS _object FROM {view})"""


def _json_cell(column: Column) -> str:
    path = quote_text(f"$.{column.name}")
    # A row that leaves such a key out means the whole, as a file that leaves the column out does.
    may_be_left_out = not (column.required or column.nullable)
    whole = f"WHEN _object AND NOT json_exists(_text, {path}) THEN {_WHOLE} " if may_be_left_out else ""
    return f"CASE {whole}WHEN _object THEN json_extract_string(_text, {path}) END AS {quote_name(column.name)}"


def _text(name: str) -> str:
    return quote_name(f"{name}__text")


def _written(name: str, kind: str) -> str:
    """Name what a cell holds: its text, or the typed value of a source with types of its own."""
    return _text(name) if kind in {"VARCHAR", "absent"} else _cell(name)


def _said(name: str, kind: str) -> str:
    return f"CAST({_written(name, kind)} AS VARCHAR)"


def _cell(name: str) -> str:
    return quote_name(f"{name}__cell")


def typed_columns(contract: Contract) -> list[str]:
    """Names of the columns of typed rows: an instant is two.

    Examples
    --------
    >>> from capacity.history.contracts import TRAFFIC
    >>> typed_columns(TRAFFIC)[:3]
    ['ts', 'ts_offset_s', 'service']
    """
    pairs = [[c.name, f"{c.name}_offset_s"] if c.kind == "instant" else [c.name] for c in contract.columns]
    return [name for pair in pairs for name in pair]


def _cell_sql(column: Column, kind: str, present: tuple[str, ...]) -> str:
    name = quote_name(column.name)
    if column.name not in present:
        return f"NULL::VARCHAR AS {_text(column.name)}"
    if kind != "VARCHAR":
        return f"{name} AS {_cell(column.name)}"
    trimmed = f"nullif(trim({name}), '')"
    if column.kind != "text":
        trimmed = f"CASE WHEN lower({trimmed}) = 'null' THEN NULL ELSE {trimmed} END"
    return f"{trimmed} AS {_text(column.name)}"


def _typed_sql(column: Column, kind: str) -> str:
    text, name = _said(column.name, kind), _cell(column.name)
    typed, offset = quote_name(column.name), quote_name(f"{column.name}_offset_s")
    if column.kind == "text":
        return f"{_default_segment(column, text, kind)} AS {typed}"
    if column.kind in {"count", "measure"}:
        value = name if kind == "DOUBLE" else f"CASE WHEN NOT contains({text}, '_') THEN TRY_CAST({text} AS DOUBLE) END"
        return f"{value} AS {typed}"
    if column.kind == "day":
        midnight = f"CASE WHEN {name}::TIMESTAMP = date_trunc('day', {name}::TIMESTAMP) THEN {name}::DATE END"
        written = f"CASE WHEN regexp_matches({text}, '{_DAY}') THEN TRY_CAST(left({text}, 10) AS DATE) END"
        return f"{midnight if kind in {'DATE', 'TIMESTAMP'} else written} AS {typed}"
    if kind == "TIMESTAMP":
        return f"{name} AS {typed}, NULL::INTEGER AS {offset}"
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"make_timestamp(epoch_us({name})) AS {typed}, 0 AS {offset}"
    parts = f"regexp_extract({text}, '{_INSTANT}', ['d', 't', 'o'])"
    zone = f"{parts}.o"
    sign = f"CASE WHEN left({zone}, 1) = '-' THEN -1 ELSE 1 END"
    digits = f"replace({zone}, ':', '')"
    seconds = (
        f"{sign} * (3600 * TRY_CAST(substr({digits}, 2, 2) AS INTEGER)"
        f" + 60 * coalesce(TRY_CAST(nullif(substr({digits}, 4, 2), '') AS INTEGER), 0))"
    )
    return (
        f"TRY_CAST({parts}.d || ' ' || {parts}.t AS TIMESTAMP) AS {typed}, "
        f"CASE WHEN {zone} IN ('Z', 'z') THEN 0 WHEN {zone} <> '' THEN {seconds} END AS {offset}"
    )


def _default_segment(column: Column, text: str, kind: str) -> str:
    # A column that may be left out names the whole: one number a day is the de-duplicated total.
    return text if column.required or kind != "absent" else _WHOLE


def _reason_sql(contract: Contract, kinds: dict[str, str]) -> str:
    rules = [("_broken IS NOT NULL", "_broken")]
    for column in contract.columns:
        rules += [(condition, quote_text(reason)) for condition, reason in _rules(column, kinds[column.name])]
    rules += [(condition, quote_text(reason)) for condition, reason in contract.checks]
    return "CASE " + " ".join(f"WHEN {condition} THEN {reason}" for condition, reason in rules) + " END"


def _rules(column: Column, kind: str) -> list[tuple[str, str]]:
    name, text, typed = column.name, _written(column.name, kind), quote_name(column.name)
    rules: list[tuple[str, str]] = []
    if not column.nullable and not (kind == "absent" and not column.required):
        rules.append((f"{text} IS NULL", f"{name}: empty"))
    if kind == "absent":
        return rules
    if column.kind == "text":
        return [
            *rules,
            (f"length({text}) > {LONGEST_NAME}", f"{name}: longer than {LONGEST_NAME} characters"),
            (f"contains({text}, '\ufffd')", f"{name}: not UTF-8 text"),
            (f"regexp_matches({text}, '[\\x00-\\x1f\\x7f]')", f"{name}: control characters"),
        ]
    if column.kind == "day":
        rules.append((f"{text} IS NOT NULL AND {typed} IS NULL", f"{name}: not a day such as 2026-11-11"))
        return [*rules, _year_rule(name, typed)]
    if column.kind == "instant":
        offset = quote_name(f"{name}_offset_s")
        return [
            *rules,
            (
                f"{text} IS NOT NULL AND {typed} IS NULL",
                f"{name}: not an ISO 8601 time such as 2026-11-10T20:00:00+08:00",
            ),
            (f"abs({offset}) > 64800", f"{name}: offset from UTC beyond 18 hours"),
            _year_rule(name, typed),
        ]
    return rules + _number_rules(column, text, typed)


def _year_rule(name: str, typed: str) -> tuple[str, str]:
    outside = f"year({typed}) NOT BETWEEN {_FIRST_YEAR} AND {_LAST_YEAR}"
    return outside, f"{name}: year outside {_FIRST_YEAR} to {_LAST_YEAR}"


def _number_rules(column: Column, text: str, typed: str) -> list[tuple[str, str]]:
    name = column.name
    rules = [
        (f"{text} IS NOT NULL AND {typed} IS NULL", f"{name}: not a number"),
        (f"isnan({typed})", f"{name}: NaN (unknown is an empty cell)"),
        (f"isinf({typed})", f"{name}: infinite"),
        (f"{typed} < 0", f"{name}: negative"),
    ]
    if column.highest == 1.0:
        return [*rules, (f"{typed} > 1", f"{name}: above 1 (a fraction is 0 to 1; is this a percentage?)")]
    rules.append((f"{typed} > {column.highest!r}", f"{name}: above {column.highest:.0e}, not a measurement"))
    if column.kind == "count":
        rules.append((f"{typed} <> floor({typed})", f"{name}: not a whole number"))
    return rules
