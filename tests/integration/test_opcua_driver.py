"""The OPC UA driver against an asyncua server in the same process."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from asyncua import ua
from asyncua.common.structures104 import new_struct, new_struct_field

from protocols.opcua.binding import Binding
from tests.fault_proxy import FaultProxy
from tests.opcua import CARTONS, LABELS, NAMESPACE, Kept, Line, line, running, settings

GOOD_WITH_OVERFLOW = 0x0480


def cartons(**changes: Any) -> dict[str, Any]:
    return {"cartons": CARTONS | changes}


def node(name: str) -> str:
    return f"nsu={NAMESPACE};s=PK01.{name}"


def test_variables_read_together_on_a_trigger_are_one_record() -> None:
    async def story() -> None:
        async with line() as packing, running(settings(packing.url, variables=cartons())) as kept:
            await kept.up()
            await packing.write(Kind=1, Lu="T-9", Counter=1)
            await kept.until(lambda: bool(kept.of("carton.open")))
            (record,) = kept.of("carton.open")
            assert (record["src"], record["lu"], record["seq"]) == ("dc1/pack/PK-01", "T-9", 1)
            assert abs(record["t"] - record["t_rx"]) < 5_000_000
            link_up = kept.of("link.up")[0]
            assert link_up == {"src": "dc1/pack/PK-01", "kind": "link.up", "t_rx": link_up["t_rx"]}
            assert kept.faults == []

    asyncio.run(story())


def test_the_state_found_at_connecting_is_no_event_unless_the_site_says_so() -> None:
    async def story() -> None:
        async with line() as packing:
            await packing.write(Kind=1, Lu="T-1", Counter=7)
            both = {"ignored": CARTONS, "emitted": CARTONS | {"snapshot": "emit", "src": "dc1/pack/PK-02"}}
            async with running(settings(packing.url, variables=both)) as kept:
                await kept.until(lambda: bool(kept.of("carton.open")))
                await packing.write(Kind=2, Counter=8)
                await kept.until(lambda: len(kept.of("carton.close")) == 2)
                assert [record["src"] for record in kept.of("carton.open")] == ["dc1/pack/PK-02"]

    asyncio.run(story())


def test_a_burst_is_told_apart_by_source_times_when_all_nodes_are_monitored() -> None:
    async def story() -> None:
        async with (
            line() as packing,
            running(settings(packing.url, publishing_ms=200, variables=cartons(collect="monitor"))) as kept,
        ):
            await kept.up()
            await asyncio.sleep(0.3)
            for number in range(1, 31):
                await packing.write(Kind=1 + number % 2, Lu=f"T-{number // 2}", Counter=number)
            await kept.until(lambda: len(kept.of("carton.open")) + len(kept.of("carton.close")) == 30)
            seen = [(r["seq"], r["kind"], r["lu"]) for r in kept.records if r["kind"].startswith("carton")]
            assert seen == [(n, ("carton.open", "carton.close")[n % 2], f"T-{n // 2}") for n in range(1, 31)]
            assert kept.of("source.gap") == []

    asyncio.run(story())


def test_values_that_were_overwritten_before_they_could_be_read_are_a_gap() -> None:
    async def story() -> None:
        configured = settings("opc.tcp://127.0.0.1:1", publishing_ms=300, keep_alive_ms=300, variables=cartons())
        async with line() as packing, running(msgspec.structs.replace(configured, url=packing.url)) as kept:
            await kept.up()
            await asyncio.sleep(0.5)
            for number in range(1, 6):
                await packing.write(Kind=1, Lu=f"T-{number}", Counter=number)
            await kept.until(lambda: any(record.get("seq") == 5 for record in kept.records))
            assert [record["lu"] for record in kept.of("carton.open")] == ["T-5"]
            assert sum(gap["count"] for gap in kept.of("source.gap")) == 4
            assert all(gap["t_from"] <= gap["t_to"] for gap in kept.of("source.gap"))

    asyncio.run(story())


def test_the_overflow_bit_is_a_gap_since_the_last_good_value() -> None:
    async def story() -> None:
        async with line() as packing, running(settings(packing.url, variables=cartons())) as kept:
            await kept.up()
            await packing.write(Kind=1, Lu="T-1", Counter=1)
            await kept.until(lambda: len(kept.of("carton.open")) == 1)
            lossy = ua.DataValue(
                ua.Variant(2, ua.VariantType.UInt16),
                StatusCode=ua.StatusCode(GOOD_WITH_OVERFLOW),
                SourceTimestamp=datetime.now(UTC),
            )
            await packing.write(Counter=lossy)
            await kept.until(lambda: len(kept.of("carton.open")) == 2)
            (gap,) = kept.of("source.gap")
            first, second = kept.of("carton.open")
            assert (gap["t_from"], gap["t_to"]) == (first["t"], second["t"])

    asyncio.run(story())


def test_a_bad_status_is_a_gap_until_the_value_is_good_again() -> None:
    async def story() -> None:
        async with line() as packing, running(settings(packing.url, variables=cartons())) as kept:
            await kept.up()
            await packing.write(Kind=1, Lu="T-1", Counter=1)
            await kept.until(lambda: len(kept.of("carton.open")) == 1)
            await packing.write(Counter=ua.DataValue(ua.Variant(None), ua.StatusCode(ua.StatusCodes.BadSensorFailure)))
            await kept.until(lambda: len(kept.of("source.gap")) == 1)
            await packing.write(Counter=2)
            await kept.until(lambda: len(kept.of("carton.open")) == 2)
            assert len(kept.of("source.gap")) == 2

    asyncio.run(story())


def test_events_of_a_type_become_records_of_their_fields() -> None:
    async def story() -> None:
        async with line() as packing, running(settings(packing.url, events={"labels": LABELS})) as kept:
            await kept.up()
            await packing.tell(Carton="T-4", Result="OK")
            await kept.until(lambda: bool(kept.of("label.verified")))
            (record,) = kept.of("label.verified")
            assert (record["lu"], record["result"], record["src"]) == ("T-4", "OK", "dc1/pack/PK-01")
            assert abs(record["t"] - record["t_rx"]) < 5_000_000

    asyncio.run(story())


def test_members_of_structures_and_elements_of_arrays_are_reached_by_path() -> None:
    async def story() -> None:
        async with line() as packing:
            machine, member = packing.server.nodes.objects, ua.VariantType
            await new_struct(
                packing.server,
                packing.index,
                "PackState",
                [new_struct_field("Lu", member.String), new_struct_field("Grams", member.UInt32)],
            )
            await packing.server.load_data_type_definitions()
            packing.nodes["State"] = await machine.add_variable(
                f"ns={packing.index};s=PK01.State", f"{packing.index}:State", ua.PackState(Lu="T-0", Grams=0)
            )
            weighed = {
                "src": "dc1/pack/SCL-01",
                "nodes": {"counter": node("Counter"), "state": node("State"), "codes": node("Codes")},
                "trigger": "counter",
                "record": {
                    "kind": {"const": "weigh"},
                    "lu": "state.Lu",
                    "weight_g": "state.Grams",
                    "point": "codes[1]",
                },
            }
            async with running(settings(packing.url, structures=True, variables={"weighed": weighed})) as kept:
                await kept.up()
                await packing.nodes["State"].write_value(ua.PackState(Lu="T-8", Grams=1250))
                await packing.write(Codes=["a", "b"], Counter=1)
                await kept.until(lambda: bool(kept.of("weigh")))
                (record,) = kept.of("weigh")
                assert (record["lu"], record["weight_g"], record["point"]) == ("T-8", 1250, "b")

    asyncio.run(story())


def test_a_rising_edge_makes_a_record_and_a_falling_one_does_not() -> None:
    async def story() -> None:
        door = {
            "src": "dc1/pack/PK-01",
            "nodes": {"door": node("Door"), "lu": node("Lu")},
            "trigger": "door",
            "edge": "rising",
            "record": {"kind": {"const": "carton.open"}, "lu": "lu"},
        }
        async with line() as packing, running(settings(packing.url, variables={"door": door})) as kept:
            await kept.up()
            await packing.write(Lu="T-1", Door=True)
            await kept.until(lambda: len(kept.of("carton.open")) == 1)
            await packing.write(Door=False)
            await asyncio.sleep(0.1)
            await packing.write(Lu="T-2", Door=True)
            await kept.until(lambda: len(kept.of("carton.open")) == 2)
            assert [record["lu"] for record in kept.of("carton.open")] == ["T-1", "T-2"]

    asyncio.run(story())


def test_the_same_code_read_twice_is_two_events_under_write() -> None:
    async def story() -> None:
        scans = {
            "src": "dc1/sorter/SCN-01",
            "nodes": {"code": node("Lu")},
            "trigger": "code",
            "edge": "write",
            "collect": "monitor",
            "record": {"kind": {"const": "scan.read"}, "lu": "code"},
        }
        async with line() as packing, running(settings(packing.url, variables={"scans": scans})) as kept:
            await kept.up()
            await asyncio.sleep(0.1)
            for _ in range(2):
                now = datetime.now(UTC)
                await packing.write(Lu=ua.DataValue(ua.Variant("T-1"), SourceTimestamp=now, ServerTimestamp=now))
                await asyncio.sleep(0.05)
            await kept.until(lambda: len(kept.of("scan.read")) == 2)
            assert kept.of("source.gap") == []

    asyncio.run(story())


def test_a_missing_node_degrades_only_its_own_entry_and_comes_in_when_it_is_there() -> None:
    nowhere, unknown = "nothing at this browse path (BadNoMatch)", "cannot be monitored: BadNodeIdUnknown"

    async def story() -> None:
        late = CARTONS | {"src": "dc1/pack/PK-02", "nodes": CARTONS["nodes"] | {"counter": node("Late")}}
        lame = CARTONS | {"src": "dc1/pack/PK-03", "nodes": CARTONS["nodes"] | {"lu": "/pack:Line1/pack:Nowhere"}}
        variables = {"cartons": CARTONS, "late": late, "lame": lame}
        async with (
            line() as packing,
            running(settings(packing.url, lifetime_ms=10_000, variables=variables)) as kept,
        ):
            await kept.up()
            await packing.write(Kind=1, Lu="T-1", Counter=1)
            await kept.until(lambda: bool(kept.of("carton.open")) and bool(kept.of("source.gap")))
            assert [record["src"] for record in kept.of("carton.open")] == ["dc1/pack/PK-01"]
            assert [gap["src"] for gap in kept.of("source.gap")] == ["dc1/pack/PK-03"]
            assert "variables.lame: lu: missing" in [cause for cause, _ in kept.faults]
            packing.nodes["Late"] = await packing.server.nodes.objects.add_variable(
                f"ns={packing.index};s=PK01.Late", f"{packing.index}:Late", 0, ua.VariantType.UInt16
            )
            # what is written before it is found is how it was found, and no event
            async with asyncio.timeout(60):
                for number in itertools.count(1):
                    await packing.write(Late=number)
                    await asyncio.sleep(0.1)
                    if "dc1/pack/PK-02" in [record["src"] for record in kept.of("carton.open")]:
                        break
            assert kept.states == [
                ("connecting", ""),
                ("up", f"cannot be used: variables.lame.lu: {nowhere}; variables.late.counter: {unknown}"),
                ("up", f"cannot be used: variables.lame.lu: {nowhere}"),
            ]

    asyncio.run(story())


def test_a_server_that_restarts_is_found_again_and_what_was_missed_is_named() -> None:
    async def story() -> None:
        kept = Kept()
        async with line() as packing:
            configured = settings(packing.url, variables=cartons())
            async with running(configured, kept):
                await kept.up()
                await packing.write(Kind=1, Lu="T-1", Counter=1)
                await kept.until(lambda: len(kept.of("carton.open")) == 1)
                await packing.stop()
                await kept.until(lambda: kept.records[-1]["kind"] == "link.down")
                again = Line(packing.port)
                await again.prepare()
                await again.build()
                await again.write(Kind=2, Lu="T-3", Counter=4)
                await again.server.start()
                await kept.up(2)
                await kept.until(lambda: bool(kept.of("carton.close")))
                assert (kept.of("carton.close")[0]["lu"], kept.of("carton.close")[0]["seq"]) == ("T-3", 4)
                assert len(kept.of("source.gap")) == 1
                await again.write(Kind=1, Lu="T-5", Counter=5)
                await kept.until(lambda: len(kept.of("carton.open")) == 2)
                kinds = [r["kind"] for r in kept.records]
                assert kinds == [
                    *("link.down", "link.up", "carton.open", "link.down", "link.up"),
                    *("source.gap", "carton.close", "carton.open"),
                ]
                await again.stop()

    asyncio.run(story())


def test_while_we_were_away_nobody_listened() -> None:
    """What came then may be nothing that is numbered: the core has to know of the time (R6)."""

    async def story() -> None:
        kept = Kept()
        async with line() as packing:
            for times in (1, 2):
                async with running(settings(packing.url, variables=cartons()), kept):
                    await kept.up(times)
                    await kept.until(lambda: kept.records[-1]["kind"] == "link.up")
        assert [record["kind"] for record in kept.records] == ["link.down", "link.up"] * 2

    asyncio.run(story())


def test_after_a_restart_of_ours_the_counter_goes_on_from_what_the_engine_knows() -> None:
    async def story() -> None:
        async with line() as packing:
            await packing.write(Kind=1, Lu="T-7", Counter=3)
            kept = Kept()
            kept.positions["dc1/pack/PK-01"] = (0, 65536 + 2)
            async with running(settings(packing.url, variables=cartons()), kept):
                await kept.until(lambda: bool(kept.of("carton.open")))
                assert kept.of("carton.open")[0]["seq"] == 65536 + 3
                assert kept.of("source.gap") == []

    asyncio.run(story())


def test_a_record_that_the_device_is_writing_is_read_again_and_then_named() -> None:
    async def story() -> None:
        checked = CARTONS | {"nodes": CARTONS["nodes"] | {"begun": node("Begun")}, "check": "begun"}
        async with line() as packing, running(settings(packing.url, variables={"cartons": checked})) as kept:
            await kept.up()
            await packing.write(Begun=1, Kind=1, Lu="T-1", Counter=1)
            await kept.until(lambda: len(kept.of("carton.open")) == 1)
            await packing.write(Begun=3, Lu="T-3", Counter=2)
            await kept.until(lambda: len(kept.of("source.gap")) == 1)
            await packing.write(Kind=1, Counter=3)
            await kept.until(lambda: len(kept.of("carton.open")) == 2)
            assert [(record["lu"], record["seq"]) for record in kept.of("carton.open")] == [("T-1", 1), ("T-3", 3)]
            assert [cause for cause, _ in kept.faults] == ["variables.cartons: torn read: the device was writing"]

    asyncio.run(story())


@pytest.mark.parametrize("follows", [True, False])
def test_values_that_are_written_before_they_were_read_are_those_of_another_event_if_the_trigger_follows(
    monkeypatch: pytest.MonkeyPatch, follows: bool
) -> None:
    """Without a `check` the server's own times tell: before, the record of one event had the load unit of the next."""

    async def story() -> None:
        async with line() as packing, running(settings(packing.url, variables={"cartons": CARTONS})) as kept:
            original = Binding.read
            meanwhile: list[str] = []
            following: list[asyncio.Task[None]] = []

            async def later(number: int) -> None:
                await asyncio.sleep(0.05)
                await packing.write(Counter=number)

            async def reading(self: Any, owner: int, entry: Any) -> Any:
                if meanwhile:
                    await packing.write(Lu=meanwhile.pop())
                    if follows:
                        following.append(asyncio.create_task(later(2)))
                return await original(self, owner, entry)

            monkeypatch.setattr(Binding, "read", reading)
            await kept.up()
            meanwhile.append("T-2")
            await packing.write(Kind=1, Lu="T-1", Counter=1)
            await kept.until(lambda: len(kept.of("carton.open")) == 1)
            (told,) = kept.of("carton.open")
            if follows:
                assert (told["lu"], told["seq"]) == ("T-2", 2)
                (gap,) = kept.of("source.gap")
                assert gap["count"] == 1
                assert [cause for cause, _ in kept.faults] == [
                    "variables.cartons: lu: read when the next event had begun"
                ]
                return
            assert (told["lu"], told["seq"]) == ("T-2", 1), "a value of its own, as far as anybody can tell"
            meanwhile.append("T-4")
            await packing.write(Lu="T-3", Counter=2)
            await kept.until(lambda: len(kept.of("carton.open")) == 2)
            assert kept.of("source.gap") == []
            assert [cause for cause, _ in kept.faults] == [
                "variables.cartons: lu: written after or without the trigger: taken for values of their own; if they "
                "belong to its events, name a check"
            ]

    asyncio.run(story())


