"""The fixtures that other tests stand on do what they say."""

from __future__ import annotations

import subprocess

import pytest

from tests.peers import Peer, listening, program


@pytest.mark.peer("mosquitto")
def test_mosquitto_starts_stops_and_starts_again(mosquitto: Peer) -> None:
    assert listening(mosquitto.port)
    mosquitto.stop()
    assert not listening(mosquitto.port)
    mosquitto.start()
    assert listening(mosquitto.port)


@pytest.mark.peer("redis-server")
def test_redis_keeps_what_it_had_over_a_kill(redis_server: Peer) -> None:
    call = [program("redis-cli"), "-p", str(redis_server.port)]
    subprocess.run([*call, "SET", "k", "v"], check=True, capture_output=True)
    redis_server.kill()
    redis_server.start()
    assert subprocess.run([*call, "GET", "k"], check=True, capture_output=True).stdout == b"v\n"


def test_a_missing_program_skips_with_its_name() -> None:
    with pytest.raises(pytest.skip.Exception, match="no-such-server is not installed"):
        program("no-such-server")
