"""``models``: what there is, how a download goes, and what was found out about a model, as lines a person can read."""

from __future__ import annotations

import json as json_form
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from engine.protocol import ModelRow, NetworkEntry
from engine.settings import Settings

if TYPE_CHECKING:
    from engine.downloads.download import Step
    from engine.model.probe import Agreement, Verdict

ATTENTION = {
    "full": "every layer sees all tokens",
    "window": "a sliding window in some layers",
    "hybrid": "after a mask the rest is read again",
}
"""What the layers of a model see, for a person."""


def storage(count: int) -> str:
    """Bytes: 92 MB, 5.0 GB."""
    return f"{count / (1 << 30):.1f} GB" if count >= 1 << 30 else f"{max(0, count) / (1 << 20):,.0f} MB"


def source(name: str) -> str:
    """The host that a model comes from."""
    from engine.model.catalogue import find

    entry = find(name)
    return urlsplit(entry.url if entry else name).hostname or "nowhere"


def listing(settings: Settings, *, json: bool) -> Iterator[str]:
    """The models there are."""
    from engine.inventory import inventory
    from engine.model.gpu import built_for, with_cards
    from engine.model.memory import free_memory, total_memory

    free, total = with_cards(free_memory()), total_memory()
    rows = inventory(settings, free, total)
    if json:
        yield from (json_form.dumps(asdict(row), ensure_ascii=False) for row in rows)
        return
    card = f"; llama.cpp can use {', '.join(built_for())}" if built_for() else ""
    yield f"{storage(free)} of {storage(total)} memory are free{card}"
    for title, shown in (
        ("Here", [row for row in rows if row.here or row.in_use]),
        (
            "Could be fetched (deepsearch-tui models pull NAME)",
            [row for row in rows if not row.here and not row.in_use],
        ),
    ):
        yield ""
        yield f"{title}:" if shown else f"{title}: nothing"
        for row in shown:
            yield from _told(row)


def _told(row: ModelRow) -> Iterator[str]:
    marks = [
        "in use" if row.in_use else "",
        "recommended" if row.recommended else "",
        f"{storage(row.part)} of it fetched" if row.part else "",
    ]
    size = storage(row.bytes) if row.bytes else ""
    yield "  ".join(part for part in (f"{'*' if row.in_use else ' '} {row.name:<18}", size, *marks) if part)
    facts = [row.licence, ATTENTION.get(row.attention, "")]
    if row.trained:
        facts.append(f"trained for {row.trained:,} tokens")
    if row.fits and row.memory:
        facts.append(f"about {storage(row.memory)} of memory with {row.context:,} of them")
    for text in (
        " · ".join(fact for fact in facts if fact),
        row.note if row.fits else f"does not fit: {row.note}",
        row.good_at,
        row.why,
        f"a download is checked by {row.checked}" if row.kind == "catalogue" else "",
    ):
        if text:
            yield f"      {text}"


def fetch(settings: Settings, name: str) -> int:
    """Fetch a model, with its progress on stderr. Returns the exit code. Raises DownloadFailed."""
    from engine import offline
    from engine.downloads.download import Cancelled
    from engine.models import pull

    meter = _Meter()
    try:
        with offline.guarded():  # the download opens its own way, and there is no other
            said = pull(settings, name, record=meter.sent, progress=meter.step, cancelled=lambda: False)
    except (KeyboardInterrupt, Cancelled):
        meter.end()
        click.echo("Stopped. What has come is kept: pull it again to go on.", err=True)
        return 130
    finally:
        meter.end()
    click.echo(said)
    return 0


