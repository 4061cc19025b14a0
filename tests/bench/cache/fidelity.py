"""``make bench-fidelity``: how much a carried cache changes what the model would say, at each next word of one run.

Teacher-forced: every method reads the same views and is made to write the same words, and before each word its odds are
compared with those of a cache that reads everything again after a mask (*strict*). Two kinds of words: the run's own
replies, which mostly copy what was just read, and a sentence of a page that is masked by now, written after the view and
taken back. There the trace of what was removed shows most.
"""

from __future__ import annotations

import argparse
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.context.transcript import Transcript
from engine.model.catalogue import starter_model
from engine.model.edits import Mode
from engine.model.llamacpp import LlamaCppModel
from engine.model.probe import divergence
from engine.model.weights import Weights
from tests.bench.cache import report
from tests.bench.cache.method import CONTEXT
from tests.bench.cache.trajectory import ROOT, look, record

PAGE = ROOT / "docs" / "benchmarks.md"

BEGIN, END = "<!-- bench-fidelity: what follows is written by `make bench-fidelity` -->", "<!-- bench-fidelity: end -->"


@dataclass
class Way:
    """One way to follow masks, and how its odds compared so far. ``portion``: it reads so many tokens at a time, which
    changes nothing but the order of sums: the noise of arithmetic. 0 is the usual.
    """

    name: str
    mode: Mode = "strict"
    window: int = 4
    resync: int = 0
    portion: int = 0
    shift: bool = True
    decoded: int = 0
    replies: list[tuple[float, bool]] = field(default_factory=list)
    hidden: list[tuple[float, bool]] = field(default_factory=list)

    def load(self, weights: Weights) -> LlamaCppModel:
        model = LlamaCppModel(
            weights, context=CONTEXT, threads=1, mode=self.mode, resync=self.resync, shift=self.shift, own=False
        )
        if self.portion:
            model.cache.chunk = self.portion
        return model


def ways() -> list[Way]:
    return [
        Way("strict"),
        Way("strict, in portions of 7 (noise)", portion=7),
        Way("strict, token by token (noise)", portion=1),
        Way("carry", "carry"),
        Way("carry + repair", "carry+repair"),
        Way("carry, leaving gaps", "carry", shift=False),
        Way("carry + repair, re-sync every 4", "carry+repair", resync=4),
        Way("no mask", window=0),
    ]


def compare(path: Path, turns: int, seed: int) -> list[Way]:
    """Send the recorded run through every way at once, turn by turn."""
    weights = Weights(path)
    compared = ways()
    models = [way.load(weights) for way in compared]
    transcript, draw = record(turns), random.Random(seed)
    try:
        for turn in range(1, turns):
            said = transcript.turns[turn].raw
            sentence = _hidden_sentence(transcript, turn, draw)
            exact: dict[str, list[Any]] = {}
            for way, model in zip(compared, models, strict=True):
                view = look(transcript, turn, window=way.window)
                way.decoded += model.read(view).decoded
                if sentence:
                    _compare(way.hidden, exact, "hidden", model, sentence)
                    way.decoded += model.read(view).decoded - 1  # one is always read; more only where it re-syncs
                _compare(way.replies, exact, "reply", model, said)
            print(f"turn {turn} of {turns - 1}", file=sys.stderr, flush=True)
    finally:
        for model in models:
            model.close()
        weights.close()
    return compared


def _compare(
    into: list[tuple[float, bool]], exact: dict[str, list[Any]], what: str, model: LlamaCppModel, text: str
) -> None:
    heard: list[Any] = []
    model.force(text, lambda: heard.append(model.logits()))
    first = exact.setdefault(what, heard)
    into += [(divergence(a, b), bool(a.argmax() == b.argmax())) for a, b in zip(first, heard, strict=True)]


def _hidden_sentence(transcript: Transcript, turn: int, draw: random.Random) -> str:
    """A line of a body that is masked at this turn, without its number."""
    before = look(transcript, turn, window=0)
    after = {segment.observation for segment in look(transcript, turn, window=4).segments() if segment.kind == "body"}
    masked = [s.text for s in before.segments() if s.kind == "body" and s.observation not in after]
    lines = [line.partition(": ")[2] for text in masked for line in text.split("\n")]
    long = [line for line in lines if 60 <= len(line) <= 160]
    return draw.choice(long) if long else ""


def table(compared: list[Way]) -> str:
    rows = [
        "| how the cache follows a mask | prompt tokens | replies: KL, same next word | of masked pages: KL, same next word |"
    ]
    rows.append("| --- | ---: | ---: | ---: |")
    for way in compared:
        rows.append(f"| {way.name} | {way.decoded:,} | {_cell(way.replies)} | {_cell(way.hidden)} |")
    return "\n".join(rows)


def _cell(compared: list[tuple[float, bool]]) -> str:
    if not compared:
        return "–"
    mean = sum(kl for kl, _ in compared) / len(compared)
    same = sum(equal for _, equal in compared) / len(compared)
    return f"{mean:.4f}, {same:.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-fidelity", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", action="append", type=Path, help="a .gguf file; may be given more than once")
    parser.add_argument("--turns", type=int, default=20, choices=(20, 60))
    parser.add_argument(
        "--seed", action="append", type=int, help="of the sentences that are chosen; may be given more than once"
    )
    parser.add_argument("--write", action="store_true", help="put the tables into benchmarks.md")
    given = parser.parse_args()
    starter = starter_model()
    assert starter is not None, "the starter model is not installed"
    parts = []
    for path in given.model or [starter]:
        facts = "\n".join(f"- {fact}" for fact in report.about(path))
        for seed in given.seed or [0]:
            compared = compare(path, given.turns, seed)
            places = f"{len(compared[0].replies):,} places in replies, {len(compared[0].hidden):,} in sentences of masked pages"
            parts.append(
                f"### {path.stem}, {given.turns} turns, seed {seed}\n\n{facts}\n- {places}\n\n{table(compared)}"
            )
            print(parts[-1], flush=True)
    if given.write:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(report.replace_block(page, "\n\n".join(parts), (BEGIN, END)), encoding="utf-8")


if __name__ == "__main__":
    main()
