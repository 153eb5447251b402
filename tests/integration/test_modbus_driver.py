"""The Modbus driver against servers over real sockets: what it reads, and what it writes."""

from __future__ import annotations

import asyncio
import copy
from functools import partial

import msgspec
import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from protocols.modbus.connection import Connection
from protocols.modbus.endpoint import Endpoint
from tests.modbus import Plc, RememberingIntake, Request, polling, settings, until
from tests.modbus_floor import CRANE, SCALE, SORTER, crane_plc, post, run, stow, text, weigh
from tests.peers import free_port


def test_a_rising_bit_makes_a_record_and_the_state_at_the_start_none() -> None:
    async def story() -> None:
        async with Plc() as plc:
            weigh(plc, "OLD", 1)
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"SCL": SCALE})):
                await until(lambda: len(plc.requests) > 3)
                plc.set(10, 0)
                seen = len(plc.requests)
                await until(lambda: len(plc.requests) > seen + 3)
                weigh(plc, "T-77", 12_345)
                await until(lambda: intake.facts)
        (record,) = intake.facts
        assert record.pop("t_rx") > 0
        assert record == {"src": "dc1/pack/SCL-01", "kind": "weigh", "lu": "T-77", "weight_g": 1234}
        assert {(request.function, request.address, request.quantity) for request in plc.requests} == {(3, 10, 7)}
        assert plc.writes == []

    run(story())


def test_the_acknowledgement_is_written_only_after_the_engine_acknowledged() -> None:
    async def story() -> None:
        async with Plc() as plc:
            intake = RememberingIntake(acks=False)
            async with polling(intake, settings(plc.port, {"SRT": SORTER})):
                post(plc, 1, track=77)
                await until(lambda: intake.owed)
                seen = len(plc.requests)
                await until(lambda: len(plc.requests) > seen + 10)
                assert plc.writes == []
                intake.owed.pop()()
                await until(lambda: plc.writes)
                post(plc, 2, what=2, track=77, dest=4)
                await until(lambda: intake.owed)
                intake.owed.pop()()
                await until(lambda: len(plc.writes) == 2)
        assert plc.writes == [(2, 110, 1), (2, 110, 2)]
        assert [(line["kind"], line["seq"], line["track"], line.get("dest")) for line in intake.facts] == [
            ("item.inducted", 1, "77", None),
            ("divert.confirmed", 2, "77", "4"),
        ]

    run(story())


def test_a_mailbox_is_not_read_by_another_request_while_its_acknowledgement_is_on_its_way() -> None:
    """Two readings of one letter side by side made two records of it, the second one wrap later behind a gap."""
    last = 60

    async def story() -> None:
        async with Plc() as plc:

            async def slowly(frame: bytes) -> bytes:
                await asyncio.sleep(0.001 * (len(plc.requests) % 5))
                return frame

            def after(_: Request) -> None:
                shown = plc.get(100, unit=2)
                if plc.get(110, unit=2) == shown < last:
                    post(plc, shown + 1)

            plc.answer = lambda request, frame: slowly(frame)
            plc.after = after
            post(plc, 1)
            intake = RememberingIntake()
            made = settings(plc.port, {"SRT": SORTER}, in_flight_max=4, timeout_ms=5_000)
            async with polling(intake, made):
                await until(lambda: plc.get(110, unit=2) == last)
        assert [(line["kind"], line.get("seq")) for line in intake.facts] == [
            ("item.inducted", number) for number in range(1, last + 1)
        ]

    run(story())


def test_a_torn_block_is_read_again() -> None:
    async def story() -> None:
        async with Plc() as plc:

            def finish(request: Request) -> None:
                if request.address == 100 and plc.get(100, unit=2) != plc.get(104, unit=2):
                    torn.append(request)
                    if len(torn) == 2:
                        post(plc, 5, track=9)

            torn: list[Request] = []
            plc.after = finish
            plc.set(100, 4, 1, 8, 0, 4, unit=2)
            plc.set(110, 4, unit=2)
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"SRT": SORTER})):
                await until(lambda: intake.later_links)
                plc.set(100, 5, 1, 8, unit=2)
                await until(lambda: intake.facts)
        assert [(line["seq"], line["track"]) for line in intake.facts] == [(5, "9")]
        assert intake.faults == []

    run(story())


def _acknowledged(plc: Plc, number: int) -> bool:
    return plc.get(110, unit=2) == number


