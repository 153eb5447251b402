"""The same results out of the whole story at once, with polars on one thread: what a data engineer would do overnight.

Duplicates by source and number, contents and weight by load unit up to its close, lines confirmed at the pick that
completes them. It needs all records before it says anything: no watermark, no windows, no revisions, one close a load
unit, no ids; events are JSON objects with the same facts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

HOLD_US = 5_000_000


def load() -> Any:
    """polars on one thread, like everybody in the race."""
    os.environ["POLARS_MAX_THREADS"] = "1"
    import polars

    return polars


def schema(pl: Any) -> dict[str, Any]:
    """The fields that the job needs, as the readers want them."""
    texts = dict.fromkeys(("src", "kind", "order", "sku", "lu", "track", "dest"), pl.String)
    numbers = dict.fromkeys(("t_rx", "t", "seq", "line", "qty", "weight_g"), pl.Int64)
    lines = pl.List(pl.Struct({"line": pl.Int64, "sku": pl.String, "qty": pl.Int64}))
    return {**texts, **numbers, "lines": lines}


def read(pl: Any, path: Path) -> Any:
    return pl.read_ndjson(path, schema=schema(pl))


def events(pl: Any, records: Any) -> tuple[int, int]:
    """How many events, and how many bytes of JSON they are."""
    facts = records.filter(pl.col("kind").is_in(["pick.confirm", "carton.close", "weigh", "order.released"]))
    numbered = facts.filter(pl.col("seq").is_not_null()).unique(["src", "seq"], maintain_order=True)
    closes = _of(pl, numbered, "carton.close").group_by("lu").agg(pl.col("t").min().alias("t_close"))
    told = [
        _closed(pl, numbered, closes).select(pl.struct(pl.all()).struct.json_encode().alias("event")),
        _confirmed(pl, facts, numbered).select(pl.struct(pl.all()).struct.json_encode().alias("event")),
    ]
    return sum(len(each) for each in told), sum(int(each["event"].str.len_bytes().sum()) for each in told)


def _closed(pl: Any, numbered: Any, closes: Any) -> Any:
    picks = _of(pl, numbered, "pick.confirm").join(closes, on="lu").filter(pl.col("t") <= pl.col("t_close"))
    pieces = picks.group_by("lu", "order", "line", "sku").agg(pl.col("qty").sum(), pl.col("t").min().alias("t_open"))
    contents = pieces.group_by("lu").agg(
        pl.struct("order", "line", "sku", "qty").sort_by("order", "line", "sku").alias("contents"),
        pl.col("t_open").min(),
    )
    weighings = _of(pl, numbered, "weigh").join(closes, on="lu").filter(pl.col("t") <= pl.col("t_close") + HOLD_US)
    weights = weighings.sort("t").group_by("lu").agg(pl.col("weight_g").last())
    return closes.join(contents, on="lu").join(weights, on="lu", how="left").sort("t_close")


def _confirmed(pl: Any, facts: Any, numbered: Any) -> Any:
    orders = _of(pl, facts, "order.released").select("order", "lines").explode("lines")
    planned = orders.select("order", pl.col("lines").struct.unnest().name.suffix("_planned"))
    planned = planned.rename({"line_planned": "line"})
    picks = _of(pl, numbered, "pick.confirm").sort("t")
    sums = picks.with_columns(pl.col("qty").cum_sum().over("order", "line").alias("picked"))
    done = sums.join(planned, on=["order", "line"]).filter(pl.col("picked") == pl.col("qty_planned"))
    return done.select("order", "line", "sku", "picked", pl.col("t").alias("t_close"))


def _of(pl: Any, records: Any, kind: str) -> Any:
    return records.filter(pl.col("kind") == kind)
