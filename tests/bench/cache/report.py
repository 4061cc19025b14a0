"""What was measured as Markdown, and its place in the benchmarks page."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench.cache import planning
from tests.bench.cache.method import CONTEXT, Seconds
from tests.bench.cache.overhead import Overhead
from tests.bench.cache.race import Race, Result, noise

BEGIN = "<!-- bench-cache: what follows is written by `make bench-cache` -->"
END = "<!-- bench-cache: end -->"

COLUMNS = (
    "",
    "prompt tokens decoded",
    "of the least possible",
    "reading, of strict",
    "reading, of no mask",
    "whole run, of strict",
    "whole run, of no mask",
    "most cells",
)


@dataclass(frozen=True)
class Report:
    """Everything one run of the command found. ``about`` says when and on what, one fact a line."""

    about: tuple[str, ...]
    races: tuple[Race, ...] = ()
    overheads: tuple[Overhead, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        return cls(
            tuple(data["about"]),
            tuple(Race.from_json(race) for race in data["races"]),
            tuple(Overhead(**overhead) for overhead in data["overheads"]),
        )


def about(model: Path) -> tuple[str, ...]:
    """The date, the machine and the versions, as they are shown above the tables."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{datetime.now().astimezone():%Y-%m-%d}, {_processor()}, {cores} core{'s' if cores != 1 else ''}, one thread for each method",
        f"{platform.system()}, Python {platform.python_version()}, llama-cpp-python {version('llama-cpp-python')}",
        f"{model.name}, a context of {CONTEXT:,} tokens for every method",
        planning.told(),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def markdown(report: Report) -> str:
    """The whole generated part: facts, a table for each run, what a generated token costs."""
    parts = ["\n".join(f"- {fact}" for fact in report.about)]
    parts += [_race(race) for race in report.races]
    if report.overheads:
        parts.append(_overheads(report.overheads))
    return "\n\n".join(parts)


def _race(race: Race) -> str:
    same = [result for result in race.results.values() if result.steps]
    rows = [COLUMNS, ("---", *["---:"] * (len(COLUMNS) - 1))]
    rows += [_row(result, race) for result in race.results.values()]
    lines = [f"### {race.turns} turns, window 4", "", *("| " + " | ".join(row) + " |" for row in rows)]
    if len(same) > 1:
        spread = (noise(same, 5) - 1) * 100
        lines += [
            "",
            f"Seconds are wall / processor, as ratios within this run (seed {race.seed}). In the first five turns all methods do"
            f" the same work; their processor seconds lie {spread:.0f} % apart, so smaller differences mean nothing.",
        ]
    return "\n".join(lines)


def _row(result: Result, race: Race) -> tuple[str, ...]:
    if result.missing:
        return (result.name, f"not measured ({result.missing})", *[""] * (len(COLUMNS) - 2))
    strict, unmasked = race.results.get("strict"), race.results.get("no-mask")
    return (
        result.name,
        f"{result.decoded:,}",
        f"{result.to_bound:.2f}",
        _ratio(result.prompt, strict and strict.prompt),
        _ratio(result.prompt, unmasked and unmasked.prompt),
        _ratio(result.whole, strict and strict.whole),
        _ratio(result.whole, unmasked and unmasked.whole),
        f"{result.cells:,}",
    )


def _ratio(seconds: Seconds, to: Seconds | None) -> str:
    if to is None or not (to.wall and to.cpu):
        return "–"
    return f"{seconds.wall / to.wall:.2f} / {seconds.cpu / to.cpu:.2f}"


def _overheads(overheads: Sequence[Overhead]) -> str:
    rows = [
        ("", "our Python", "llama.cpp's samplers", "slower decoding", "together", "tokens"),
        ("---", *["---:"] * 5),
    ]
    rows += [
        (
            "with a grammar" if overhead.grammar else "without a grammar",
            f"{overhead.python:.1%}",
            f"{overhead.samplers:.1%}",
            f"{overhead.decode:+.1%}",
            f"{overhead.total:.1%}",
            f"{overhead.tokens:,}",
        )
        for overhead in overheads
    ]
    lines = ["### A generated token, beside llama.cpp's own decoding of it", ""]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    lines += [
        "",
        "Of the processor seconds that a bare loop over `llama_decode` takes for the same text. Slower decoding is"
        " `llama_decode` in our loop, which can be stopped at any moment, against the bare one.",
    ]
    return "\n".join(lines)


def replace_block(page: str, block: str, marks: tuple[str, str] = (BEGIN, END)) -> str:
    """The page with ``block`` between its two marks and nothing else changed. Raises ValueError without the marks."""
    before, begin, rest = page.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise ValueError(f"the page lacks {marks[0]} or {marks[1]}")
    return f"{before}{begin}\n\n{block.strip()}\n\n{end}{after}"
