from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.context.reference import BROWSER_TOOLS, MARKER, Dialect, mask_messages, placeholder

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "masking.json").read_text(encoding="utf-8"))

Messages = list[dict[str, Any]]


def changed(before: Messages, after: Messages) -> list[int]:
    return [place for place, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_what_the_papers_own_code_did(vector: dict[str, Any]) -> None:
    messages = vector["messages_in"]
    given_to_it = copy.deepcopy(messages)
    result = mask_messages(messages, vector["k"], vector["error_tool_call_ids"], vector["format"])
    assert result == vector["messages_out"]
    assert changed(messages, result) == vector["masked_indices"]
    assert json.dumps(result) == json.dumps(vector["messages_out"]), "keys keep their order"
    assert messages == given_to_it, "the input is untouched"


# ── the rules, one by one ────────────────────────────────────────────────────────────────────────


def call(id: object = "1", name: object = "browser.search", arguments: object = None) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def said(*calls: object) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "tool_calls": list(calls)}


def got(content: object, id: object = "1") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": content}


def asked(tool: str = "browser.search", text: str = "") -> dict[str, Any]:
    return {"role": "assistant", "recipient": tool, "content": [{"type": "text", "text": text}]}


def returned(content: object, tool: str = "browser.search") -> dict[str, Any]:
    return {"role": "tool", "name": tool, "content": content}


NEWER = [said(call("newer")), got("newer", "newer")]
NEWER_HARMONY = [asked(), returned("newer")]


def in_openai(content: object, arguments: object = None) -> Any:
    """What becomes of a result that is outside the window."""
    return mask_messages([said(call(arguments=arguments)), got(content), *NEWER], 1)[1]["content"]


def in_harmony(content: object, text: str = "") -> Any:
    return mask_messages([asked(text=text), returned(content), *NEWER_HARMONY], 1, (), "harmony")[1]["content"]


STUB = f"{MARKER} tool=browser.search | args: "


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"query": "a", "topn": 5}, "query='a', topn=5"),
        ({}, "no args"),
        (None, "no args"),
        ([1, 2], "no args"),
        (7, "no args"),
        ('{"query": "a", "deep": true}', "query='a', deep=True"),
        ("{}", "no args"),
        ("null", "no args"),
        ("[1, 2]", "no args"),
        ('"text"', "no args"),
        ("not json", "raw='not json'"),
        ("", "raw=''"),
        ("[" * 100_000, "raw='" + "[" * 79),
        ({"a": "x" * 200, "b": ["y" * 200]}, "a='" + "x" * 79 + ", b=['" + "y" * 78),
    ],
)
def test_arguments_in_an_openai_placeholder(arguments: object, shown: str) -> None:
    assert in_openai("text", arguments) == STUB + shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [('{"query": "a"}', "query='a'"), ("{}", "no args"), ("", "no args"), ("[1]", "raw=[1]"), ("{bad", "raw='{bad'")],
)
def test_arguments_in_a_harmony_placeholder(text: str, shown: str) -> None:
    assert in_harmony("text", text) == STUB + shown


ERRORS = [
    "Error executing browser.open: x",
    "Error rendering browser.scroll result",
    " \n\tError executing browser.search",
    "Error rendering tool browser.find",
    "Error executing " + "x" * (80 - 16 - len("browser.open")) + "browser.open",
    "Error: Invalid arguments for function 'open'",
    "An unexpected error occurred while executing function 'find'",
    '{"error": "x"}',
    '  {"error": {"a": 1}, "b": 2}\n',
]
NO_ERRORS = [
    "Error executing python: x",
    "Error executing " + "x" * (81 - 16 - len("browser.open")) + "browser.open",
    "error executing browser.open",
    "The Error executing browser.open",
    "Error: invalid arguments for function",
    "Tool x not available",
    '{"errors": 1}',
    '{"error"',
    '{"error": 1} and more',
    '{ "error": 1}',
    '{"error": ' + "[" * 100_000,
    "",
]