def test_a_server_that_falls_silent_is_left_and_found_again() -> None:
    async def story() -> None:
        async with line() as packing, FaultProxy(packing.port) as proxy:
            url = f"opc.tcp://127.0.0.1:{proxy.port}/"
            async with running(settings(url, lifetime_ms=1_000, variables=cartons())) as kept:
                await kept.up()
                proxy.swallow_requests()
                proxy.swallow_replies()
                await kept.until(lambda: ("down", "no sign of the subscription for 1 s") in kept.states)
                await kept.until(lambda: kept.records[-1]["kind"] == "link.down")
                proxy.heal()
                await kept.up(2)
                await packing.write(Kind=1, Lu="T-1", Counter=1)
                await kept.until(lambda: bool(kept.of("carton.open")))

    asyncio.run(story())


def test_a_full_engine_holds_the_notifications_back_and_loses_none() -> None:
    async def story() -> None:
        configured = settings(
            "opc.tcp://127.0.0.1:1",
            queue_messages=2,
            publish_requests=1,
            lifetime_ms=20_000,
            variables=cartons(collect="monitor"),
        )
        async with line() as packing, running(msgspec.structs.replace(configured, url=packing.url)) as kept:
            await kept.up()
            await packing.write(Kind=1, Lu="T-0", Counter=1)
            await kept.until(lambda: bool(kept.of("carton.open")))
            kept.open.clear()
            for number in range(2, 42):
                await packing.write(Lu=f"T-{number}", Counter=number)
                await asyncio.sleep(0.02)
            assert len(kept.of("carton.open")) == 1
            kept.open.set()
            await kept.until(lambda: len(kept.of("carton.open")) == 41)
            assert [record["seq"] for record in kept.of("carton.open")] == list(range(1, 42))
            assert kept.of("source.gap") == []

    asyncio.run(story())


