"""``make answers``: how often the starter model answers ten known questions about the guide, masked and not.

Prints a Markdown table. Nothing is asserted: the numbers belong in the docs, with the date they were measured.
"""

from __future__ import annotations

import json
import queue
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.engine import Engine
from engine.protocol import (
    AnswerReady,
    Ask,
    CitationChecked,
    Decided,
    Event,
    EvidenceChosen,
    Failed,
    IndexEnded,
    IndexPaths,
    Policy,
    RunEnded,
    Search,
    SearchResults,
    TurnEnded,
)
from engine.settings import load_settings

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
QUESTIONS: dict[str, Any] = json.loads((ROOT / "tests/data/questions.json").read_text())

COLUMNS = (
    "window",
    "right answers",
    "right quote shown",
    "declined",
    "unanswerable declined",
    "verified citations",
    "turns",
    "masked at the end",
    "prompt tokens read",
)


@dataclass
class Outcome:
    """What one question came to."""

    right: bool
    quoted: bool
    told: bool
    verified: int
    turns: int
    masked: int
    prompt_tokens: int


class Session:
    """An engine in this process over a throw-away data folder, asked one thing at a time."""

    def __init__(self, home: str) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.engine = Engine(load_settings({"data_dir": home, "library": "guide"}), self.events.put)

    def until(self, *kinds: type[Event]) -> list[Event]:
        got: list[Event] = []
        while not got or not isinstance(got[-1], kinds):
            event = self.events.get(timeout=600)
            if isinstance(event, Failed):
                raise SystemExit(f"{event.error}: {event.message}")
            got.append(event)
        return got

    def ask(self, question: dict[str, Any], policy: Policy) -> Outcome:
        self.engine.handle(Ask(question["question"], policy=policy, library="guide"))
        events = self.until(RunEnded)
        answer = next((e for e in events if isinstance(e, AnswerReady)), AnswerReady("", told=False))
        quotes = " ".join(c.quote for e in events if isinstance(e, EvidenceChosen) for c in e.evidence)
        last = next((e.decisions for e in reversed(events) if isinstance(e, Decided)), ())
        return Outcome(
            right=answer.told and _holds(question, answer.text.split("\n\n")[0]),
            quoted=answer.told and _holds(question, quotes),
            told=answer.told,
            verified=sum(isinstance(e, CitationChecked) and e.citation.state == "verified" for e in events),
            turns=sum(isinstance(e, TurnEnded) for e in events),
            masked=sum(decision.state == "masked" for decision in last),
            prompt_tokens=sum(
                e.timings.prompt_tokens - e.timings.reused_tokens for e in events if isinstance(e, TurnEnded)
            ),
        )


def _holds(question: dict[str, Any], text: str) -> bool:
    folded = " ".join(text.lower().split())
    return any(" ".join(answer.lower().split()) in folded for answer in question.get("answers", []))


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        session = Session(home)
        session.engine.handle(IndexPaths((str(DOCS),), library="guide"))
        session.until(IndexEnded)
        found = 0
        for question in QUESTIONS["questions"]:
            session.engine.handle(Search(question["question"], library="guide", limit=5))
            results = session.until(SearchResults)[-1]
            assert isinstance(results, SearchResults)
            hit = any(
                h.uri.endswith(question["path"].split("/")[-1]) and question["heading"] in h.heading
                for h in results.hits
            )
            found += hit
            if not hit:
                print(f"not in the top 5: {question['question']}", file=sys.stderr)
        print(f"Right section in the top 5: {found} of {len(QUESTIONS['questions'])}\n")
        print("| " + " | ".join(COLUMNS) + " |")
        print("|---" * len(COLUMNS) + "|")
        for label, window in (("4", 4), ("off", 0)):
            outcomes = [session.ask(question, Policy(window)) for question in QUESTIONS["questions"]]
            honest = [session.ask(question, Policy(window)) for question in QUESTIONS["unanswerable"]]
            if "-v" in sys.argv:
                for question, outcome in zip(QUESTIONS["questions"], outcomes, strict=True):
                    print(outcome, question["question"], file=sys.stderr)
            total = len(outcomes)
            print(
                f"| {label} | {sum(o.right for o in outcomes)}/{total} | {sum(o.quoted for o in outcomes)}/{total}"
                f" | {sum(not o.told for o in outcomes)}/{total} | {sum(not o.told for o in honest)}/{len(honest)}"
                f" | {sum(o.verified for o in outcomes)} | {sum(o.turns for o in outcomes)} | {sum(o.masked for o in outcomes)}"
                f" | {sum(o.prompt_tokens for o in outcomes):,} |"
            )
        session.engine.close()


if __name__ == "__main__":
    main()
