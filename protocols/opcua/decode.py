"""OPC UA's values to plain ones: what the mapping language works on. Pure: no I/O, no clock.

Integers, texts, booleans and floats stay; a date becomes microseconds since 1970 UTC, a GUID or node id its text, a
status code its number, a localized text or qualified name its text, a byte string hexadecimal, an enumeration its
number, a structure a dict of its members, an array a list. Scalars, texts and arrays of them are made in
`ext.opcua_values`; structures, matrices and values inside values in `structures`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ext.opcua_values import Reading


def mapping_values(readings: Mapping[str, Reading]) -> dict[str, object]:
    """What a record is mapped from: good values by node name; every status and known source time below its own key.

    A bad value is left out, so that a mapping that needs it refuses and one that does not goes on.
    """
    values: dict[str, object] = {name: got.value for name, got in readings.items() if not got.bad}
    values["status"] = {name: got.status for name, got in readings.items()}
    values["time"] = {name: got.source_us for name, got in readings.items() if got.source_us is not None}
    return values
