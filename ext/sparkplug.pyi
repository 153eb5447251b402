"""Sparkplug B payloads into plain values, without a Protocol Buffers library (Eclipse Sparkplug 3.0, section 6.4).

timestamp, seq, metrics = decode(payload)
name, alias, timestamp, datatype, historical, null, number, raw = metrics[0]
value = typed(number, raw, datatype or the datatype of its birth)
"""

Metric = tuple[str | None, int | None, int | None, int, bool, bool, int, int | float | bool | str | bytes | None]
"""name (not empty), alias, timestamp (ms), datatype (0: not said), historical, null, its value's field number, value"""

Report = tuple[str, object, int | None, bool]
"""A value of a metric: name, value, milliseconds (None: nobody says), whether it comes out of a buffer."""

class SparkplugFault(ValueError):
    """Bytes that are no Sparkplug payload, with what is wrong with them."""

class Unborn(Exception):
    """A message speaks of what no birth has introduced: says what."""

def decode(payload: bytes, bytes_max: int = 262_144) -> tuple[int | None, int | None, list[Metric]]:
    """(timestamp, seq, metrics); None where the payload does not say. One that is compressed (GZIP or DEFLATE) has at
    most `bytes_max` bytes when it is not. Raises SparkplugFault."""

def typed(number: int, raw: object, datatype: int) -> int | float | bool | str | bytes | None:
    """The value of a metric: integers get the sign and width of their datatype, a float the shortest decimal that it
    is. Texts, bytes, DataSets and Templates stay as they are."""

def rows(dataset: bytes) -> list[dict[str, object]]:
    """The rows of a DataSet by column. Raises SparkplugFault."""

def value_of(metric: Metric, datatype: int) -> object:
    """The value as JSON would have it: null and Templates are None, bytes are hexadecimal, DataSets are their rows.
    Raises SparkplugFault."""

def reports_of(
    metrics: list[Metric], aliases: dict[int, str], types: dict[str, int], timestamp: int | None
) -> list[Report]:
    """The values by the names (`aliases`: number to name) and datatypes of the births. A name that no birth told says
    enough: it is put into `types`. `timestamp`: of a metric that says none. Raises Unborn, SparkplugFault."""
