"""The site file on delivery: what it says is what a sink gets, and what it cannot mean is refused with its path."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from engine.config.load import check_site, load_site
from engine.throttle import Pace

HEAD = 'site = "dc1"\n[sinks.erp]\nkind = "queue"\nkeep = 20000\n'


def faults(text: str) -> list[str]:
    table: dict[str, Any] = tomllib.loads(text)
    return [str(fault) for fault in check_site(table)]


def test_a_sink_is_served_as_the_site_file_says(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(
        HEAD + '[sinks.erp.delivery]\nrate = 200\nburst = 500\non_dead_letter = "hold_key"\n'
        '[sinks.erp.delivery.queues."erp.inventory"]\nrate = 0.5\npriority = 3\n'
        "[dead_letters]\nbytes_max = 1048576\n"
    )
    site = load_site(path)
    (sink,) = site.sinks
    assert sink.settings.keep == 20_000
    assert (sink.delivery.rate, sink.delivery.burst, sink.delivery.on_dead_letter) == (200, 500, "hold_key")
    assert sink.delivery.queues == {"erp.inventory": Pace(rate=0.5, priority=3)}
    assert site.dead_letters.bytes_max == 1 << 20
    assert len(site.digest) == 16
    path.write_text(path.read_text().replace("rate = 200", "rate = 201"))
    assert load_site(path).digest != site.digest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[sinks.erp.delivery]\nrate = 0\n", "sinks.erp.delivery.rate: must be"),
        ("[sinks.erp.delivery]\nburst = 5\n", "sinks.erp.delivery.burst: says nothing without a rate"),
        ('[sinks.erp.delivery]\non_dead_letter = "drop"\n', "sinks.erp.delivery.on_dead_letter: "),
        ("[sinks.erp.delivery]\nrat = 5\n", 'sinks.erp.delivery.rat: unknown key: did you mean "rate"?'),
        (
            '[sinks.erp.delivery.queues."erp.inventry"]\nrate = 5\n',
            'sinks.erp.delivery.queues."erp.inventry": this sink has no such queue: did you mean "erp.inventory"?',
        ),
        ("[sinks.erp.delivery.queues.x]\npriority = 12\n", "sinks.erp.delivery.queues.x.priority: must be"),
        ("[dead_letters]\nbytes_max = 1\n", "dead_letters.bytes_max: must be"),
        ('[sinks.b]\nkind = "queue"\ndelivry = {}\n', 'sinks.b.delivry: unknown key: did you mean "delivery"?'),
    ],
)
def test_what_it_cannot_mean_is_refused_with_its_path(text: str, expected: str) -> None:
    (fault,) = faults(HEAD + text)
    assert fault.startswith(expected)


def test_a_queue_of_a_route_may_have_a_pace() -> None:
    route = '[[routes]]\ntypes = ["pick.*"]\nqueue = "picks"\n'
    assert faults(HEAD + "[sinks.erp.delivery.queues.picks]\nrate = 5\n" + route) == []
