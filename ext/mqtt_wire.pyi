"""MQTT packets out of whatever pieces a socket reads; the fast way of the payloads goes on in `ext.mqtt_lines`.

splitter = Splitter(newest=True, payload_bytes_max=262_144)
count = socket.recv_into(splitter.room())
splitter.filled(count)
for packet in splitter.packets(): ...

Any cut of the same bytes gives the same packets. Memory is bounded by twice the payload limit and 512 KB, whatever
length a packet announces: what is longer is dropped while it arrives.
"""

from typing import Final

TOPIC_ALIASES: Final[int]
"""How many topic aliases the broker may be told to use (MQTT 5 section 3.1.2.11.5)."""

class WireFault(ValueError):
    """Bytes that are no MQTT, with what is wrong with them: this connection is over."""

class Splitter:
    """`newest`: MQTT 5, else 3.1.1. `payload_bytes_max`: what a payload may have."""

    held: int
    """Bytes that wait for the rest of their packet, or for `packets`."""
    capacity_bytes: int

    def __init__(self, *, newest: bool, payload_bytes_max: int) -> None: ...
    def room(self) -> memoryview:
        """Where the next read goes; 8 KB at least. What `packets` found before lies there no longer."""

    def filled(self, count: int) -> None:
        """So many bytes were read into what `room` gave. ValueError: more than that."""

    def packets(
        self,
    ) -> list[tuple[int, int, bytes] | tuple[int, int, bytes | None, bytes | None, bytes, int, int, bool]]:
        """All that have wholly arrived: (type, flags, body), or of a PUBLISH (3, flags without DUP, topic, properties,
        payload, its length as announced, number, duplicate). The payload is cut where it is longer than the limit by
        80 KB; the topic is None for an alias whose topic was too long to remember, the properties are None where they
        are too long to keep. Raises WireFault."""

def properties_of(block: bytes) -> list[tuple[int, int | bytes | tuple[bytes, bytes]]]:
    """(identifier, value) of each property of a block without its length (MQTT 5 section 2.2.2): numbers, texts and
    binary data as bytes, a user property as (name, value). Raises WireFault."""
