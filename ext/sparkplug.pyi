"""Sparkplug B payloads into plain values, without a Protocol Buffers library (Eclipse Sparkplug 3.0, section 6.4).

timestamp, seq, metrics = decode(payload)
name, alias, timestamp, datatype, historical, null, number, raw = metrics[0]
value = typed(number, raw, datatype or the datatype of its birth)
"""

Metric = tuple[str | None, int | None, int | None, int, bool, bool, int, int | float | bool | str | bytes | None]
"""name, alias, timestamp (ms), datatype (0: not said), historical, null, number of its value's field, value"""

class SparkplugFault(ValueError):
    """Bytes that are no Sparkplug payload, with what is wrong with them."""

def decode(payload: bytes) -> tuple[int | None, int | None, list[Metric]]:
    """(timestamp, seq, metrics); None where the payload does not say. Raises SparkplugFault."""

def typed(number: int, raw: object, datatype: int) -> int | float | bool | str | bytes | None:
    """The value of a metric: integers get the sign and width of their datatype, a float the shortest decimal that it
    is. Texts, bytes, DataSets and Templates stay as they are."""

def rows(dataset: bytes) -> list[dict[str, object]]:
    """The rows of a DataSet by column. Raises SparkplugFault."""