def test_a_machine_that_writes_its_block_slowly_is_waited_for_and_one_that_never_ends_is_told() -> None:
    async def story() -> None:
        async with Plc() as plc:
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"SRT": SORTER})):
                await until(lambda: intake.later_links)
                for number in range(1, 6):
                    plc.set(100, number, 1, 8, unit=2)
                    await asyncio.sleep(0.05)  # ten polls of four readings each
                    plc.set(104, number, unit=2)
                    await until(partial(_acknowledged, plc, number))
                assert intake.faults == []
                plc.set(100, 6, unit=2)
                await until(lambda: intake.faults)
        assert [line["seq"] for line in intake.facts] == [1, 2, 3, 4, 5]
        assert "never finishes writing" in intake.causes[0]

    run(story())


def test_a_record_accepted_before_a_restart_is_only_acknowledged() -> None:
    async def story() -> None:
        async with Plc() as plc:
            post(plc, 3)
            plc.set(110, 2, unit=2)
            intake = RememberingIntake(positions={"dc1/sorter/SRT-01": (0, 65_536 + 3)})
            async with polling(intake, settings(plc.port, {"SRT": SORTER})):
                await until(lambda: plc.writes)
                post(plc, 4)
                await until(lambda: intake.facts)
        assert plc.writes[0] == (2, 110, 3)
        assert [line["seq"] for line in intake.facts] == [65_536 + 4]

    run(story())


@pytest.mark.parametrize(("track", "is_same"), [(7, True), (8, False)])
def test_a_record_with_the_number_of_one_that_was_accepted_before_a_restart_is_held_against_the_journal(
    track: int, is_same: bool
) -> None:
    """The power went for both: the machine has written its first record again, and this is another one."""

    async def story() -> None:
        async with Plc() as plc:
            post(plc, 1, track=track)
            intake = RememberingIntake(positions={"dc1/sorter/SRT-01": (0, 1)})
            known = {
                "src": "dc1/sorter/SRT-01",
                "kind": "item.inducted",
                "seq": 1,
                "track": "7",
                "dest": "3",
                "t_rx": 1,
            }
            intake.before = [msgspec.json.encode(known), b'{"src":"dc1/sorter/SRT-01","kind":"link.down","t_rx":2}']
            async with polling(intake, settings(plc.port, {"SRT": SORTER})):
                await until(lambda: plc.writes)
        records = [(line["epoch"], line["seq"], line["track"]) for line in intake.facts if "seq" in line]
        assert records == ([] if is_same else [(1, 1, "8")])
        assert [line["kind"] for line in intake.facts if "seq" not in line] == ["source.gap"] * (not is_same)
        assert plc.writes[0] == (2, 110, 1)

    run(story())


def test_a_jump_in_the_mailbox_is_a_gap_with_its_numbers() -> None:
    async def story() -> None:
        async with Plc() as plc:
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"SRT": SORTER})):
                post(plc, 1)
                await until(lambda: plc.get(110, unit=2) == 1)
                post(plc, 5)
                await until(lambda: plc.get(110, unit=2) == 5)
        first, gap, last = intake.facts
        assert (first["seq"], last["seq"]) == (1, 5)
        assert (gap["kind"], gap["from_seq"], gap["to_seq"], gap["count"]) == ("source.gap", 2, 4, 3)
        assert gap["t_from"] == first["t_rx"]
        assert gap["t_from"] < gap["t_to"] <= last["t_rx"]

    run(story())


def test_a_record_that_does_not_fit_is_counted_and_acknowledged() -> None:
    async def story() -> None:
        async with Plc() as plc:
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"SRT": SORTER})):
                post(plc, 1, what=99)
                await until(lambda: plc.writes)
                post(plc, 2)
                await until(lambda: intake.facts)
        assert intake.causes == ["units.SRT.mailboxes.events: kind: not in its table"]
        assert plc.writes[0] == (2, 110, 1)
        assert [line["seq"] for line in intake.facts] == [2]

    run(story())


def test_a_machine_that_lost_its_acknowledgement_gets_it_again() -> None:
    async def story() -> None:
        async with Plc() as plc:
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"SRT": SORTER})):
                post(plc, 1)
                await until(lambda: plc.get(110, unit=2) == 1)
                plc.set(110, 0, unit=2)
                await until(lambda: plc.get(110, unit=2) == 1)
        assert [line["seq"] for line in intake.facts] == [1]

    run(story())


