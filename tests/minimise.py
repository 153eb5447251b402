"""Makes a failing story small: drops records as long as it still fails, and prints it for people."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from tests.stories import T0, Record, S

Fails = Callable[[list[Record]], bool]


def minimise(records: Sequence[Record], fails: Fails, keep_gaps: bool = False) -> list[Record]:
    """A smaller story that still `fails`: delta debugging (Zeller, 1999) over the records.

    `keep_gaps`: numbers that were missing before stay missing; without it no number is.
    """
    small, parts = list(records), 2
    while len(small) > 1:
        size = max(1, len(small) // parts)
        for start in range(0, len(small), size):
            rest = small[:start] + small[start + size :]
            rest = close_up(small, rest) if keep_gaps else renumber(rest)
            if rest and sound(rest) and fails(rest):
                small, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(len(small), parts * 2)
    return small


def close_up(before: Sequence[Record], after: Sequence[Record]) -> list[Record]:
    """`after` is `before` less some records: their numbers close up, the holes that there were stay."""

    def numbers(records: Sequence[Record]) -> set[tuple[str, int, int]]:
        return {(r["src"], r.get("epoch", 0), r["seq"]) for r in records if "seq" in r}

    dropped = numbers(before) - numbers(after)

    def closed(record: Record) -> Record:
        if "seq" not in record:
            return dict(record)
        life = record["src"], record.get("epoch", 0)
        return record | {"seq": record["seq"] - sum(d[:2] == life and d[2] < record["seq"] for d in dropped)}

    return [closed(record) for record in after]


def renumber(records: Sequence[Record]) -> list[Record]:
    """Closes the holes in `seq` that dropped records leave, so that no story turns into one about gaps."""
    numbers: dict[tuple[str, int], dict[int, int]] = {}
    for record in sorted((r for r in records if "seq" in r), key=lambda r: r["seq"]):
        known = numbers.setdefault((record["src"], record.get("epoch", 0)), {})
        known.setdefault(record["seq"], len(known) + 1)
    return [r | {"seq": numbers[r["src"], r.get("epoch", 0)][r["seq"]]} if "seq" in r else dict(r) for r in records]


def sound(records: Sequence[Record]) -> bool:
    """Nothing is put back that was not picked before: the rules do not speak of such stories."""
    total: dict[object, int] = {}
    for record in sorted(records, key=lambda r: r["t"]):
        if record["kind"] in ("pick.confirm", "pick.reverse"):
            for part in record.get("alloc") or [record]:
                key = part.get("task") or (part["order"], part["line"])
                sign = 1 if record["kind"] == "pick.confirm" else -1
                total[key] = total.get(key, 0) + sign * part["qty"]
                if total[key] < 0:
                    return False
    return True


def show(records: Sequence[Record]) -> str:
    """One line a record, times in seconds of the story."""

    def seconds(name: str, value: Any) -> Any:
        return (value - T0) / S if name in ("deadline", "cutoff") else value

    rows = []
    for record in records:
        rest = {
            name: seconds(name, value) for name, value in record.items() if name not in ("t", "t_rx", "kind", "src")
        }
        t, t_rx = (record["t"] - T0) / S, (record["t_rx"] - T0) / S
        rows.append(f"t={t:<7.2f} rx={t_rx:<8.3f} {record['kind']:<19} {record['src']} {json.dumps(rest)}")
    return "\n".join(rows)
