"""Which models there are on this machine, what each would take of its memory, and which of the catalogue would suit it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from engine.clean import clean_line
from engine.errors import ModelError, ModelMissing, ModelTooLarge
from engine.model.catalogue import STARTER, Entry, entries, find, resolve_model, starter_model
from engine.model.header import Header, read_header
from engine.model.memory import BESIDE, estimate, fit, size
from engine.protocol import ModelRow
from engine.settings import Settings

_MODEST = 8_192
"""Tokens of context with which models that are not here yet are compared."""


def inventory(settings: Settings, free: int, total: int) -> tuple[ModelRow, ...]:
    """The models that are here, the one in use first, then what the catalogue has besides, the one recommended first.

    ``free`` and ``total`` are bytes of memory. Only headers are read.
    """
    here = [*_endpoint(settings), *_here(settings, free)]
    if not any(row.in_use for row in here) and settings.model:
        here.insert(0, ModelRow(named(settings.model), "path", settings.model, here=False, in_use=True, fits=False))
    files = {Path(row.path).name for row in here}
    offered = [_offer(entry, settings, free) for entry in entries() if entry.file not in files]
    best = recommended(free, total)
    if best is not None:
        entry, why = best
        here, offered = ([_recommend(row, entry, why) for row in rows] for rows in (here, offered))
    offered.sort(key=lambda row: not row.recommended)
    here.sort(key=lambda row: not row.in_use)
    return (*here, *offered)


def recommended(free: int, total: int) -> tuple[Entry, str] | None:
    """The model of the catalogue for a machine with so much memory, and why; None where none fits.

    The largest tier that the machine has, of models whose cache can be edited, that fits what is free now.
    """
    fitting = [each for each in entries() if each.attention == "full" and _need(each) + BESIDE <= free]
    fitting = [each for each in fitting if each.memory_gb << 30 <= total * 1.15]  # 8 GB of memory are told as 7.6
    if not fitting:
        return None
    best = max(fitting, key=lambda each: (each.memory_gb, -entries().index(each)))
    why = (
        f"for {best.memory_gb} GB and more: its cache can be edited after a mask, and with {_MODEST:,} tokens it takes"
        f" about {size(_need(best))} of the {size(free)} that are free"
    )
    return best, why


def _recommend(row: ModelRow, entry: Entry, why: str) -> ModelRow:
    return replace(row, recommended=True, why=why) if Path(row.path).name == entry.file else row


def _need(entry: Entry, context: int = _MODEST) -> int:
    """About what a model that is not here would take."""
    return entry.bytes + min(context, entry.context) * (entry.cell_bytes or 65_536) + (256 << 20)


def _offer(entry: Entry, settings: Settings, free: int) -> ModelRow:
    from engine.downloads.part import Part

    file = settings.models_dir / entry.file
    need = _need(entry)
    fits = need <= free
    return ModelRow(
        entry.name,
        "catalogue",
        str(file),
        entry.bytes,
        here=False,
        part=Part(file).have(),
        context=min(_MODEST, entry.context),
        trained=entry.context,
        memory=need,
        fits=fits,
        note="" if fits else f"needs about {size(need)}, and {size(free)} are free",
        licence=entry.licence,
        attention=entry.attention,
        format=entry.format,
        good_at=entry.good_at,
        checked=checked_by(entry),
    )


def checked_by(entry: Entry | None) -> str:
    """What a download is checked by, in words."""
    if entry is not None and entry.sha256:
        return "SHA-256"
    return "its size and its GGUF header only: no checksum is known" if entry else "its GGUF header only"


def _endpoint(settings: Settings) -> Iterator[ModelRow]:
    if settings.endpoint:
        yield ModelRow(clean_line(settings.endpoint, 200), "endpoint", settings.endpoint, in_use=True)


def _here(settings: Settings, free: int) -> Iterator[ModelRow]:
    """The starter, the files of the models folder, and the file of the settings if it is elsewhere."""
    using = None
    if not settings.endpoint:
        try:
            using = resolve_model(settings.model, settings.models_dir)
        except ModelMissing:
            using = None
    told: set[Path] = set()
    starter = starter_model()
    if starter is not None:
        told.add(starter)
        yield _row(STARTER, "starter", starter, settings, free, in_use=using == starter)
    for path in _files(settings.models_dir):
        told.add(path)
        yield _row(named(path.name), "file", path, settings, free, in_use=using == path)
    if using is not None and using not in told:
        yield _row(str(using), "path", using, settings, free, in_use=True)


def _files(folder: Path) -> list[Path]:
    """The model files of a folder; of one that is split over several, the first."""
    found = sorted(folder.glob("*.gguf")) if folder.is_dir() else []
    return [path for path in found if "-of-" not in path.name or "-00001-of-" in path.name]


def named(file: str) -> str:
    """What to call a model by: its name in the catalogue, or that of its file."""
    entry = find(Path(file).name)
    return entry.name if entry is not None else clean_line(file, 200)


def _row(name: str, kind: str, path: Path, settings: Settings, free: int, *, in_use: bool) -> ModelRow:
    entry = find(path.name)
    row = ModelRow(
        name,
        "starter" if kind == "starter" else "file" if kind == "file" else "path",
        str(path),
        in_use=in_use,
        licence=entry.licence if entry else "",
        good_at=entry.good_at if entry else "",
        format=entry.format if entry else "",
        checked=checked_by(entry),
    )
    try:
        header = read_header(path)
    except ModelError as error:
        return replace(row, fits=False, note=clean_line(str(error), 300))
    row = replace(row, bytes=header.size, trained=header.trained, attention=attention(header))
    try:
        fitting = fit(header, settings.context, free)
    except ModelTooLarge:
        need = estimate(header, min(header.trained or _MODEST, settings.context or _MODEST))
        note = f"with {need.context:,} tokens of context it needs about {size(need.total)}, and {size(free)} are free"
        return replace(row, context=need.context, memory=need.total, fits=False, note=note)
    return replace(row, context=fitting.context, memory=fitting.estimate.total, note=fitting.note)


def attention(header: Header) -> str:
    """What a model's layers see, as far as its header tells: ``full``, ``window`` or ``hybrid``."""
    if (
        header.number("ssm.state_size")
        or header.number("shortconv.l_cache")
        or header.number("full_attention_interval")
    ):
        return "hybrid"
    return "window" if header.number("attention.sliding_window") else "full"
