"""Values -> canonical lines: facts through the mapping, gaps and link states by our own hand. Pure."""

from __future__ import annotations

import msgspec

from protocols.mapping.lines import encode_line
from protocols.mapping.plan import RecordPlan
from protocols.modbus.decode import Values


class Fact:
    """What one record became: its line, and its time for the gap that may follow (the lesser of `t` and `t_rx`)."""

    __slots__ = ("at_us", "line")

    def __init__(self, line: bytes, at_us: int) -> None:
        self.line = line
        self.at_us = at_us


def fact(
    plan: RecordPlan, values: Values, t_rx: int, number: tuple[int, int] | None = None, *, backlog: bool = False
) -> Fact:
    """One record. `number`: its (epoch, seq), where the layout numbers it. `backlog`: the machine kept it while it was
    cut off; that matters only for a record with a time of its own. Raises DecodeError."""
    present = {name: value for name, value in values.items() if value is not None}
    record = plan.build(present, {}, t_rx)
    if number is not None:
        record["epoch"], record["seq"] = number
    t = record.get("t")
    if backlog and t is not None:
        record["hist"] = True
    return Fact(encode_line(record), min(t, t_rx) if isinstance(t, int) else t_rx)


def has_number(known: bytes, epoch: int, seq: int) -> bool:
    other = msgspec.json.decode(known)
    return (other.get("epoch", 0), other.get("seq")) == (epoch, seq)


def contradicts(line: bytes, known: bytes) -> bool:
    """Whether two lines have one number, but do not say the same in a field that both have: one that only one of them
    has may be new in the site file."""
    one, other = msgspec.json.decode(line), msgspec.json.decode(known)
    if (one["epoch"], one["seq"]) != (other.get("epoch", 0), other.get("seq")):
        return False
    return any(one[name] != other[name] for name in one.keys() & other.keys() - {"epoch", "t_rx", "hist"})


def gap_line(src: str, epoch: int, first: int, count: int, t_from: int, t_rx: int) -> bytes:
    """`source.gap`: `count` numbers from `first` on were never seen. `t_from`: time of the record before, else 0."""
    return encode_line(
        {
            "src": src,
            "epoch": epoch,
            "kind": "source.gap",
            "t_rx": t_rx,
            "t_from": t_from,
            "t_to": t_rx,
            "from_seq": first,
            "to_seq": first + count - 1,
            "count": count,
        }
    )


def blind_line(src: str, t_from: int, t_to: int) -> bytes:
    """`source.gap` without numbers: what happened in between may not have been seen."""
    return encode_line({"src": src, "kind": "source.gap", "t_rx": t_to, "t_from": t_from, "t_to": t_to})


def link_line(src: str, is_up: bool, t_rx: int) -> bytes:
    """`link.up` or `link.down`."""
    return encode_line({"src": src, "kind": "link.up" if is_up else "link.down", "t_rx": t_rx})
