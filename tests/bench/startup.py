"""How long until something is on the screen, as ratios to importing Textual, all measured in this run."""

from __future__ import annotations

import os
import re
import select
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = 7

ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]")


def measure() -> None:
    baseline = _median(lambda: _process("-c", "import textual.app"))
    print(f"import textual.app (whole process)   {baseline:.3f} s   1.00")
    for label, arguments in (("deepsearch-tui --help", ["--help"]), ("deepsearch-tui --version", ["--version"])):
        seconds = _median(lambda arguments=arguments: _process("-m", "tui", *arguments))
        print(f"{label:<36} {seconds:.3f} s   {seconds / baseline:.2f}")
    with tempfile.TemporaryDirectory() as home:
        trivial = _median(lambda: _first_frame(home, ["-c", TRIVIAL]))
        seconds = _median(lambda: _first_frame(home, ["-m", "tui"]))
    print(f"{'first frame of a trivial Textual app':<36} {trivial:.3f} s   {trivial / baseline:.2f}")
    print(f"{'first frame of this app':<36} {seconds:.3f} s   {seconds / baseline:.2f}")
    print(f"{'  against the trivial one (at most 3)':<36} {seconds / trivial:.2f}")


def _median(once: object) -> float:
    assert callable(once)
    once()  # the first run pays for cold files
    return statistics.median(once() for _ in range(ROUNDS))


def _process(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


TRIVIAL = """
from textual.app import App
from textual.widgets import Static

class Trivial(App):
    def compose(self):
        yield Static("Ask")

Trivial().run()
"""


def _first_frame(home: str, arguments: list[str]) -> float:
    """Seconds from starting the process in a pseudo-terminal until ``Ask``, in the prompt, has been painted.

    Its first letter is under the cursor, and so in a colour of its own: the words count, not what is sent between them.
    """
    import pty

    began = time.perf_counter()
    pid, fd = pty.fork()
    if pid == 0:
        os.environ |= {"DEEPSEARCH_DATA_DIR": home, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
        os.execv(sys.executable, [sys.executable, *arguments])
    seen = b""
    try:
        while b"Ask" not in ESCAPES.sub(b"", seen):
            ready, _, _ = select.select([fd], [], [], 20)
            if not ready:
                raise TimeoutError("no first frame in 20 s")
            seen += os.read(fd, 65536)
        return time.perf_counter() - began
    finally:
        os.write(fd, b"\x11")  # ctrl+q
        _wait(pid, fd)
        os.close(fd)


def _wait(pid: int, fd: int) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return
        if select.select([fd], [], [], 0.1)[0]:
            try:
                os.read(fd, 65536)
            except OSError:
                continue
    os.kill(pid, 9)
    os.waitpid(pid, 0)