def test_messages_are_acknowledged_only_when_their_records_are_durable() -> None:
    async def story() -> None:
        async with line() as packing:
            kept = Kept()
            kept.acknowledge = False
            async with running(settings(packing.url, variables=cartons()), kept):
                await kept.up()
                await packing.write(Kind=1, Lu="T-1", Counter=1)
                await kept.until(lambda: bool(kept.of("carton.open")))
                (subscription,) = packing.server.iserver.subscription_service.subscriptions.values()
                held = subscription._not_acknowledged_results
                # an acknowledgement goes with the next request, a keep-alive later
                await kept.until(lambda: len(held) == 1)
                await asyncio.sleep(0.5)
                assert len(held) == 1
                kept.acknowledge, before = True, set(held)
                await packing.write(Kind=2, Counter=2)
                await kept.until(lambda: bool(kept.of("carton.close")) and set(held) == before)

    asyncio.run(story())


def test_a_link_speaks_for_every_source_that_its_records_name_themselves() -> None:
    async def story() -> None:
        named = CARTONS | {"src": "dc1/pack", "record": CARTONS["record"] | {"src": {"template": "dc1/pack/{.lu}"}}}
        async with line() as packing, running(settings(packing.url, variables={"named": named})) as kept:
            await kept.up()
            await packing.write(Kind=1, Lu="PK-07", Counter=1)
            await kept.until(lambda: bool(kept.of("carton.open")))
            assert kept.of("carton.open")[0]["src"] == "dc1/pack/PK-07"
            assert (kept.of("link.up")[0]["src"], kept.of("link.up")[0]["scope"]) == ("dc1/pack", "dc1/pack")

    asyncio.run(story())


