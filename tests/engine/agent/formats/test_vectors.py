"""What the paper's own code reads in replies, and what is read here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.agent import actions
from engine.agent.actions import Answer, Malformed
from engine.agent.formats import choose, tools

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[3] / "vectors" / "toolparse.json").read_text(encoding="utf-8")
)["vectors"]


def ids(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def read(format: str, text: str) -> dict[str, Any]:
    reader = choose("", "", 0, wanted=format).reader()
    reader.feed(text)
    try:
        reply = reader.finish()
    except Malformed as error:
        return {"calls": [], "problems": [str(error)]}
    calls = [[actions.tool(each), actions.arguments(each)] for each in reply.actions if not isinstance(each, Answer)]
    found: dict[str, Any] = {"calls": calls, "problems": list(reply.problems)}
    if reply.thought:
        found["thought"] = reply.thought
    if isinstance(reply.actions[0], Answer):
        found["answer"] = reply.actions[0].text
    return found


@pytest.mark.parametrize("vector", VECTORS, ids=ids)
def test_a_reply_is_read(vector: dict[str, Any]) -> None:
    assert read(vector["format"], vector["reply"]) == vector["ours"]


@pytest.mark.parametrize("vector", [each for each in VECTORS if "why" not in each], ids=ids)
def test_where_nothing_else_is_said_it_is_read_as_the_papers_code_reads_it(vector: dict[str, Any]) -> None:
    calls, problems = [], []
    for name, arguments in vector["reference"]["calls"]:
        try:
            meant = tools.meant(tools.Written(name, arguments))
        except Malformed as error:
            problems.append(str(error))
            continue
        calls += [[actions.tool(each), actions.arguments(each)] for each in meant.actions]
    assert vector["ours"]["calls"] == calls
    assert vector["ours"]["problems"] == problems
    assert vector["ours"].get("thought", "") == vector["reference"].get("thought", "")


def test_nothing_that_cannot_be_run_is_passed_over_in_silence() -> None:
    assert all(each["ours"]["calls"] or each["ours"]["problems"] or "answer" in each["ours"] for each in VECTORS)
