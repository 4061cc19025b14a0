"""Graphics cards: whether the installed llama.cpp can use one, how much of a model goes there, and how to get a build that can."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from engine.clean import clean_line
from engine.model.header import Header
from engine.model.memory import estimate, size

_GRAPHICS = (1, 2)  # ggml's kinds of devices: a graphics card, one that shares the system's memory
_LEFT = 512 << 20
"""Bytes of a card that are left to what else is drawn and computed there."""

_BACKENDS = {"cuda": "CUDA", "hip": "ROCm", "metal": "Metal", "vulkan": "Vulkan", "sycl": "SYCL", "musa": "MUSA"}

ALL = -1
"""As a number of layers: the whole model."""


@dataclass(frozen=True)
class Card:
    """A device that llama.cpp can compute on beside the processor. ``shared``: its memory is the system's."""

    name: str
    free: int
    total: int
    shared: bool


@dataclass(frozen=True)
class Offload:
    """How many layers are computed on cards (:data:`ALL`: every one), and that in words; empty without cards."""

    layers: int = 0
    words: str = ""


def cards() -> tuple[Card, ...]:
    """The cards that this build of llama.cpp can use. Loads llama.cpp; none where the build is for processors only."""
    from llama_cpp import llama_cpp as lib

    return _cards() if lib.llama_supports_gpu_offload() else ()


def devices() -> tuple[tuple[int, Card], ...]:
    """Everything ggml computes on, the processor too, each with its kind."""
    base, registry = _libraries()
    found = []
    for index in range(int(registry.ggml_backend_dev_count())):
        device = ctypes.c_void_p(registry.ggml_backend_dev_get(ctypes.c_size_t(index)))
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        base.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
        kind = int(base.ggml_backend_dev_type(device))
        name = clean_line(base.ggml_backend_dev_description(device).decode("utf-8", errors="replace"), 80)
        shared = kind == _GRAPHICS[1] or sys.platform == "darwin"
        found.append((kind, Card(name, int(free.value), int(total.value), shared)))
    return tuple(found)


def _cards() -> tuple[Card, ...]:
    try:
        return tuple(card for kind, card in devices() if kind in _GRAPHICS)
    except (OSError, AttributeError):  # a build that is put together in another way: llama.cpp then decides by itself
        return ()


@cache
def _libraries() -> tuple[Any, Any]:
    """Ggml's own libraries, which llama.cpp has loaded already: what knows devices, and what lists them."""
    import llama_cpp

    folder = Path(llama_cpp.__file__).parent / "lib"
    ends = {"win32": ("", ".dll"), "darwin": ("lib", ".dylib")}.get(sys.platform, ("lib", ".so"))
    base, registry = (ctypes.CDLL(str(folder / f"{ends[0]}{name}{ends[1]}")) for name in ("ggml-base", "ggml"))
    registry.ggml_backend_dev_count.restype = ctypes.c_size_t
    registry.ggml_backend_dev_get.restype = ctypes.c_void_p
    base.ggml_backend_dev_description.restype = ctypes.c_char_p
    return base, registry


def offload(header: Header, context: int, found: tuple[Card, ...]) -> Offload:
    """How much of a model goes to the cards at this context: all of it if it fits, else as many layers as do."""
    if not found:
        return Offload()
    names = ", ".join(card.name for card in found)
    need = estimate(header, context, fused=True)
    free = sum(max(0, card.free - _LEFT) for card in found)
    layers = max(1, header.number("block_count")) + 1  # the last is the output
    if need.total <= free:
        return Offload(ALL, f"all layers on {names}")
    fitting = max(0, free - need.compute) * layers // max(1, need.weights + need.cells)
    return Offload(fitting, f"{min(fitting, layers)} of {layers} layers on {names} ({size(free)} free there)")


def room(free: int, found: tuple[Card, ...]) -> int:
    """Bytes there are for a model in all, of which ``free`` are the system's."""
    return free + sum(max(0, card.free - _LEFT) for card in found if not card.shared)


def with_cards(free: int) -> int:
    """Bytes there are for a model in all, of which ``free`` are the system's. Loads llama.cpp only if it can use cards."""
    return room(free, cards()) if built_for() else free


def built_for() -> tuple[str, ...]:
    """What the installed llama.cpp can compute on beside the processor, by the names of its files: nothing is loaded."""
    from importlib.util import find_spec

    spec = find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        return ()
    names = [path.name.lower() for path in (Path(spec.origin).parent / "lib").glob("*ggml-*")]
    return tuple(name for part, name in _BACKENDS.items() if any(f"ggml-{part}" in each for each in names))


def install_command() -> str:
    """The command that builds a llama.cpp for this machine's card; empty where no card is seen.

    On a Mac the usual build can use the card already.
    """
    backend = _backend()
    if not backend:
        return ""
    if sys.platform == "win32":
        return f'set "CMAKE_ARGS=-D{backend}=on" && pip install --force-reinstall --no-deps --no-cache-dir llama-cpp-python'
    return f'CMAKE_ARGS="-D{backend}=on" pip install --force-reinstall --no-deps --no-cache-dir llama-cpp-python'


def _backend(root: Path = Path("/")) -> str:
    """The switch of llama.cpp's build for the card that is seen here."""
    if shutil.which("nvidia-smi") or (root / "proc/driver/nvidia/version").exists():
        return "GGML_CUDA"
    if (root / "dev/kfd").exists():
        return "GGML_HIP"
    if (root / "dev/dri").is_dir() and any(name.startswith("renderD") for name in os.listdir(root / "dev/dri")):  # noqa: PTH208
        return "GGML_VULKAN"
    return "GGML_METAL" if sys.platform == "darwin" else ""
