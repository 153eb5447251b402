"""Redis as a site has it: the shipped users, TLS, a cluster, a sentinel. Real servers on loopback."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.certificates import Authority
from tests.peers import Peer, free_port, listening, program, start_redis

DEPLOY = Path(__file__).parents[1] / "deploy"
NEWER = "SORTLINE_TEST_REDIS"  # the path of a newer redis-server than the installed one
READY_S_MAX = 60.0


def password_of(user: str) -> str:
    return f"secret of {user}"


def shipped_users(folder: Path) -> Path:
    """The shipped file of users, with hashes of `password_of` each name."""

    def with_hash(found: re.Match[str]) -> str:
        digest = hashlib.sha256(password_of(found[1]).encode()).hexdigest()
        return f"user {found[1]} on #{digest} "

    text = (DEPLOY / "redis-acl.conf").read_text()
    text, count = re.subn(r"^user (\S+) on #\S+ ", with_hash, text, flags=re.M)
    assert count >= 5
    path = folder / "redis-acl.conf"
    path.write_text(text)
    return path


def start_with_shipped_users(folder: Path, authority: Authority) -> Peer:
    """A server that only speaks TLS, and knows only the shipped users."""
    certificate, key = authority.issue("redis", "127.0.0.1")
    path = program("redis-server")
    port = free_port()
    config = folder / "redis.conf"
    config.write_text(f"include {shipped_users(folder)}\n")
    tls = ["--tls-port", str(port), "--port", "0", "--tls-auth-clients", "no", "--tls-ca-cert-file", str(authority.ca)]
    keys = ["--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    durable = ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    argv = [path, str(config), "--bind", "127.0.0.1", "--dir", str(folder), *tls, *keys, *durable]
    return Peer(argv, port, folder).start()


@contextlib.contextmanager
def cluster(folder: Path, nodes: int = 3) -> Iterator[list[Peer]]:
    """A cluster of masters that share the slots."""
    peers: list[Peer] = []
    try:
        for number in range(nodes):
            inner = folder / f"node{number}"
            inner.mkdir()
            bus = free_port()
            options = ["--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", "2000"]
            peers.append(start_redis(inner, *options))
        addresses = [f"127.0.0.1:{peer.port}" for peer in peers]
        cli = program("redis-cli")
        done = subprocess.run(
            [cli, "--cluster", "create", *addresses, "--cluster-yes"], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        until(lambda: all(b"cluster_state:ok" in _raw(peer, "CLUSTER", "INFO") for peer in peers), "a cluster")
        yield peers
    finally:
        for peer in peers:
            peer.kill()


@contextlib.contextmanager
def sentinel(folder: Path) -> Iterator[tuple[Peer, list[Peer]]]:
    """A sentinel that knows the master `erp`, and [master, replica]."""
    peers: list[Peer] = []
    try:
        for name in ("master", "replica"):
            (folder / name).mkdir()
            of = ["--replicaof", f"127.0.0.1 {peers[0].port}"] if peers else []
            peers.append(start_redis(folder / name, "--repl-diskless-sync-delay", "0", *of))
        until(lambda: b"master_link_status:up" in _raw(peers[1], "INFO", "replication"), "a replica")
        inner = folder / "sentinel"
        inner.mkdir()
        port = free_port()
        (inner / "sentinel.conf").write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor erp 127.0.0.1 {peers[0].port} 1\n"
            "sentinel down-after-milliseconds erp 500\nsentinel failover-timeout erp 3000\n"
        )
        watcher = Peer([program("redis-server"), "sentinel.conf", "--sentinel"], port, inner).start()
        peers.append(watcher)
        until(lambda: b"slaves=1" in _raw(watcher, "INFO", "sentinel"), "the sentinel to see it")
        yield watcher, peers[:2]
    finally:
        for peer in peers:
            peer.kill()


def newer_redis(folder: Path, *options: str) -> Peer:
    """The server that SORTLINE_TEST_REDIS names, or the installed one if it is 7.2 or newer; else skips, saying so."""
    path = os.environ.get(NEWER) or program("redis-server")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=(\d+)\.(\d+)", version)
    assert found is not None, version
    if (int(found[1]), int(found[2])) < (7, 2):
        pytest.skip(f"redis-server is {found[1]}.{found[2]}, WAITAOF needs 7.2: name a newer one in {NEWER}")
    port = free_port()
    argv = [path, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", *options]
    return Peer(argv, port, folder, listening).start()


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + READY_S_MAX
    while not true():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.05)


def _raw(peer: Peer, *command: str) -> bytes:
    with redis.Redis(port=peer.port) as client:
        # as the server says it, without what the library makes of it
        client.response_callbacks.clear()
        answer = client.execute_command(*command)
    return answer if isinstance(answer, bytes) else repr(answer).encode()