def warnings_at_connecting(caplog: pytest.LogCaptureFixture, is_numbered: bool, **asked: Any) -> list[str]:
    """Of a source whose trigger nothing numbers, unless `is_numbered`."""
    record = {name: field for name, field in CARTONS["record"].items() if is_numbered or name != "seq"}
    entry = CARTONS | {"record": record} | asked

    async def story() -> None:
        async with line() as packing, running(settings(packing.url, variables={"cartons": entry})) as kept:
            await kept.up()

    caplog.set_level("WARNING", "sortline.opcua")
    asyncio.run(story())
    return [each.message for each in caplog.records]


@pytest.mark.parametrize("is_numbered", [False, True])
def test_a_server_that_samples_a_trigger_without_numbers_is_warned_of(
    caplog: pytest.LogCaptureFixture, is_numbered: bool
) -> None:
    warned = warnings_at_connecting(caplog, is_numbered, collect="monitor")
    said = [each for each in warned if "says that it looks every" in each]
    assert len(said) == (0 if is_numbered else 1)
    assert all("numbers the events of variables.cartons:" in each for each in said)


@pytest.mark.parametrize(("queue_size", "is_numbered"), [(1, False), (1, True), (2, False)])
def test_a_queue_of_one_for_a_trigger_without_numbers_is_warned_of(
    caplog: pytest.LogCaptureFixture, queue_size: int, is_numbered: bool
) -> None:
    """It has no overflow bit: what is written over in it nobody hears of."""
    warned = warnings_at_connecting(caplog, is_numbered, queue_size=queue_size)
    said = [each for each in warned if "keeps one value between two publishings" in each]
    assert len(said) == (queue_size == 1 and not is_numbered)
