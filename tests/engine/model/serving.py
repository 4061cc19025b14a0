"""A small HTTP server on loopback that speaks as model servers do, and misbehaves as told."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[dict[str, Any]], Any]
"""From a request's body to an answer: an object, a (status, object) pair, bytes, or an iterator of bytes to stream."""


@dataclass
class Asked:
    method: str
    path: str
    body: dict[str, Any]
    headers: dict[str, str]


@dataclass
class Served:
    """``answers`` by method and path. ``asked`` is all that came, ``gone`` is set when a client left a stream."""

    port: int = 0
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        served = self
        self._open: list[socket.socket] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self.take()

            def do_POST(self) -> None:
                self.take()

            def take(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.loads(raw) if raw else {}
                served.asked.append(Asked(self.command, self.path, body, dict(self.headers)))
                answer = served.answers.get((self.command, self.path))
                said = answer(body) if answer else (404, {"error": {"message": "File Not Found", "code": 404}})
                try:
                    self.say(said)
                except OSError:
                    served.gone.set()
                    self.close_connection = True

            def say(self, said: Any) -> None:
                if isinstance(said, Iterator):
                    self.send_response(200)
                    self.send_header("Content-Type", "text/event-stream")
                    self.send_header("Connection", "close")
                    self.end_headers()
                    self.close_connection = True
                    for piece in said:
                        self.wfile.write(piece)
                        self.wfile.flush()
                    return
                status, said = said if isinstance(said, tuple) else (200, said)
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None: ...

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None: ...

            def get_request(self) -> Any:
                sock, address = super().get_request()
                served._open.append(sock)
                return sock, address

        self._server = Quiet(("127.0.0.1", self.port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.label = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """What was sent to a path."""
        return [each.body for each in self.asked if each.path == path]

    def models(self, *names: str, **more: object) -> None:
        entries = [{"id": name, "object": "model", **more} for name in names]
        self.answers["GET", "/v1/models"] = lambda _: {"object": "list", "data": entries}


def event(data: object) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()


def streamed(*pieces: bytes) -> Answer:
    return lambda _: iter(pieces)


# ── the dialects ─────────────────────────────────────────────────────────────────────────────────

WORD = re.compile(r"<\|[a-z_]+\|>|<tool>|\w+|\s|[^\w\s]")
SPECIAL = re.compile(r"<\|[a-z_]+\|>")


def tokens_of(text: str, special: bool) -> list[tuple[int, str]]:
    """Tokens as a small model would have them: marks are one token where they may be, ``<tool>`` always is."""
    found = []
    for piece in WORD.findall(text):
        parts = list(piece) if SPECIAL.fullmatch(piece) and not special else [piece]
        found += [
            (sum(map(ord, part)) * 7 + len(part) + (90_000 if SPECIAL.fullmatch(part) else 0), part) for part in parts
        ]
    return found


def completion(*texts: str, cache: int = 0, total: int = 10, reason: str = "eos") -> Answer:
    """A llama-server's reply."""
    return streamed(
        event({"content": "", "stop": False, "prompt_progress": {"total": total, "cache": cache, "processed": total}}),
        *(event({"content": text, "stop": False}) for text in texts),
        event(
            {
                "content": "",
                "stop": True,
                "stop_type": reason,
                "tokens_evaluated": total,
                "tokens_predicted": len(texts),
                "timings": {"cache_n": cache, "prompt_n": total - cache},
            }
        ),
    )


def llama_server(served: Served, reply: Answer, *, context: int = 2048) -> None:
    """Make ``served`` a llama-server."""

    def filled(body: dict[str, Any]) -> dict[str, str]:
        text = "".join(f"<|start|>{m['role']}\n{m['content']}<|end|>\n" for m in body["messages"])
        return {"prompt": text + "<|start|>assistant\n"}

    def tokenised(body: dict[str, Any]) -> dict[str, Any]:
        found = tokens_of(body["content"], body.get("parse_special", True))
        if body.get("add_special"):
            found.insert(0, (1, "<s>"))
        if body.get("with_pieces"):
            return {"tokens": [{"id": token, "piece": piece} for token, piece in found]}
        return {"tokens": [token for token, _ in found]}

    served.models(
        "tiny-1.7B.gguf", owned_by="llamacpp", meta={"n_ctx_train": 4096, "n_params": 1_700_000_000, "size": 99}
    )
    served.answers |= {
        ("GET", "/props"): lambda _: {"default_generation_settings": {"n_ctx": context}},
        ("POST", "/apply-template"): filled,
        ("POST", "/tokenize"): tokenised,
        ("POST", "/completion"): reply,
    }


def chat(*texts: str, usage: dict[str, Any] | None = None, reason: str = "stop") -> Answer:
    """An OpenAI server's reply."""
    said = [event({"choices": [{"index": 0, "delta": {"content": text}}]}) for text in texts]
    said.append(event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))
    if usage is not None:
        said.append(event({"choices": [], "usage": usage}))
    return streamed(b": a ping\n\n", *said, b"data: [DONE]\n\n")


def openai(served: Served, reply: Answer, *, refuses: tuple[str, ...] = (), **entry: object) -> None:
    """Make ``served`` an OpenAI server that knows nothing of its context; ``refuses`` are fields it answers 400 to."""

    def answer(body: dict[str, Any]) -> Any:
        for name in refuses:
            if name in body or body.get("response_format", {}).get("type") == name:
                return 400, {"error": {"message": f"Unrecognized request argument: {name}"}}
        if not body.get("stream"):
            return {"choices": [{"message": {"content": "{"}}], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}
        return reply(body)

    served.models("some-model", **entry)
    served.answers["POST", "/v1/chat/completions"] = answer


def vllm(served: Served, reply: Answer, *, refuses: tuple[str, ...] = ()) -> None:
    """Make ``served`` a vLLM."""
    openai(served, reply, refuses=refuses)
    served.models("org/Big-32B", owned_by="vllm", max_model_len=40_960)
    served.answers["POST", "/tokenize"] = lambda body: {"count": len(body["prompt"].split()), "max_model_len": 40_960}


def ollama(served: Served, reply: Answer) -> None:
    """Make ``served`` an Ollama."""
    served.models("small:latest", "other:latest", owned_by="library")
    served.answers |= {
        ("GET", "/api/version"): lambda _: {"version": "0.9"},
        ("POST", "/api/show"): lambda _: {
            "details": {"parameter_size": "4.3B"},
            "model_info": {"general.parameter_count": 4_300_000_000, "arch.context_length": 131_072},
        },
        ("POST", "/api/chat"): reply,
    }


def ollama_says(*texts: str, prompt: int = 50, reason: str = "stop") -> Answer:
    lines = [{"message": {"role": "assistant", "content": text}, "done": False} for text in texts]
    last = {
        "message": {"content": ""},
        "done": True,
        "done_reason": reason,
        "prompt_eval_count": prompt,
        "eval_count": 7,
    }
    return streamed(*(json.dumps(line).encode() + b"\n" for line in [*lines, last]))
