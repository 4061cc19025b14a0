from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from engine import export, protocol
from engine.context import reference
from engine.protocol import (
    AnswerReady,
    CitationChecked,
    Decided,
    Decision,
    Event,
    Observation,
    Observed,
    Policy,
    RunEnded,
    RunStarted,
    TurnEnded,
    TurnStarted,
)
from tests.engine.story import CITED, FIRST, MODEL, TIMINGS, WHOLE, stamped


def test_jsonl_is_the_events() -> None:
    lines = export.to_jsonl(WHOLE).splitlines()
    assert tuple(protocol.decode_event(line) for line in lines) == WHOLE


# ── Markdown ─────────────────────────────────────────────────────────────────────────────────────


def test_markdown_tells_what_happened_in_order() -> None:
    text = export.to_markdown(WHOLE)
    parts = [
        "# Who was the first keeper?",
        "## Turn 1",
        "> Look it up.",
        '`search {"query": "first keeper"}`',
        "`[0] search: first keeper`",
        "## Turn 3",
        "## Answer",
        r"> The first keeper was Ada Quill \[1:L1\].",
        "**verified** `[1:L1]` Keepers, /k.md, line 1",
        "```text\nAda Quill kept the lamp.\n```",
        "# And the second?",
        "The run did not end; it can be continued.",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert "Observation 1 (masked from turn 3 on: older than 1 turn):" in text
    assert "Observation 3: `" in text, "what the model saw to the end needs no remark"
    assert "Observation 5" not in text, "the turn that was cut off is no turn"


def test_a_run_without_an_answer_says_why() -> None:
    stopped = (*FIRST[:10], RunEnded("stopped", 1, 1.0, run=1))
    assert "The run was stopped after 1 turns." in export.to_markdown(stopped)


def headings_and_more(text: str) -> list[str]:
    """The kinds of block and inline elements a reader of the Markdown would see, without plain text."""
    kinds = []
    for token in MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text):
        kinds.append(token.type)
        kinds += [child.type for child in token.children or () if child.type not in ("text", "softbreak", "hardbreak")]
    return [kind for kind in kinds if kind not in ("paragraph_open", "paragraph_close", "inline")]


def run_about(text: str) -> Sequence[Event]:
    """A run in which every piece of outside text is ``text``."""
    observation = Observation(1, "1.1", text, text, text, title=text, uri=text)
    return stamped(
        (
            RunStarted(text, Policy(), text, replace(MODEL, name=text), 5, run=1),
            TurnStarted(run=1, turn=1),
            Observed(observation, run=1, turn=1),
            TurnEnded(text, text, "stop", TIMINGS, run=1, turn=1),
            TurnStarted(run=1, turn=2),
            Decided((Decision(1, "masked", text),), run=1, turn=2),
            AnswerReady(text, run=1, turn=2),
            CitationChecked(replace(CITED, marker=text, title=text, uri=text, quote=text), run=1, turn=2),
            TurnEnded(text, text, "stop", TIMINGS, run=1, turn=2),
            RunEnded("answered", 2, 1.0, run=1, turn=2),
        )
    )


PLAIN = headings_and_more(export.to_markdown(run_about("plain words")))
HOSTILE = st.sampled_from(
    [
        *(
            "```",
            "~~~",
            "`",
            "````",
            "![x](http://a/b)",
            "[x](y)",
            "[a]:",
            "<b>",
            "<!--",
            "&amp;",
            "<http://a>",
            "~~x~~",
        ),
        *("***", "---", "===", "_x_", "\\", "x", "# H", "> ", "- ", "+ ", "1. ", "1234) ", "| a |\n|---|"),
        *("\n", "\n\n", "    code", "\t"),
    ]
)


@given(st.lists(HOSTILE, min_size=1, max_size=8).map(lambda parts: "x" + "".join(parts) + "x"))
def test_no_text_can_act_as_markdown(text: str) -> None:
    kinds = headings_and_more(export.to_markdown(run_about(text)))
    assert set(kinds) <= set(PLAIN)
    for kind in ("heading_open", "fence", "blockquote_open", "code_inline", "strong_open"):
        assert kinds.count(kind) == PLAIN.count(kind), kind