def test_a_ring_is_read_in_order_and_an_overrun_is_a_gap() -> None:
    async def story() -> None:
        async with crane_plc() as plc:
            intake = RememberingIntake()
            stow(plc, 3)
            async with polling(intake, settings(plc.port, {"CRN": CRANE})):
                await until(lambda: len(intake.facts) == 3)
                stow(plc, 9)
                await until(lambda: len(intake.facts) == 9)
                await plc.stop()
                stow(plc, 22)
                await plc.start()
                await until(lambda: len(intake.facts) == 18)
        assert plc.writes == []
        (gap,) = [line for line in intake.facts if line["kind"] == "source.gap"]
        assert (gap["from_seq"], gap["to_seq"], gap["count"]) == (9, 13, 5)
        records = [line for line in intake.facts if line["kind"] == "store.confirmed"]
        assert [line["seq"] for line in records] == [*range(9), *range(14, 22)]
        assert all((line["lu"], line["loc"]) == (f"L{line['seq']}", str(line["seq"])) for line in records)

    run(story())


@pytest.mark.parametrize("written_after", ["the head", "the records"])
def test_a_ring_that_is_written_while_it_is_read_gives_no_wrong_record(written_after: str) -> None:
    async def story() -> None:
        async with crane_plc() as plc:

            def write_more(request: Request) -> None:
                if (request.address >= 10) == (written_after == "the records") and plc.get(0, unit=3) < 60:
                    following = plc.get(0, unit=3) + 6
                    stow(plc, following)
                    if following < 60:
                        plc.set(10 + following % 8 * 4, *text(f"L{following}", 2), unit=3)  # it has begun the next one

            plc.after = write_more
            intake = RememberingIntake()
            stow(plc, 8)
            async with polling(intake, settings(plc.port, {"CRN": CRANE})):
                await until(lambda: intake.positions.get("dc1/asrs/CRN-01", (0, 0))[1] == plc.get(0, unit=3) - 1 >= 59)
        covered: list[int] = []
        for line in intake.facts:
            if line["kind"] == "source.gap":
                covered += range(line["from_seq"], line["to_seq"] + 1)
            else:
                assert (line["lu"], line["loc"]) == (f"L{line['seq']}", str(line["seq"]))
                covered.append(line["seq"])
        assert covered == list(range(plc.get(0, unit=3)))

    run(story())


def test_a_record_over_which_the_machine_is_writing_is_no_record_however_slowly_it_writes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("protocols.modbus.handshake.TORN_S", 3_600.0)

    async def story() -> None:
        async with crane_plc() as plc:
            stow(plc, 8)
            plc.set(10, *text("L8", 2), unit=3)  # over record 0, of which `loc` still stands there
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"CRN": CRANE})):
                await until(lambda: len(plc.requests) > 30)
                assert intake.facts == []
                stow(plc, 9)
                await until(lambda: len(intake.facts) == 8)
        gap, *stowed = intake.facts
        # it goes on, and may be writing over record 1 by now
        assert (gap["kind"], gap["from_seq"], gap["count"]) == ("source.gap", 0, 2)
        assert [(line["seq"], line["lu"], line["loc"]) for line in stowed] == [
            (number, f"L{number}", str(number)) for number in range(2, 9)
        ]

    run(story())


def test_a_ring_of_another_size_than_described_is_not_read() -> None:
    async def story() -> None:
        async with Plc() as plc:
            plc.set(1, 16, unit=3)
            stow(plc, 5)
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"CRN": CRANE})):
                await until(lambda: intake.faults)
        assert "another size" in intake.causes[0]
        assert intake.facts == []

    run(story())


def test_a_ring_with_a_tail_is_told_how_far_it_was_read() -> None:
    async def story() -> None:
        crane = copy.deepcopy(CRANE)
        crane["rings"]["moves"].update(ack=5, write_function=16)
        async with crane_plc() as plc:
            stow(plc, 6)
            plc.set(5, 2, unit=3)
            intake = RememberingIntake(acks=False)
            async with polling(intake, settings(plc.port, {"CRN": crane})):
                await until(lambda: intake.owed)
                assert plc.writes == []
                intake.owed.pop()()
                await until(lambda: plc.writes)
        assert plc.writes == [(3, 5, 6)]
        assert [line["seq"] for line in intake.facts] == [2, 3, 4, 5]

    run(story())


