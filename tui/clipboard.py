"""Where what is copied goes: to the terminal, and by a tool or a file, since no terminal says whether it took it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

_OSC_52_MOST = 74_994
"""Bytes beyond which terminals refuse what is sent with OSC 52."""

_SECONDS = 3

Find = Callable[[str], str | None]


def tool(env: Mapping[str, str], platform: str = sys.platform, find: Find = shutil.which) -> list[str]:
    """The command line that fills the clipboard of this very machine's user; empty where there is none, or over ssh."""
    if env.get("TMUX") and find("tmux"):
        return ["tmux", "load-buffer", "-w", "-"]
    if env.get("SSH_CONNECTION"):
        return []
    candidates = {"darwin": [["pbcopy"]], "win32": [["clip"]]}.get(platform, [])
    if env.get("WAYLAND_DISPLAY"):
        candidates = [["wl-copy"]]
    elif env.get("DISPLAY"):
        candidates = [["xclip", "-selection", "clipboard"], ["xsel", "--clipboard", "--input"]]
    return next((command for command in candidates if find(command[0])), [])


def keep(text: str, command: list[str], file: Path) -> str:
    """Give the text to the tool, or where there is none or it fails, to the file; and say where it went."""
    size = f"{len(text):,} characters"
    if command:
        try:
            subprocess.run(
                command,
                input=text.encode("utf-16" if command[0] == "clip" else "utf-8", "replace"),
                timeout=_SECONDS,
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except (OSError, subprocess.SubprocessError):
            pass
        else:
            return f"Copied: {size}, by {command[0]}."
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as out:
            out.write(text)
    except OSError as error:
        return f"Copied: {size}, if the terminal takes it (OSC 52). {file} could not be written: {error.strerror}."
    if len(text.encode("utf-8", "replace")) > _OSC_52_MOST:
        return f"Too much for a terminal's clipboard: {size} are in {file}."
    return f"Copied: {size}, if the terminal takes it (OSC 52). They are in {file} too."