def test_a_quote_is_kept_letter_for_letter() -> None:
    quote = "```python\nprint('``` inside')\n````\n    indented"
    text = export.to_markdown((*FIRST[:-3], CitationChecked(replace(CITED, quote=quote), run=1, turn=3), *FIRST[-2:]))
    (fence,) = [token for token in MarkdownIt().parse(text) if token.type == "fence"]
    assert fence.content == quote + "\n"


# ── the paper's records ──────────────────────────────────────────────────────────────────────────


def test_a_record_has_the_fields_and_types_of_the_papers() -> None:
    ours = export.to_trajectory(stamped(FIRST))
    expected = {
        "qid": int, "question": str, "answer": str, "full_messages": list, "final_messages": list, "turn_stats": list,
        "final_messages_tokens": int, "total_input_tokens": int, "total_output_tokens": int,
        "total_cached_input_tokens_est": int, "latency_s": float, "error": type(None), "attempts": int, "status": str,
        "retrieved_urls": list,
    }  # fmt: skip
    assert {name: type(ours[name]) for name in expected} == expected
    assert set(ours["turn_stats"][0]) == {
        "round",
        "input_tokens",
        "output_tokens",
        "latency_s",
        "cached_input_tokens_est",
    }
    for message in ours["full_messages"]:
        keys = {
            "assistant": {"role", "content", "reasoning_content", "tool_calls", "parallel_tool_calls"},
            "tool": {"role", "tool_call_id", "content"},
        }.get(message["role"], {"role", "content"})
        assert set(message) == keys
    assert json.loads(json.dumps(ours)) == ours


def test_full_messages_are_whole_and_final_ones_as_the_model_last_saw_them() -> None:
    ours = export.to_trajectory(stamped(FIRST))
    full = [message["content"] for message in ours["full_messages"] if message["role"] == "tool"]
    final = [message["content"] for message in ours["final_messages"] if message["role"] == "tool"]
    assert full[0] == "[0] search: first keeper\n(0) Keepers"
    assert final[0] == "[0] search: first keeper", "masked: the header stays"
    assert final[1:] == full[1:] and reference.is_error(full[1])
    assert ours["final_messages"][-1]["content"] == "The first keeper was Ada Quill [1:L1]."
    assert [message["parallel_tool_calls"] for message in ours["full_messages"] if message["role"] == "assistant"] == [
        True,
        False,
        False,
    ]


def test_with_the_papers_stub_the_papers_own_rule_gives_the_same_final_messages() -> None:
    events = (replace(FIRST[0], policy=Policy(window=1, stub="paper")), *FIRST[1:])
    ours = export.to_trajectory(stamped(events))
    errors = {
        m["tool_call_id"] for m in ours["full_messages"] if m["role"] == "tool" and reference.is_error(m["content"])
    }
    assert reference.mask_messages(ours["full_messages"], ours["window"], errors) == ours["final_messages"]


def test_tokens_and_time_are_those_of_the_events() -> None:
    ours = export.to_trajectory(stamped(FIRST))
    assert [row["round"] for row in ours["turn_stats"]] == [1, 2, 3]
    assert ours["turn_stats"][0]["latency_s"] == 0.75
    assert (ours["total_input_tokens"], ours["total_output_tokens"], ours["total_cached_input_tokens_est"]) == (
        300,
        30,
        180,
    )
    assert (ours["final_messages_tokens"], ours["latency_s"], ours["status"]) == (100, 9.0, "success")
    assert ours["retrieved_urls"] == ["/k.md"]


def test_each_question_is_a_record_and_an_unfinished_one_keeps_its_work() -> None:
    first, second = export.to_trajectories(WHOLE)
    assert (first["qid"], second["qid"], second["status"]) == (1, 2, "fail")
    assert second["question"] == "And the second?"
    assert [message["role"] for message in second["full_messages"]][:4] == ["system", "user", "assistant", "user"]
    assert len(second["turn_stats"]) == 1
    assert export.to_trajectory(()) == {}


def test_a_policy_chosen_after_the_last_turn_does_not_change_what_it_saw() -> None:
    assert export.to_trajectory(WHOLE)["window"] == 2


@given(st.integers(0, len(WHOLE)))
def test_every_format_takes_a_session_cut_anywhere(cut: int) -> None:
    events = WHOLE[:cut]
    assert export.to_markdown(events).count("## Turn") == sum(isinstance(event, TurnEnded) for event in events)
    assert len(export.to_trajectories(events)) == len({event.run for event in events})
    assert export.to_jsonl(events).count("\n") == cut
