"""What a user would run instead: llama-cpp-python's ``Llama``, and a llama.cpp server. Both match prefixes themselves.

They get the same token arrays as this project's runtime, one thread and as much context; all else is their default.
"""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from engine.context.segments import View
from tests.bench.cache.method import CONTEXT, NotMeasured, Step, Stopwatch

Tokens = tuple[int, ...]

STARTS_WITHIN = 60.0
"""Seconds a server gets to load the model."""


class HighLevel:
    """``llama_cpp.Llama``, given the whole prompt at every turn."""

    window = 4
    batch = 1

    def __init__(
        self, name: str, path: Path, *, prompt: Callable[[View], Tokens], reply: Callable[[str], Tokens]
    ) -> None:
        from llama_cpp import Llama

        self.name = name
        self._prompt = prompt
        self._reply = reply
        self._llama = Llama(str(path), n_ctx=CONTEXT, n_threads=1, n_threads_batch=1, verbose=False)
        self._evaluated = 0
        evaluate = self._llama.eval

        def counted(tokens: Sequence[int]) -> None:
            self._evaluated += len(tokens)
            evaluate(tokens)

        self._llama.eval = counted  # what it decodes, all of it goes through here

    def step(self, view: View, reply: str) -> Step:
        tokens, written = self._prompt(view), self._reply(reply)
        before = self._evaluated
        watch = Stopwatch()
        drawn = self._llama.generate(tokens, temp=0.0)
        next(drawn)  # the first token of its own reply: the prompt has been read
        drawn.close()
        prompt = watch.lap()
        decoded = self._evaluated - before
        for token in written:
            self._llama.eval([token])
        return Step(decoded, len(tokens) - decoded, len(tokens) + len(written), prompt, watch.lap())

    def close(self) -> None:
        self._llama.close()


class Server:
    """A llama.cpp server on the loopback interface, one slot, asked for a completion of the whole prompt each turn.

    It cannot be made to write a given reply token by token. So it writes as many tokens of its own, which takes as
    long, and is then fed the given ones, which is not counted.
    """

    window = 4
    batch = 1

    def __init__(
        self,
        name: str,
        program: Path | None,
        model: Path,
        *,
        prompt: Callable[[View], Tokens],
        reply: Callable[[str], Tokens],
        reuse: int = 0,
    ) -> None:
        self.name = name
        if program is None:
            raise NotMeasured("no llama-server given")
        if not program.is_file():
            raise NotMeasured(f"there is no {program.name} at the path given")
        self._prompt = prompt
        self._reply = reply
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the server
        self._port = _free_port()
        # Without --cache-ram 0 it would copy whole caches aside, gigabytes over a run.
        options = f"--ctx-size {CONTEXT} --threads 1 --threads-batch 1 --parallel 1 --cache-ram 0 --cache-reuse {reuse}"
        self._process = subprocess.Popen(
            [program, "--model", model, "--host", "127.0.0.1", "--port", str(self._port), *options.split()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._watched = psutil.Process(self._process.pid)
        try:
            self._wait()
        except NotMeasured:
            self.close()
            raise

    def step(self, view: View, reply: str) -> Step:
        tokens, written = self._prompt(view), self._reply(reply)
        watch = Stopwatch(self._cpu)
        timings = self._complete(tokens, 0)["timings"]
        prompt = watch.lap()
        self._complete(tokens, len(written))
        seconds = watch.lap()
        self._complete((*tokens, *written), 0)
        return Step(timings["prompt_n"], timings["cache_n"], len(tokens) + len(written), prompt, seconds)

    def _complete(self, tokens: Sequence[int], most: int) -> dict[str, Any]:
        request = {
            "prompt": list(tokens),
            "n_predict": most,
            "cache_prompt": True,
            "ignore_eos": True,
            "temperature": 0,
            "samplers": [],
        }
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=600)
        try:
            connection.request("POST", "/completion", json.dumps(request), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise RuntimeError(f"the server answered {answer.status}: {body[:300].decode(errors='replace')}")
        data: dict[str, Any] = json.loads(body)
        return data

    def _cpu(self) -> float:
        """This process too: it makes the requests."""
        used = self._watched.cpu_times()
        return used.user + used.system + time.process_time()

    def _wait(self) -> None:
        deadline = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise NotMeasured(f"the server ended at once: {self._last_words()}")
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
            try:
                connection.request("GET", "/health")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass  # not listening yet
            finally:
                connection.close()
            time.sleep(0.2)
        raise NotMeasured(f"the server was not ready within {STARTS_WITHIN:.0f} s: {self._last_words()}")

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
