from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sources.library.query import holds, parse


@pytest.mark.parametrize(
    ("query", "text", "phrases"),
    [
        ("plain words", "plain words", ()),
        ('the "size limit" of a file', "the size limit of a file", ("size limit",)),
        ("“curly  quotes” too", "curly quotes too", ("curly quotes",)),
        ('"one" and "two three"', "one and two three", ("one", "two three")),
        ('an "open quote', "an open quote", ()),
        ('"" " " x', "x", ()),
        ('a"b"c', "a b c", ("b",)),
    ],
)
def test_phrases_stand_in_double_quotes(query: str, text: str, phrases: tuple[str, ...]) -> None:
    parsed = parse(query)
    assert (parsed.text, parsed.phrases) == (text, phrases)


@pytest.mark.parametrize(
    "name",
    [
        "set_num_threads",
        "os.path.join",
        "no-verify",
        "--no-verify",
        "-rf",
        "notes/oil.md",
        "/etc/hosts",
        "keys.md",
        ".gitignore_global",
        "E0425",
        "ORA-00942",
        "std::vector",
        "MiniLM",
        "readFile()",
        "C++",
        "C#",
        "_private",
        "python3.11",
        "x86_64",
    ],
)
def test_names_are_seen_among_words(name: str) -> None:
    bare = name.removesuffix("()") if "." not in name else name
    assert parse(f"what does ({name}), do?").names in ((name,), (bare,))
    assert parse(name).bare


@pytest.mark.parametrize(
    "query", ["what burns?", "e.g. oil, i.e. fat", "3.14 and 1,000", "Is it? It's!", "-", "--", "…", "Oil."]
)
def test_words_are_no_names(query: str) -> None:
    assert parse(query).names == ()


def test_a_pasted_passage_has_few_names() -> None:
    assert len(parse(" ".join(f"name_{n}" for n in range(50))).names) == 4
    assert parse("a_b a_b a_b").names == ("a_b",)
    assert not parse("set_x now").bare


@given(st.text())
def test_no_query_is_an_error(query: str) -> None:
    parsed = parse(query)
    assert '"' not in parsed.text
    assert all(each in parsed.text for each in (*parsed.phrases, *parsed.names))


@pytest.mark.parametrize(
    ("name", "text", "held"),
    [
        ("size limit", "the Size\n  limit of", True),
        ("size limit", "the size limits", False),
        ("size limit", "oversize limit", False),
        ("git-commit", "see git-commit.", True),
        ("git-commit", "see git-commit-tree.", False),
        ("git-commit", "see pre-git-commit.", False),
        ("no-verify", "pass --no-verify", True),
        ("--no-verify", "pass --no-verify=1", True),
        ("os.path", "os.path.join", True),
        ("os.path", "osxpath", False),
        ("C++", "in C++11", True),
        ("a_b", "a_b_c", False),
    ],
)
def test_what_is_quoted_is_held_whole_and_not_as_a_part(name: str, text: str, held: bool) -> None:
    assert bool(holds(name).search(text)) is held
