"""Finding a source's files and telling by content what each of them is."""

import csv
import glob
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from capacity.errors import InputError, Problem, did_you_mean
from capacity.history.contracts import Contract

Format = Literal["csv", "json_lines", "parquet", "dependencies"]

_SUFFIXES = {".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet", ".pq"}
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\x28\xb5\x2f\xfd": "zstd"}
_PACKED_SUFFIXES = {".gz", ".bz2", ".zst"}
_HEAD_BYTES = 1 << 18
_SAMPLED_LINES = 2_000


@dataclass(frozen=True)
class Source:
    """One file to take in.

    Parameters
    ----------
    path
        Where it is.
    format
        By its content.
    packing
        ``gzip``, ``bz2``, ``zstd`` or None.
    columns
        Its header; of JSON lines, the names in the first lines.
    delimiter
        Of a CSV.
    """

    path: Path
    format: Format
    packing: str | None = None
    columns: tuple[str, ...] = ()
    delimiter: str = ","

    @property
    def label(self) -> str:
        """Its path, for people."""
        return str(self.path)


def find_files(source: str | Path) -> tuple[list[Path], list[str]]:
    """Resolve a file, a folder or a glob.

    A name that exists is taken as it is, whatever characters it has; only then is it a glob. A folder is
    searched to its depths; hidden files are left out.

    Parameters
    ----------
    source
        What the user named.

    Returns
    -------
    files, warnings
        In the order of their names; files of a folder that are no tables.

    Raises
    ------
    InputError
        If nothing is there.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return [path], []
    if path.is_dir():
        return _files_of_folder(path)
    found = sorted(Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 - absolute globs
    files = [file for file in found if file.is_file()]
    if files:
        return files, []
    siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    raise InputError(
        f"{source}: no such file, folder or glob",
        remedy=did_you_mean(path.name, siblings) or "name a CSV, Parquet or JSON lines file, a folder or a glob",
    )


def _files_of_folder(folder: Path) -> tuple[list[Path], list[str]]:
    visible = sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not any(part.startswith((".", "_")) for part in file.relative_to(folder).parts)
    )
    files = [file for file in visible if _looks_like_table(file)]
    if not files:
        raise InputError(
            f"{folder}: the folder holds no CSV, Parquet or JSON lines file",
            remedy=f"files are known by their suffix: {', '.join(sorted(_SUFFIXES))}, also with .gz",
        )
    return files, [f"{file}: not a table by its name, left out" for file in visible if file not in set(files)]


def _looks_like_table(file: Path) -> bool:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in _PACKED_SUFFIXES:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in _SUFFIXES


def inspect_file(path: Path, *, contract: Contract) -> Source | Problem:
    """Tell what a file is, and its columns.

    Parameters
    ----------
    path
        The file.
    contract
        Its columns help to find a CSV's delimiter.

    Returns
    -------
    Source or Problem
        A problem when it is empty, has only a header, or is nothing that can be read.
    """
    try:
        with path.open("rb") as file:
            first = file.read(8)
        if first.startswith(b"PAR1"):
            return _inspect_parquet(path)
        packing = next((name for magic, name in _PACKED.items() if first.startswith(magic)), None)
        head = read_head(path, packing)
    except (OSError, ValueError, EOFError) as error:
        return Problem(str(path), f"a file that cannot be read ({error})", "a readable file", "is it whole?")
    text, problem = _decode_head(path, head)
    if problem is not None:
        return problem
    source = Source(path, "csv", packing)
    if text.lstrip()[:1] in {"{", "["}:
        return _inspect_json(source, text, contract)
    return _inspect_csv(source, text, contract)


def read_head(path: Path, packing: str | None, size: int = _HEAD_BYTES) -> bytes:
    """Return the first bytes of a file, unpacked."""
    import pyarrow as pa

    with pa.input_stream(str(path), compression=packing) as stream:
        return bytes(stream.read(size))


def _decode_head(path: Path, head: bytes) -> tuple[str, Problem | None]:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "", Problem(str(path), "UTF-16 text", "UTF-8 text", "save the file in UTF-8")
    if head.startswith(b"PK\x03\x04"):
        return "", Problem(str(path), "a ZIP archive or a spreadsheet", "CSV, Parquet or JSON lines", "export as CSV")
    if head.startswith(b"PAR1"):
        return "", Problem(str(path), "a packed Parquet file", "Parquet as it is", "unpack it")
    if b"\x00" in head[:4096]:
        return "", Problem(str(path), "binary content", "CSV, Parquet or JSON lines", "export the table as CSV")
    text = head.decode("utf-8-sig", errors="replace")
    if not text.strip():
        return "", Problem(str(path), "an empty file", "a header and rows", "export it again")
    return text, None


def _inspect_parquet(path: Path) -> Source | Problem:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names, rows = file.schema_arrow.names, file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        return Problem(str(path), f"a broken Parquet file ({reason})", "a whole Parquet file", "export it again")
    if rows == 0:
        return Problem(str(path), "a Parquet file without rows", "rows", "export it again")
    return Source(path, "parquet", columns=tuple(names))


def _inspect_csv(source: Source, text: str, contract: Contract) -> Source | Problem:
    lines = text.splitlines()
    first = next(number for number, line in enumerate(lines) if line.strip())
    if first > 0:
        return Problem(f"{source.label}:1", "a blank line", "the header", "delete the blank lines above the header")
    known = set(contract.names)
    headers = {delimiter: _split(lines[0], delimiter) for delimiter in ",;\t|"}
    delimiter = max(headers, key=lambda d: (len(known & set(headers[d])), len(headers[d])))
    if not any(line.strip() for line in lines[1:]) and len(text) < _HEAD_BYTES // 4:
        return Problem(source.label, "a header without rows", "rows", "export it again")
    return replace(source, columns=tuple(headers[delimiter]), delimiter=delimiter)


def _split(line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]
    except csv.Error:
        return [line]


def _inspect_json(source: Source, text: str, contract: Contract) -> Source | Problem:
    lines = [line for line in text.splitlines()[:_SAMPLED_LINES] if line.strip()]
    objects = [value for line in lines if isinstance(value := _loads(line), dict)]
    names = tuple(dict.fromkeys(str(name) for value in objects for name in value))
    if contract.table == "calls" and "callee" not in names:
        return replace(source, format="dependencies", columns=contract.names)
    if text.lstrip().startswith("["):
        return Problem(source.label, "a JSON array", "JSON lines: one object a line", "jq -c '.[]' makes them")
    if not objects:
        return Problem(source.label, "no line that is a JSON object", "JSON lines: one object a line")
    return replace(source, format="json_lines", columns=names)


def _loads(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def label_of(files: Sequence[Path]) -> str:
    """Return a short name of several files.

    Examples
    --------
    >>> label_of([Path("a/x.csv"), Path("a/y.csv")])
    'a/x.csv and 1 more'
    """
    return str(files[0]) + (f" and {len(files) - 1} more" if len(files) > 1 else "")
