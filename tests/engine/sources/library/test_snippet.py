from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.sources.library.snippet import Snippet, snippet

TEXT = (
    "# Lamp\n\nThe tower is of basalt.\nThe lamp burns whale oil, and is lit\nby the keeper at dusk.\n"
    + "Gulls cry. " * 40
)


def test_the_lines_with_most_of_the_query_are_shown() -> None:
    found = snippet(TEXT, 10, "Who lights the burning lamp with oils?", 60)
    assert found.line == 12 or found.line == 13
    assert "lamp burns whale oil" in found.text
    assert found.text.startswith("… ") and found.text.endswith(" …")


def test_a_phrase_counts_for_more_than_words() -> None:
    text = "keeper and dusk and keeper.\n" + "nothing here\n" * 30 + "by the keeper at dusk\n" + "nothing here\n" * 30
    assert "by the keeper at dusk" in snippet(text, 1, '"the keeper at dusk"', 80).text
    assert snippet(text, 1, '"the keeper at dusk"', 80).line > 25


def test_a_name_is_shown_whole() -> None:
    text = "set and num and threads are words.\n" + "filler line\n" * 40 + "Call set_num_threads(3) first.\n"
    assert "set_num_threads(3)" in snippet(text, 1, "set_num_threads", 60).text


def test_without_the_query_it_is_the_beginning() -> None:
    assert snippet("All of it.", 4, "unrelated") == Snippet(4, "All of it.")
    assert snippet("", 4, "x") == Snippet(4, "")
    assert snippet("x" * 999, 1, "y", 50).text == "x" * 49 + "…"


@given(st.text(max_size=300), st.text(max_size=40), st.integers(20, 120))
def test_a_snippet_is_short_of_the_text_and_on_one_line(text: str, query: str, width: int) -> None:
    found = snippet(text, 1, query, width)
    assert "\n" not in found.text and len(found.text) <= width + 4
    assert 1 <= found.line <= text.count("\n") + 1
    shown = found.text.removeprefix("… ").removesuffix(" …").removesuffix("…")
    assert shown in " ".join(text.split())
