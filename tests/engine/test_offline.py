"""The guard cannot be taken out of a process again, so each test has one of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from engine.offline import QUIET_HUBS

START = """
import socket, sys
from engine.errors import NetworkForbidden
from engine.offline import forbid, is_forbidden, permit
PORT, OTHER = int(sys.argv[1]), int(sys.argv[2])
def outcome(act):
    try:
        return repr(act())
    except NetworkForbidden as error:
        return f"forbidden: {error}"
    except Exception as error:
        return type(error).__name__
"""


@pytest.fixture
def ports() -> Iterator[tuple[int, int, list[object]]]:
    """Two listening ports on this machine, and everybody who came."""
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    came: list[object] = []

    def serve(server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            came.append(server.getsockname()[1])
            connection.sendall(b"hello")
            connection.close()

    for server in servers:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
    yield servers[0].getsockname()[1], servers[1].getsockname()[1], came
    for server in servers:
        server.close()


def run(program: str, ports: tuple[int, int, list[object]]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", START + program, str(ports[0]), str(ports[1])],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


ATTEMPTS = {
    "socket": "socket.socket()",
    "socket of version 6": "socket.socket(socket.AF_INET6)",
    "datagram": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "create_connection": "socket.create_connection(('127.0.0.1', PORT), 1)",
    "a socket made before": "early.connect(('127.0.0.1', PORT))",
    "a socket made before, quietly": "early.connect_ex(('127.0.0.1', PORT))",
    "a datagram socket made before": "datagram.sendto(b'x', ('127.0.0.1', PORT))",
    "a message": "datagram.sendmsg([b'x'], [], 0, ('127.0.0.1', PORT))",
    "a connection that does not send": "datagram.connect(('127.0.0.1', PORT))",
    "a listener": "early.bind(('127.0.0.1', 0))",
    "a name": "socket.getaddrinfo('localhost', PORT)",
    "a name in bytes": "socket.getaddrinfo(b'localhost', PORT)",
    "a name, the old way": "socket.gethostbyname('localhost')",
    "a name, the older way": "socket.gethostbyname_ex('localhost')",
    "an address": "socket.gethostbyaddr('127.0.0.1')",
    "a name of an address": "socket.getnameinfo(('127.0.0.1', PORT), 0)",
    "the native module": "__import__('_socket').socket().connect(('127.0.0.1', PORT))",
    "urllib": "__import__('urllib.request').request.urlopen(f'http://127.0.0.1:{PORT}/', timeout=1)",
    "http.client": "__import__('http.client').client.HTTPConnection('127.0.0.1', PORT, timeout=1).connect()",
    "httpcore": "__import__('httpcore').request('GET', f'http://127.0.0.1:{PORT}/')",
    "asyncio": "__import__('asyncio').run(__import__('asyncio').open_connection('127.0.0.1', PORT))",
    "primp": "__import__('primp').get(f'http://127.0.0.1:{PORT}/')",
    "ddgs": "__import__('ddgs').DDGS().text('x', backend='duckduckgo')",
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
def test_nothing_gets_out(ports: tuple[int, int, list[object]], attempt: str) -> None:
    early = "early = socket.socket(); datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
    lines = run(f"{early}\nforbid()\nprint(outcome(lambda: {attempt}))", ports)
    assert lines[-1].startswith("forbidden: The network is off: ")
    assert ports[2] == []


def test_these_attempts_would_succeed_without_the_guard(ports: tuple[int, int, list[object]]) -> None:
    lines = run(f"print(outcome(lambda: {ATTEMPTS['create_connection']}.recv(9)))", ports)
    assert (lines, ports[2]) == (["b'hello'"], [ports[0]])


def test_what_stays_on_the_machine_goes_on(ports: tuple[int, int, list[object]]) -> None:
    program = """
import asyncio, multiprocessing, os, subprocess
forbid()
def pair():
    one, other = socket.socketpair()
    one.send(b"x")
    return other.recv(1)
def pipe():
    one, other = multiprocessing.Pipe()
    one.send("x")
    return other.recv()
async def nothing():
    return "x"
print(outcome(pair), outcome(pipe), outcome(lambda: asyncio.run(nothing())))
print(outcome(lambda: subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True).stdout.strip()))
"""
    assert run(program, ports) == ["b'x' 'x' 'x'", "b'1'"]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_the_users_own_endpoint_is_reached_and_nothing_beside_it(
    ports: tuple[int, int, list[object]], name: str
) -> None:
    program = f"""
