"""Recordings as Parquet: a column for every flat field of the model, so that other tools can query them.

What no column holds: `rest` is a JSON object of the nested and unknown fields, `keys` the names of all fields in
their order. A line that these cannot give back byte for byte (blanks in it, not JSON) stands in `raw` as it is. So a
recording comes back as the same lines. Files that others made need only columns named like fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
from polars.io.plugins import register_io_source

from engine.errors import Refused
from engine.model import ENVELOPE, FIELDS, Type

ROWS = 50_000  # in memory at once, and in a row group

_PYTHON = {Type.TEXT: str, Type.INT: int, Type.BOOL: bool}
_POLARS = {Type.TEXT: pl.String(), Type.INT: pl.Int64(), Type.BOOL: pl.Boolean()}
_FLAT = {name: type_ for name, type_ in {**ENVELOPE, **FIELDS}.items() if type_ in _PYTHON}
_SCHEMA: dict[str, pl.DataType] = {
    **{name: _POLARS[type_] for name, type_ in _FLAT.items()},
    "rest": pl.String(),
    "keys": pl.String(),
    "raw": pl.Binary(),
}
_INT_TOP = 2**63

Row = dict[str, Any]


def write(path: Path, chunks: Iterable[bytes]) -> None:
    """A Parquet file of the lines in `chunks`, row group by row group."""

    def frames(
        columns: list[str] | None, predicate: pl.Expr | None, rows: int | None, batch: int | None
    ) -> Iterator[pl.DataFrame]:
        lines: list[Row] = []
        for chunk in chunks:
            lines += map(columns_of, chunk.removesuffix(b"\n").split(b"\n"))
            if len(lines) >= ROWS:
                yield pl.DataFrame(lines, schema=_SCHEMA)
                lines = []
        yield pl.DataFrame(lines, schema=_SCHEMA)

    register_io_source(frames, schema=_SCHEMA).sink_parquet(path, row_group_size=ROWS, engine="streaming")


def read(path: Path) -> Iterator[tuple[bytes, float]]:
    """The lines of a Parquet file, some rows at a time, and how much of it is read. Raises Refused if it is none."""
    path.open("rb").close()
    try:
        scan = pl.scan_parquet(path)
        total = scan.select(pl.len()).collect().item()
        for at in range(0, total, ROWS):
            rows = scan.slice(at, ROWS).collect().iter_rows(named=True)
            yield b"".join(line_of(row) + b"\n" for row in rows), min(1.0, (at + ROWS) / total)
    except pl.exceptions.PolarsError as error:
        raise Refused(f"{path}: not a Parquet file that can be read: {error}") from None


def columns_of(line: bytes) -> Row:
    """One line as a row."""
    try:
        record = msgspec.json.decode(line, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {"raw": line}
    row = {name: value for name, value in record.items() if _has_column(name, value)}
    rest = {name: value for name, value in record.items() if name not in row}
    if rest:
        row["rest"] = msgspec.json.encode(rest).decode()
    row["keys"] = ",".join(record)
    return row if line_of(row) == line else {"raw": line}


def _has_column(name: str, value: Any) -> bool:
    return name in _FLAT and type(value) is _PYTHON[_FLAT[name]] and (type(value) is not int or abs(value) < _INT_TOP)


def line_of(row: Row) -> bytes:
    """One row as a line, without its line end."""
    raw: bytes | None = row.get("raw")
    if raw is not None:
        return raw
    record = {name: value for name, value in row.items() if value is not None and name not in ("rest", "keys", "raw")}
    record |= msgspec.json.decode(row.get("rest") or "{}", type=dict[str, Any])
    keys = row.get("keys")
    if keys is not None and len(names := keys.split(",")) == len(record):
        record = {name: record[name] for name in names if name in record}
    return msgspec.json.encode(record)