@pytest.mark.parametrize("text", ERRORS)
def test_texts_that_read_as_errors_are_never_masked(text: str) -> None:
    assert in_openai(text) == text
    assert in_harmony(text) == text
    assert in_harmony([{"type": "text", "text": text}]) == [{"type": "text", "text": text}]


@pytest.mark.parametrize("text", NO_ERRORS)
def test_texts_that_do_not_read_as_errors_are_masked(text: str) -> None:
    assert in_openai(text).startswith(STUB)
    assert in_harmony(text).startswith(STUB)


@pytest.mark.parametrize("text", [f"{STUB}no args", f"a page that says {MARKER}", "[Auto-archived | old] x"])
def test_what_is_masked_stays_as_it_is(text: str) -> None:
    assert in_openai(text) == text
    assert in_harmony(text) == text


@pytest.mark.parametrize("text", ["[auto-archived browser result]", " [Auto-archived | old] x", "[Auto-archived] x"])
def test_what_only_resembles_a_placeholder_is_masked(text: str) -> None:
    assert in_openai(text).startswith(STUB)
    assert in_harmony(text).startswith(STUB)


def test_content_that_is_no_string_is_left_alone_in_openai_and_read_in_harmony() -> None:
    parts = [{"type": "text", "text": "a"}, "junk", {"type": "image"}, {"type": "text", "text": "b"}]
    assert in_openai(parts) == parts
    assert in_openai(None) is None
    assert in_harmony(parts).startswith(STUB)


@pytest.mark.parametrize("junk", [None, "text", 3, [], {}, {"id": "1"}, {"id": "1", "function": "browser.search"}])
def test_calls_that_are_none_are_passed_over(junk: object) -> None:
    messages = [said(junk), got("text"), said(call("2")), got("text", "2"), *NEWER]
    assert changed(messages, mask_messages(messages, 1)) == [3]
    assert mask_messages(messages, 2) == messages, "two turns count"


@pytest.mark.parametrize("calls", [None, {}, "browser.search", 3])
def test_a_message_whose_calls_are_no_list_makes_none(calls: object) -> None:
    messages = [{"role": "assistant", "content": "", "tool_calls": calls}, got("text"), *NEWER]
    assert mask_messages(messages, 1) == messages


def test_only_assistants_call_and_only_tools_return() -> None:
    messages = [
        {"role": "user", "tool_calls": [call()]},
        got("text"),
        {"role": "user", "tool_call_id": "newer"},
        *NEWER,
    ]
    assert mask_messages(messages, 1) == messages


def test_the_last_call_with_an_id_decides_even_if_it_is_no_browser_call() -> None:
    messages = [said(call("1")), got("text"), *NEWER, said(call("1", "python"))]
    assert mask_messages(messages, 1) == messages


def test_a_known_error_is_kept_and_its_turn_does_not_count() -> None:
    messages = [said(call("1")), got("one"), said(call("2")), got("two", "2"), said(call("3")), got("three", "3")]
    assert changed(messages, mask_messages(messages, 1, ["3"])) == [1]
    assert changed(messages, mask_messages(messages, 1, ["1"])) == [3]


def test_in_harmony_a_turn_is_the_message_nearest_before_a_good_result() -> None:
    messages = [
        asked(),
        returned("a"),
        asked(),
        returned("b"),
        asked(),
        returned("Error executing browser.open: x"),
        asked(),
    ]
    assert changed(messages, mask_messages(messages, 1, (), "harmony")) == [1], "neither error nor pending call counts"
    assert mask_messages(messages, 2, (), "harmony") == messages
    together = [asked(), returned("old"), asked(), asked(), returned("a"), returned("b")]
    assert changed(together, mask_messages(together, 1, (), "harmony")) == [1], "two results, one turn"
    assert mask_messages(together, 2, (), "harmony") == together


