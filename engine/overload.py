"""What happens while the disk fills up, as the site file declares it; nothing that was acknowledged is ever dropped.

    trim    the journal keeps no more than what a start needs
    shed    what has no acknowledgement to wait for (QoS 0, plain polling) is not taken any more: counted, and told as a
            gap afterwards
    wait    nobody is acknowledged any more: brokers, machines and queues keep what they have

Each holds what stands before it, too. The level falls by itself, some per cent below where it rose.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from engine.contracts import Delivery
from engine.journal import Journal
from engine.shed_gaps import ShedGaps
from engine.spare_room import spare_bytes

LEVELS = ("run", "trim", "shed", "wait")
BACK_PCT = 5  # so far below a threshold its level ends
RESERVE_BYTES = 64 * 1024 * 1024
SAID = {
    "run": "everything is taken again",
    "trim": "the journal keeps only what a start needs",
    "shed": "what nobody acknowledges (QoS 0, polls) is not taken any more",
    "wait": "nobody is acknowledged any more",
}
LINK = b'"kind":"link.'


class Policy(NamedTuple):
    """Per cent of the budget -> what is done from there on, in growing order."""

    steps: tuple[tuple[int, str], ...] = ((70, "trim"), (90, "shed"), (100, "wait"))


class Overload:
    """`look` every now and then; then `level`, and what is to be `shed`.

    shares: name of a budget -> how much of it is used, 1.0 being all. The fullest one counts. missing: whose records
    were not taken; `told` once the journal has what `gaps` gave.
    """

    def __init__(
        self, policy: Policy, shares: Mapping[str, Callable[[], float]], missing: ShedGaps | None = None
    ) -> None:
        self.level = "run"
        self.why = ""
        self._policy = policy
        self._shares = shares
        self.missing = ShedGaps() if missing is None else missing

    def look(self) -> bool:
        """Whether the level is another one now."""
        name, share = max(((name, used()) for name, used in self._shares.items()), key=lambda each: each[1])
        before = LEVELS.index(self.level)
        after = max(self._reached(100 * share), min(before, self._reached(100 * share + BACK_PCT)))
        self.level = LEVELS[after]
        self.why = f"{name} is {100 * share:.0f} % full"
        return after != before

    def at_least(self, level: str) -> bool:
        return LEVELS.index(self.level) >= LEVELS.index(level)

    def sheds(self, delivery: Delivery) -> bool:
        """Whether this one is not taken now. What tells of a connection always is."""
        if delivery.ack is not None or not self.at_least("shed"):
            return False
        return not any(LINK in line for line in delivery.lines)

    def shed(self, delivery: Delivery, now_us: int) -> None:
        """Remember when whose records are missing. Those with numbers are missed by their numbers."""
        for line in delivery.lines:
            try:
                record = msgspec.json.decode(line, type=_Shed)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
            if record.seq < 0 and record.src:
                self.missing.add(record.src, record.t if record.t >= 0 else now_us)

    def gaps(self, now_us: int, *, ends: bool = False) -> list[dict[str, Any]]:
        """A `source.gap` for each source whose records were not taken, once that is over.

        ends: it is over, for the engine stops.
        """
        if (self.at_least("shed") and not ends) or not self.missing:
            return []
        return [
            {
                "kind": "source.gap",
                "src": src,
                "t_from": gap.t_from,
                "t_to": gap.t_to,
                "count": gap.records,
                "t_rx": now_us,
            }
            for src, gap in self.missing.take().items()
        ]

    def _reached(self, pct: float) -> int:
        return max((LEVELS.index(level) for at, level in self._policy.steps if pct >= at), default=0)


class _Shed(msgspec.Struct):
    src: str = ""
    seq: int = -1
    t: int = -1


def used_of(journal: Journal, reserve_bytes: int = RESERVE_BYTES, outbox_bytes: int = 0) -> float:
    """How much of its room the journal has used, 1.0 being all: of its cap, or of what its device can give it if that
    is less. So much of the device is left to the others: the outbox, snapshots, queues. outbox_bytes: what of that the
    outbox needs to become smaller again."""
    free, total = journal.device_bytes()
    free = max(0, free - max(min(reserve_bytes, total // 16), outbox_bytes + spare_bytes(total)))
    return journal.bytes / max(1, min(journal.bytes_max, journal.bytes + free))