forbid([("{name}", PORT)])
def fetch(host, port):
    with socket.create_connection((host, port), 2) as connection:
        return connection.recv(9)
print(outcome(lambda: fetch("{name}", PORT)))
print(outcome(lambda: fetch("{name}", OTHER)))
print(outcome(lambda: fetch("127.0.0.2", PORT)))
print(outcome(lambda: socket.getaddrinfo("example.com", 80)))
print(outcome(lambda: socket.socket().connect(("127.0.0.1", OTHER))))
print(outcome(lambda: socket.socket().bind(("127.0.0.1", 0))))
"""
    lines = run(program, ports)
    assert lines[0] == "b'hello'"
    assert [line.split(":")[0] for line in lines[1:]] == ["forbidden"] * 5
    assert ports[2] == [ports[0]]


def test_the_web_can_be_turned_on_and_off_again(ports: tuple[int, int, list[object]]) -> None:
    program = """
def fetch():
    with socket.create_connection(("127.0.0.1", PORT), 2) as connection:
        return connection.recv(9)
forbid()
print(is_forbidden(), outcome(fetch)[:9])
permit()
print(is_forbidden(), outcome(fetch))
forbid()
print(is_forbidden(), outcome(fetch)[:9])
"""
    assert run(program, ports) == ["True forbidden", "False b'hello'", "True forbidden"]


def test_no_library_can_lift_the_guard_by_swapping_pieces(ports: tuple[int, int, list[object]]) -> None:
    program = """
import importlib, threading
forbid()
importlib.reload(socket)
found = []
threading.Thread(target=lambda: found.append(outcome(lambda: socket.socket()))).start()
import time; time.sleep(0.2)
print(found[0][:9])
sys.addaudithook(lambda event, args: None)
print(outcome(lambda: socket.create_connection(("127.0.0.1", PORT)))[:9])
"""
    assert run(program, ports) == ["forbidden", "forbidden"]


def test_hubs_are_told_to_stay_offline_before_they_are_imported(ports: tuple[int, int, list[object]]) -> None:
    program = """
import os
forbid()
print(all(os.environ[name] == "1" for name in __import__("engine.offline").offline.QUIET_HUBS))
import huggingface_hub.constants as constants
print(constants.HF_HUB_OFFLINE, constants.HF_HUB_DISABLE_TELEMETRY)
"""
    assert QUIET_HUBS
    assert run(program, ports) == ["True", "True True"]


def test_a_passage_is_open_for_what_is_named_and_only_while_it_is_wanted(ports: tuple[int, int, list[object]]) -> None:
    program = """
from engine.offline import guarded, hold, passage
def reach(port): return outcome(lambda: socket.create_connection(("127.0.0.1", port), 5).recv(5))[:9]
forbid()
with passage() as let:
    print(reach(PORT))
    let("127.0.0.1", PORT)
    print(reach(PORT), reach(OTHER))
    with passage() as other:
        other("127.0.0.1", OTHER)
        hold("off")  # the user turns the web off in between
        print(reach(PORT), reach(OTHER))
    print(reach(PORT), reach(OTHER))
print(reach(PORT), is_forbidden())
permit()
with guarded():
    print(reach(PORT), is_forbidden())
print(reach(PORT), is_forbidden())
forbid([("127.0.0.1", PORT)])
with guarded():
    print(reach(PORT), reach(OTHER))
print(reach(PORT), reach(OTHER))
"""
    assert run(program, ports) == [
        "forbidden",
        "b'hello' forbidden",
        "b'hello' b'hello'",
        "b'hello' forbidden",
        "forbidden True",
        "forbidden True",
        "b'hello' False",
        "b'hello' forbidden",
        "b'hello' forbidden",
    ]


# ── the guard of the tests themselves ────────────────────────────────────────────────────────────


def test_no_test_reaches_more_than_this_machine(nothing_leaves: list[str]) -> None:
    with pytest.raises(OSError, match="a test wanted to reach"):
        socket.socket().connect(("192.0.2.1", 80))
    with pytest.raises(OSError, match="look up"):
        socket.getaddrinfo("example.com", 80)
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
    assert nothing_leaves == ["reach ('192.0.2.1', 80)", "look up 'example.com'"]
    nothing_leaves.clear()