def test_in_harmony_each_tool_answers_its_own_latest_call() -> None:
    messages = [
        asked("browser.open", '{"id": 1}'),
        asked("browser.find", '{"pattern": "p"}'),
        asked("browser.open", '{"id": 2}'),
        returned("Error executing browser.open: x", "browser.open"),
        returned("page", "browser.open"),
        returned("matches", "browser.find"),
        returned("nobody asked", "browser.find"),
        *NEWER_HARMONY,
    ]
    result = mask_messages(messages, 1, (), "harmony")
    assert [result[place]["content"].partition("args: ")[2] for place in (4, 5, 6)] == [
        "id=1",
        "pattern='p'",
        "no args",
    ]
    assert result[3] == messages[3], "an error answers a call too"


def test_a_result_with_nobody_before_it_makes_no_turn() -> None:
    messages = [returned("early"), *NEWER_HARMONY]
    assert changed(messages, mask_messages(messages, 1, (), "harmony")) == [0]
    assert mask_messages(messages, 2, (), "harmony") == messages


def test_a_placeholder_keeps_the_order_of_the_call() -> None:
    stub = placeholder("browser.open", {"id": 2, "cursor": None})
    assert stub == "[Auto-archived browser result] tool=browser.open | args: id=2, cursor=None"


# ── for any messages ─────────────────────────────────────────────────────────────────────────────

NAMES = st.sampled_from([*BROWSER_TOOLS, "python", "browser.scroll", ""])
IDS = st.sampled_from(["1", "2", "3", "4", ""])
TEXTS = st.text(max_size=5)
CONTENTS = st.sampled_from([*ERRORS, *NO_ERRORS[:10], f"x {MARKER}", "[Auto-archived | x", "", None]) | TEXTS
ARGUMENTS = st.none() | TEXTS | st.dictionaries(TEXTS, st.integers() | TEXTS, max_size=2)
PARTS = st.lists(st.builds(lambda text: {"type": "text", "text": text}, CONTENTS) | st.just("junk"), max_size=2)

OPENAI = st.lists(
    st.builds(lambda calls: said(*calls), st.lists(st.builds(call, IDS, NAMES, ARGUMENTS) | st.none(), max_size=2))
    | st.builds(got, CONTENTS | PARTS, IDS)
    | st.just({"role": "user", "content": "more"})
    | st.builds(lambda id: {"role": "tool", "tool_call_id": id}, IDS),
    max_size=12,
)
HARMONY = st.lists(
    st.builds(asked, NAMES, st.sampled_from(["", "{", "[1]", '{"query": "a"}']))
    | st.builds(returned, CONTENTS | PARTS, NAMES)
    | st.just({"role": "assistant", "channel": "analysis", "content": "hm"})
    | st.just({"role": "user", "content": "more"}),
    max_size=12,
)
CONVERSATIONS = st.tuples(OPENAI, st.just("openai")) | st.tuples(HARMONY, st.just("harmony"))


@given(CONVERSATIONS, st.integers(1, 4), st.sets(IDS))
def test_masking_again_changes_nothing(conversation: tuple[Messages, Dialect], k: int, errors: set[str]) -> None:
    messages, dialect = conversation
    once = mask_messages(messages, k, errors, dialect)
    assert mask_messages(once, k, errors, dialect) == once
    assert mask_messages(once, k + 1, errors, dialect) == once, "nor does a wider window"


@given(CONVERSATIONS, st.integers(-3, 0), st.sets(IDS))
def test_no_window_no_change(conversation: tuple[Messages, Dialect], k: int, errors: set[str]) -> None:
    messages, dialect = conversation
    assert mask_messages(messages, k, errors, dialect) == messages


@given(CONVERSATIONS, st.integers(1, 4), st.sets(IDS))
def test_only_stale_results_change_and_only_their_content(
    conversation: tuple[Messages, Dialect], k: int, errors: set[str]
) -> None:
    messages, dialect = conversation
    result = mask_messages(messages, k, errors, dialect)
    window = [place for place, message in enumerate(messages) if message["role"] == "assistant"][-k:]
    for place in changed(messages, result):
        assert place < window[0], "at least the last k assistant messages and all after them stay"
        assert messages[place]["role"] == "tool"
        assert result[place] == messages[place] | {"content": result[place]["content"]}
        assert result[place]["content"].startswith(f"{MARKER} tool=browser.")
