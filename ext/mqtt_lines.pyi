"""From a connection's bytes to canonical lines and the PUBACKs owed for them, a batch at a time. (A message of QoS 2,
which nobody asks for, but another client may have left in our session, is owed a PUBREC instead.)

lines = MessageLines(splitter, resolve, spell_out, owes, batch_messages=1_000, batch_bytes=262_144)
splitter.filled(count)
control = lines.drain(t_rx, budget)
while batch := lines.take(): ...
"""

from collections.abc import Callable, Sequence

from ext.line_plan import LinePlan
from ext.mqtt_wire import Splitter

Route = tuple[LinePlan | None, bool, Sequence[bytes]]
"""A plan (None: always spelled out), whether it takes what the broker kept, and the topic's captures in its order."""
SpellOut = Callable[[bytes | None, bytes, int, bool, bytes | None, int, bool], tuple[Sequence[bytes], Sequence[str]]]
"""(topic, payload, its length as announced, retained, properties, t_rx, owed) -> lines and causes of what does not fit.
The topic is None if it is not known, the properties if they were too long to keep; `owed`: a PUBACK is."""

class MessageLines:
    """`resolve`: topic -> its routes, asked once a topic; none: every message is spelled out. `owes`: whether lines of
    a message that was spelled out are still to come; until then no PUBACK leaves. `batch_messages`, `batch_bytes`: a
    batch ends where it reaches one of them."""

    pending_messages: int
    """Messages that nobody has taken yet."""
    pending_bytes: int
    """Bytes of their lines."""
    seen: int
    """Messages so far."""
    spelled_out: int
    """Those of them that no compiled plan took."""
    more: bool
    """The budget of the last `drain` ended before the bytes did."""
    topics: int
    """How many topics are remembered."""

    def __init__(
        self,
        splitter: Splitter,
        resolve: Callable[[bytes], list[Route]],
        spell_out: SpellOut,
        owes: Callable[[], bool],
        *,
        batch_messages: int,
        batch_bytes: int,
    ) -> None: ...
    def drain(self, t_rx: int, budget: int) -> list[tuple[int, int, bytes]]:
        """All that has wholly arrived, until about `budget` messages (one that is spelled out counts 32, and each KB of
        it one more): the lines go into batches, control packets come back as (type, flags, body). Raises
        mqtt_wire.WireFault."""

    def take(self) -> tuple[bytes, int, bytes] | None:
        """The oldest batch, also one that is not full: its lines, how many they are, and the PUBACK packets that are to
        be sent when they are durable. None: there is none."""

    def add(self, line: bytes) -> None:
        """A line of our own, in its turn."""

    def take_faults(self) -> list[tuple[str, bytes, bytes]]:
        """(cause, payload, topic) of what did not fit since the last call."""