class _Meter:
    """A line that is written over on a terminal; elsewhere a line for each tenth."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._tenth = -1
        self._width = 0

    def step(self, step: Step) -> None:
        if step.note:
            self.end()
            click.echo(step.note, err=True)
        share = f"{step.done / step.total:4.0%}" if step.total else ""
        done = f"{storage(step.done)} of {storage(step.total)}" if step.total else storage(step.done)
        left = f", {step.eta:,.0f} s left" if step.eta >= 0 else ""
        what = "checking" if step.phase == "check" else f"{done}, {step.speed / (1 << 20):,.1f} MB/s{left}"
        line = f"{share} {what}".strip()
        if self._live:
            click.echo("\r" + line.ljust(self._width), nl=False, err=True)
            self._width = len(line)
        elif step.phase == "download" and step.total and (tenth := step.done * 10 // step.total) != self._tenth:
            self._tenth = tenth
            click.echo(line, err=True)

    def sent(self, entry: NetworkEntry) -> None:
        self.end()
        click.echo(f"{entry.host} ({entry.address or 'not reached'}): {entry.result}, {entry.bytes:,} bytes", err=True)

    def end(self) -> None:
        if self._width:
            click.echo("", err=True)
            self._width = 0


def check(settings: Settings, *, every: bool, json: bool, out: Callable[[str], None]) -> None:
    """Try a model out, remember what was found, and tell it. Raises ModelError."""
    from engine.model.catalogue import resolve_model
    from engine.model.loading import known
    from engine.model.probe import probe
    from engine.model.trial import try_out
    from engine.model.verdicts import KnownModels
    from engine.model.weights import MemoryOptions, Weights

    weights = Weights(resolve_model(settings.model, settings.models_dir))
    try:
        digest = KnownModels(settings.known_models).digest(weights.path)
        found = [("as used", known(settings, weights))]
        if every:
            others = {"attention fused": MemoryOptions(flash=True)}
            if weights.head % 64 == 0:  # others end the process when such cells are moved
                others["keys and values in q8_0"] = MemoryOptions(kv="q8_0", flash=True)
            found += [(name, probe(weights, threads=settings.threads, memory=way)) for name, way in others.items()]
        if json:
            for name, verdict in found:
                told = {
                    "model": weights.path.name,
                    "sha256": digest,
                    "way": name,
                    "words": verdict.words,
                    **asdict(verdict),
                }
                out(json_form.dumps(told))
            return
        out(f"{weights.path.name}  sha256 {digest[:16]}…  {weights.parameters / 1e6:,.0f}M parameters")
        out(f"trained for {weights.trained:,} tokens")
        for line in _memory(found[0][1]):
            out(line)
        for name, verdict in found:
            out("")
            out(f"{name}: {verdict.mode}")
            for line in _table(verdict):
                out(line)
    finally:
        weights.close()
    out("")
    for line in try_out(settings).lines:
        out(line)
    out("")
    out(found[0][1].words[:1].upper() + found[0][1].words[1:] + ".")


def _memory(verdict: Verdict) -> Iterator[str]:
    if verdict.recurrent:
        yield "memory: recurrent or hybrid; nothing can be taken out of its middle"
    elif verdict.window:
        cost = f", keeping all its cells costs {verdict.window_bytes / 2**20:,.1f} MB more in a context of 2,048"
        yield f"memory: a sliding window of {verdict.window:,} tokens{cost if verdict.window_bytes else ''}"
    else:
        yield "memory: every layer sees all tokens"
    yield f"cells can be moved: {_moved(verdict)}"


def _moved(verdict: Verdict) -> str:
    if not verdict.can_shift:
        return "no"
    return f"{'yes' if verdict.moves == 'shift' else 'not rightly'} (odds differ by {verdict.drift:.4f} nats after eight moves)"


def _table(verdict: Verdict) -> Iterator[str]:
    """How each way agrees with reading all again, best first."""
    rows: list[tuple[str, Agreement | None]] = [
        ("read again in other portions", verdict.noise),
        ("carry+repair", verdict.repair),
        ("carry", verdict.carry),
    ]
    for name, found in rows:
        if found is not None:
            yield f"  {name:<30} KL {found.divergence:.4f} nats   same next word {found.same} of {found.places}"
