"""The one direction of the imports: a module imports only from its own layer or from lower ones."""

from __future__ import annotations

import pytest

from tests.tidy.sources import files, imports, module_name

LAYERS: list[tuple[str, ...]] = [
    # lowest first; a name stands for the module and for all below it
    (
        "ext",
        "engine",
        "engine.errors",
        "engine.findings",
        "engine.places",
        "engine.arguments",
        "engine.error_classes",
        "engine.throttle",
        "engine.clock",
        "engine.cancellation",
        "engine.told_to_stop",
        "engine.model",
        "engine.secret",
        "engine.tls",
        "engine.redis_connection",
        "engine.redis_nodes",
    ),
    (
        "engine.metrics",
        "engine.records",
        "engine.event_schema",
        "engine.logs",
        "engine.sqlite_file",
        "engine.sqlite_log",
        "engine.sqlite_pages",
        "engine.salvage",
        "engine.two_flips",
        "engine.told_ids",
        "engine.outbox_sums",
        "engine.whole_file",
        "engine.disk",
        "engine.passed_over",
        "engine.shed_gaps",
        "engine.crashes",
        "engine.start_room",
        "engine.spare_room",
        "engine.pauses",
        "engine.malloc_borders",
    ),
    ("engine.contracts",),
    (
        "protocols",
        "engine.sinks",
        "engine.journal",
        "engine.outbox",
        "engine.outbox_room",
        "engine.told_events",
        "engine.dead_letters",
        "engine.letter",
        "engine.segments",
        "engine.segment_folder",
    ),
    ("engine.rule_book", "engine.snapshots", "engine.held_rules", "engine.recordings", "engine.parquet"),
    (
        "engine.accounts",
        "engine.recent_lines",
        "engine.cursors",
        "engine.lane_work",
        "engine.lanes",
        "engine.delivery",
        "engine.gone_sinks",
        "engine.refusals",
        "engine.intake",
        "engine.outbox_pages",
        "engine.outbox_salvage",
        "engine.letters_salvage",
        "engine.gone_files",
        "engine.mended_databases",
        "engine.slices",
        "engine.recovery",
        "engine.overload",
        "engine.pipeline",
    ),
    ("engine.config",),
    (
        "engine.newer",
        "engine.app",
        "engine.live",
        "engine.box_checks",
        "engine.source_checks",
        "engine.onlooking",
        "engine.taps",
        "engine.probe",
    ),
    (
        "engine.run",
        "engine.check",
        "engine.discover",
        "engine.tap",
        "engine.schema",
        "engine.replay",
        "engine.record",
        "engine.queues",
        "engine.dlq",
        "engine.doctor",
        "engine.explain",
        "engine.fsck",
        "engine.refill",
        "engine.journals",
        "engine.demo",
    ),
    ("engine.cli",),
]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}
OURS = {
    module_name(path): imports(path) for path in files(".py", ".pyx", ".pxd", folders=("engine", "protocols", "ext"))
}
IN_A_FOLDER = {name for name in OURS if name.startswith("protocols.") and name.count(".") > 1}


def layer(module: str) -> int:
    """The layer of the longest name in the table that the module stands below."""
    name = module
    while name not in LAYER or (name == "engine" and module != "engine"):
        assert name, f"{module} stands in no layer: put it into LAYERS"
        name = name.rpartition(".")[0]
    return LAYER[name]


@pytest.mark.parametrize("module", sorted(OURS))
def test_a_module_imports_only_its_own_layer_and_lower_ones(module: str) -> None:
    higher = {name for name in OURS[module] if name.partition(".")[0] in ("simulators", "bench", "tests")}
    higher |= {name for name in OURS[module] - higher if layer(name) > layer(module)}
    assert not higher, f"{module} imports {sorted(higher)}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    done: set[str] = set()
    path: list[str] = []

    def visit(module: str) -> None:
        assert module not in path, " -> ".join([*path[path.index(module) :], module])
        if module in done:
            return
        path.append(module)
        for name in sorted(OURS.get(module, set())):
            visit(name)
        path.pop()
        done.add(module)

    for module in sorted(OURS):
        if not module.startswith("ext."):  # Cython's declarations may name each other
            visit(module)


def test_protocols_and_sinks_do_not_know_each_other() -> None:
    for module, names in OURS.items():
        parts = module.split(".")
        if parts[0] == "protocols" and len(parts) > 2:
            folders = {".".join(name.split(".")[:2]) for name in names if name in IN_A_FOLDER}
            assert folders <= {"protocols.mapping", f"protocols.{parts[1]}"}, module
            assert "protocols.registry" not in names, module
            assert not {name for name in names if name.startswith("engine.sinks")}, module
        if module.startswith("engine.sinks."):
            assert not {name for name in names if name.startswith("protocols")}, module


def test_the_simulators_know_nothing_of_ours_so_that_they_can_disagree() -> None:
    for path in files(".py", folders=("simulators",)):
        foreign = {name for name in imports(path) if name.partition(".")[0] != "simulators"}
        assert not foreign, f"{module_name(path)} imports {sorted(foreign)}"


def test_a_registry_imports_nothing_that_it_lists() -> None:
    assert OURS["protocols.registry"] == set()
    assert OURS["engine.sinks.registry"] == set()