def test_a_ring_with_a_tail_is_told_so_also_by_who_starts_after_us() -> None:
    """The machine waits with a full ring: the engine died between its journal and the write."""

    async def story() -> None:
        crane = copy.deepcopy(CRANE)
        crane["rings"]["moves"].update(ack=5)
        async with crane_plc() as plc:
            stow(plc, 8)
            died = RememberingIntake(acks=False)
            async with polling(died, settings(plc.port, {"CRN": crane})):
                await until(lambda: len(died.facts) == 8)
            assert plc.writes == []
            intake = RememberingIntake(positions=died.positions)
            async with polling(intake, settings(plc.port, {"CRN": crane})):
                await until(lambda: plc.writes)
                stow(plc, 10)
                await until(lambda: len(intake.facts) == 2)
                await until(lambda: len(plc.writes) == 2)
        assert plc.writes == [(3, 5, 8), (3, 5, 10)]
        assert [line["seq"] for line in intake.facts] == [8, 9]

    run(story())


def test_a_register_that_does_not_exist_is_named_and_the_rest_goes_on() -> None:
    async def story() -> None:
        unit = {
            "unit": 1,
            "src": "dc1/a/b",
            "holding": {"a": 0, "hole": 3, "b": 6},
            "coil": {"run": 40},
            "groups": {
                "g": {
                    "poll_ms": 5,
                    "triggers": [
                        {"on": "change", "register": name, "record": {"kind": {"const": "telemetry"}, "code": name}}
                        for name in ("a", "b")
                    ],
                }
            },
        }
        async with Plc() as plc:
            plc.missing = {("holding", 3), ("coil", 40)}
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"U": unit}, recovery_ms=3_600_000)):
                await until(lambda: len(plc.requests) > 12)
                plc.set(0, 5)
                plc.set(6, 6)
                await until(lambda: len(intake.facts) == 2)
        assert sorted(intake.causes) == [
            "units.U.groups.g: hole (holding 3): exception 2 (illegal data address)",
            "units.U.groups.g: run (coil 40): exception 2 (illegal data address)",
        ]
        assert sorted(line["code"] for line in intake.facts) == ["5", "6"]
        assert intake.later_links == [("dc1/a/b", "link.up")]

    run(story())


def test_a_register_that_appears_later_is_found() -> None:
    async def story() -> None:
        record = {"kind": {"const": "telemetry"}, "code": "a"}
        unit = {
            "unit": 1,
            "src": "dc1/a/b",
            "input": {"a": 0},
            "groups": {"g": {"poll_ms": 5, "triggers": [{"on": "poll", "record": record}]}},
        }
        async with Plc() as plc:
            plc.missing = {("input", 0)}
            intake = RememberingIntake()
            async with polling(intake, settings(plc.port, {"U": unit})):
                await until(lambda: intake.faults)
                plc.missing.clear()
                await until(lambda: intake.facts)

    run(story())


def test_nothing_but_the_listed_registers_can_be_written() -> None:
    async def story() -> None:
        async with Plc() as plc:
            connection = Connection(Endpoint("tcp", (("127.0.0.1", plc.port),)), 1.0, frozenset({(2, 110)}))
            await connection.open()
            for unit, address in ((2, 111), (1, 110)):
                with pytest.raises(ValueError, match="no acknowledgement register"):
                    await connection.write(unit, address, 1, 6, 1.0)
            await connection.write(2, 110, 1, 6, 1.0)
            connection.close()
        assert plc.writes == [(2, 110, 1)]

    run(story())


def test_against_pymodbus_own_server() -> None:
    async def story() -> None:
        port = free_port()
        registers = [SimData(0, values=[0] * 200, datatype=DataType.REGISTERS)]
        devices = [SimDevice(unit, simdata=registers) for unit in (1, 2)]
        server = ModbusTcpServer(devices, address=("127.0.0.1", port))
        await server.serve_forever(background=True)
        intake = RememberingIntake()
        try:
            async with polling(intake, settings(port, {"SCL": SCALE, "SRT": SORTER})):
                await until(lambda: len(intake.later_links) == 2)
                await server.context.async_setValues(1, 16, 11, [0, 250, *text("T-1", 4)])
                await server.context.async_setValues(1, 16, 10, [1])
                await server.context.async_setValues(2, 16, 100, [1, 2, 70, 9, 1])
                await until(lambda: len(intake.facts) == 2)
                while await server.context.async_getValues(2, 3, 110, 1) != [1]:
                    await asyncio.sleep(0.01)
        finally:
            await server.shutdown()  # type: ignore[no-untyped-call]
        by_kind = {line["kind"]: line for line in intake.facts}
        assert (by_kind["weigh"]["lu"], by_kind["weigh"]["weight_g"]) == ("T-1", 25)
        assert (by_kind["divert.confirmed"]["track"], by_kind["divert.confirmed"]["dest"]) == ("70", "9")

    run(story())
