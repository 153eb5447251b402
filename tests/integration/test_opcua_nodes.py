"""Nodes of an OPC UA server that come and go while it runs."""

from __future__ import annotations

import asyncio

import pytest
from asyncua import ua

from ext.opcua_values import Reading
from protocols.opcua.doubts import Doubt
from tests.opcua import CARTONS, line, running, settings


@pytest.mark.filterwarnings("ignore:coroutine 'MonitoredItemService:RuntimeWarning")
@pytest.mark.parametrize("collect", ["read", "monitor"])
@pytest.mark.parametrize("by_path", [False, True])
def test_nodes_that_were_taken_away_and_added_anew_are_monitored_anew(collect: str, by_path: bool) -> None:
    """A new program of a PLC. asyncua tells of neither; before, the entry was silent until the connection was lost."""

    names = {"counter": "Counter", "kind": "Kind", "lu": "Lu"}
    paths = {"nodes": {node: f"/pack:Line1/pack:PK01/pack:{name}" for node, name in names.items()}}

    async def story() -> None:
        table = {"cartons": CARTONS | {"collect": collect} | (paths if by_path else {})}
        async with (
            line() as packing,
            running(settings(packing.url, keep_alive_ms=100, lifetime_ms=300, variables=table)) as kept,
        ):
            await kept.up()
            await packing.write(Kind=1, Lu="T-1", Counter=1)
            await kept.until(lambda: len(kept.of("carton.open")) == 1)
            for name in names.values():
                await packing.nodes[name].delete()
            if by_path:
                await kept.until(lambda: "cannot be used" in kept.states[-1][1])
            machine = packing.server.get_node(f"ns={packing.index};s=PK01")
            place = "NEW" if by_path else "PK01"
            for name, value, kind in (
                ("Kind", 2, ua.VariantType.Int16),
                ("Lu", "T-3", ua.VariantType.String),
                ("Counter", 3, ua.VariantType.UInt16),
            ):
                node_id = f"ns={packing.index};s={place}.{name}"
                packing.nodes[name] = await machine.add_variable(node_id, f"{packing.index}:{name}", value, kind)
            await kept.until(lambda: len(kept.of("carton.close")) == 1)
            assert kept.of("carton.close")[0]["lu"] == "T-3"
            await kept.until(lambda: kept.states[-1] == ("up", ""))
            await packing.write(Kind=1, Lu="T-4", Counter=4)
            await kept.until(lambda: len(kept.of("carton.open")) == 2)
            gaps = kept.of("source.gap")
            assert gaps
            assert gaps[0]["t_from"] == kept.of("carton.open")[0]["t"]
            assert kept.of("link.down") == kept.records[:1], "the others go on"

    asyncio.run(story())


def test_a_value_that_has_changed_and_was_not_told_of_is_doubted_and_then_its_item_is_dead() -> None:
    doubt, heard, read = Doubt(), Reading(1), Reading(2)
    assert doubt.dead(heard, read, 0.0, 0.0, 10) is None
    assert doubt.dead(heard, read, 9.0, 9.0, 10) is None
    assert doubt.dead(heard, read, 10.0, 10.0, 10) == "its value has changed, and the server did not tell"


def test_an_item_whose_subscription_is_silent_is_not_what_is_dead() -> None:
    doubt, heard, read = Doubt(), Reading(1), Reading(2)
    assert doubt.dead(heard, read, 0.0, 0.0, 10) is None
    assert doubt.dead(heard, read, 60.0, 9.0, 10) is None


def test_what_is_told_meanwhile_ends_a_doubt() -> None:
    doubt, heard, read = Doubt(), Reading(1), Reading(2)
    assert doubt.dead(heard, read, 0.0, 0.0, 10) is None
    assert doubt.dead(Reading(1), read, 10.0, 10.0, 10) is None, "it was something else for a moment"
    assert doubt.dead(Reading(2), read, 11.0, 11.0, 10) is None
    assert doubt.dead(heard, read, 12.0, 12.0, 10) is None
    assert doubt.dead(Reading(float("nan")), Reading(float("nan")), 40.0, 40.0, 10) is None


def test_a_server_that_is_slow_to_tell_is_doubted_less_each_time() -> None:
    doubt, heard, read = Doubt(), None, Reading(2)
    deaths = []
    for second in range(0, 100, 10):
        if doubt.dead(heard, read, float(second), float(second), 10) is not None:
            deaths.append(second)
            doubt.began()
    assert deaths == [10, 40, 90]


def test_a_node_that_was_told_to_be_away_and_is_there_again_is_not_told_of_by_its_item() -> None:
    away = Reading(None, status=ua.StatusCodes.BadNodeIdUnknown)
    assert Doubt().dead(away, Reading(1), 0.0, 0.0, 10) == "its node was away"
