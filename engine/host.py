"""Serves an Engine to another process: commands in on stdin, events out on stdout, one JSON object a line.

Native libraries print to file descriptors 1 and 2 whenever they like. So the real pipes are moved away first, and
1 and 2 lead to a log file from then on: nothing but events ever reaches the reader.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
import threading
from functools import partial
from typing import TextIO

from engine import __version__, garbage, protocol
from engine.engine import Engine
from engine.errors import DeepSearchError, ProtocolError
from engine.offline import forbid, hold
from engine.protocol import EngineReady, Event, Failed, Shutdown
from engine.settings import Settings, settings_from_json


def main() -> None:
    """``python -m engine.host --settings JSON``. Ends with the Shutdown command or when stdin closes."""
    garbage.seldom()
    forbid()  # before anything is loaded that could look for a network; the web, if it is on, lifts it
    parser = argparse.ArgumentParser(prog="engine.host", description="Serve the engine over stdin and stdout.")
    parser.add_argument("--settings", required=True, help="all settings as one JSON object")
    settings = settings_from_json(parser.parse_args().settings)
    settings.prepare()
    log_path = settings.log_dir / "engine.log"
    commands, events = _take_pipes(str(log_path))
    serve(settings, commands, events, str(log_path))


def serve(settings: Settings, commands: TextIO, events: TextIO, log: str = "") -> None:
    """Answer commands until Shutdown or the end of ``commands``."""
    lock = threading.Lock()

    def emit(event: Event) -> None:
        with lock:
            try:
                events.write(protocol.encode(event) + "\n")
                events.flush()
            except OSError:
                os._exit(0)  # nobody reads any more; what matters is in the journal already

    emit(EngineReady(protocol=protocol.VERSION, version=__version__, pid=os.getpid(), log=log))
    server = settings.server
    engine = Engine(settings, emit, guard=partial(hold, allowed=[server.place] if server else []))
    engine.warm()
    for line in commands:
        try:
            command = protocol.decode_command(line)
        except ProtocolError as error:
            emit(Failed("ProtocolError", str(error), error.hint))
            continue
        if isinstance(command, Shutdown):
            break
        try:
            engine.handle(command)
        except DeepSearchError as error:
            emit(Failed(type(error).__name__, str(error), error.hint))
    engine.close()


def _take_pipes(log: str) -> tuple[TextIO, TextIO]:
    """The private ends of stdin and stdout. Descriptors 0, 1 and 2 become the null device and the log."""
    commands = os.fdopen(os.dup(0), "r", encoding="utf-8", errors="replace")
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace", newline="\n")
    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(null)
    os.close(out)
    faulthandler.enable(sys.stderr)  # a native crash leaves the Python stacks in the log
    return commands, events


if __name__ == "__main__":
    main()
