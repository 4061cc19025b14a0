from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import FilterError
from engine.sources.library import Library
from engine.sources.library.filters import Filters
from engine.sources.library.query import holds, parse
from engine.sources.library.search import fuse
from tests.engine.sources.library.hashing import HashEmbedder

DOCS = Path(__file__).parents[4] / "docs"

# ── fusing ───────────────────────────────────────────────────────────────────────────────────────


def test_fusion_prefers_what_both_lists_like() -> None:
    fused = fuse({"a": 1, "b": 2, "c": 3}, {"b": 1, "d": 2})
    assert next(iter(fused)) == "b" and set(fused) == {"a", "b", "c", "d"}
    assert fused["b"] == pytest.approx(1 / 12 + 1 / 11)
    assert list(fuse({"y": 1}, {"x": 1})) == ["x", "y"], "equal scores come in a fixed order"


RANKS = st.lists(st.sampled_from("abcdefgh"), unique=True).map(lambda ids: {each: n for n, each in enumerate(ids, 1)})


@given(st.lists(RANKS, max_size=4))
def test_fusion_is_sorted_complete_and_blind_to_the_order_it_is_given(
    lists: list[dict[str, int]],
) -> None:
    fused = fuse(*lists)
    assert set(fused) == {each for ranks in lists for each in ranks}
    pairs = [(-score, each) for each, score in fused.items()]
    assert pairs == sorted(pairs)
    shuffled = [dict(reversed(ranks.items())) for ranks in lists]
    assert fuse(*shuffled) == fused


@given(RANKS, RANKS)
def test_whoever_is_first_in_every_list_is_first(one: dict[str, int], other: dict[str, int]) -> None:
    first = {"winner": 1} | {each: place + 1 for each, place in one.items()}
    second = {"winner": 1} | {each: place + 1 for each, place in other.items()}
    assert next(iter(fuse(first, second))) == "winner"


@given(RANKS.filter(bool))
def test_one_list_alone_keeps_its_order(ranks: dict[str, int]) -> None:
    assert list(fuse(ranks, {})) == sorted(ranks, key=lambda each: ranks[each])


# ── words ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize(
    "query",
    [
        "",
        "  ",
        "the",
        "foo AND (bar",
        '"',
        "a' OR 1=1 --",
        "\x00\x1b",
        "[/x]",
        "日本語",
        "x" * 5000,
        "%_.md",
        "a\\b.md",
        "'.md",
    ],
)
def test_no_query_is_an_error(library: Library, notes: Path, query: str, quoted: bool) -> None:
    library.index([notes])
    query = f'"{query}"' if quoted else query
    assert len(library.search(query, 5)) <= 5
    assert library.search(query, 0) == ()


@given(st.text(min_size=1, max_size=30))
@settings(max_examples=40, deadline=None)
def test_no_phrase_is_an_error(guide: Library, text: str) -> None:
    query = f'"{text}"'
    hits = guide.find(query).hits
    assert all(holds(phrase).search(hit.text) for hit in hits for phrase in parse(query).phrases)


def test_words_are_found_by_their_stems_parts_and_without_accents(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("Calling set_num_threads(3) in the Café.\n\n日本語の文書を検索する\n")
    library.index([path])
    for query in ("calls", "threads", "set_num_threads", "cafe", "検索"):
        assert library.search(query)[0].text_rank == 1, query


def test_a_quote_in_a_file_name_is_just_a_character(library: Library, tmp_path: Path) -> None:
    path = tmp_path / 'it\'s "quoted"; --.txt'
    path.write_text("The bell hangs below the gallery.")
    library.index([path])
    assert library.search("bell")[0].uri == str(path)


# ── the guide as a library ───────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    made = Library(tmp_path_factory.mktemp("libraries"), embedder=HashEmbedder())
    made.index([DOCS])
    yield made
    made.close()


def test_a_hit_tells_how_it_was_found(guide: Library) -> None:
    (best, *others) = guide.find("What happens to deleted files?", 5).hits
    assert best.path == "docs/library.md" and best.heading.endswith("What happens to deleted files")
    assert best.text_rank == 1 and best.text_score > 0
    assert best.vector_rank > 0 and 0 < best.similarity <= 1
    assert all(best.score >= other.score for other in others)
    assert not best.exact_rank, "no name was asked for"


def test_the_same_question_has_the_same_answer(guide: Library) -> None:
    assert guide.find("masked observations of a window") == guide.find("masked observations of a window")


def test_equal_hits_come_in_the_same_order_however_they_were_written(library: Library, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.txt" for number in range(8)]
    for number, path in enumerate(paths):
        path.write_text(f"oil burns a{number} b{number} c{number} d{number} e{number}\n")
    library.index(paths)
    before = [(hit.uri, hit.text_rank, hit.vector_rank) for hit in library.find("oil").hits]
    for path in (paths[5], paths[2]):
        path.write_text(path.read_text() + "and more of it\n")
        library.index()
        path.write_text(path.read_text().replace("and more of it\n", ""))
        library.index()
    assert [(hit.uri, hit.text_rank, hit.vector_rank) for hit in library.find("oil").hits] == before


def test_lines_of_a_hit_are_lines_of_the_document(guide: Library) -> None:
    for query in ("masking window", "index files", "ctrl+p palette", "sessions journal export"):
        for hit in guide.search(query):
            lines = (DOCS / Path(hit.uri).name).read_text().splitlines()[hit.first - 1 : hit.last]
            assert "\n".join(lines).split() == hit.text.split()


@pytest.mark.parametrize(
    "phrase",
    ["deleted from disk", "a clear\nerror", "Hidden files", "never the window", "size limit", "`index`", "it is the"],
)
def test_a_phrase_is_found_as_it_is_written_and_nothing_else_is(guide: Library, phrase: str) -> None:
    pattern = holds(phrase)
    texts = [path.read_text() for path in DOCS.glob("*.md")]
    hits = guide.find(f'"{phrase}"', 100).hits
    assert bool(hits) == any(pattern.search(text) for text in texts)
    assert all(pattern.search(hit.text) for hit in hits)
    assert {Path(hit.uri).read_text() for hit in hits} == {text for text in texts if pattern.search(text)}


@pytest.mark.parametrize(
    "name",
    ["--rebuild", "node_modules", "library.md", "git-commit", "deepsearch-tui index", "C++", ".bashrc", "os.path"],
)
def test_the_table_and_the_engine_agree_on_what_holds_a_name(library: Library, tmp_path: Path, name: str) -> None:
    lines = [
        f"{name}",
        f"({name})",
        f"x{name}",
        f"{name}s",
        f"{name}-x",
        f"x-{name}",
        f"pass -{name} now",
        f"{name}- or",
        name.upper(),
        name.replace(" ", "\n"),
        name[:-1],
        f"'{name}'",
        f"é{name}",
    ]
    for number, line in enumerate(lines):
        (tmp_path / f"{number:02}.txt").write_text(f"{line}\n")
    library.index([tmp_path / f"{number:02}.txt" for number in range(len(lines))])
    found = {Path(hit.uri).read_text() for hit in library.find(f'"{name}"', 100).hits}
    assert {_words(each) for each in found} == {_words(each) for each in lines if holds(name).search(each)}


def _words(text: str) -> frozenset[str]:
    """Of two texts with the same words one is shown."""
    return frozenset(re.findall(r"\w+", text.lower()))


def test_two_phrases_must_both_be_there(guide: Library) -> None:
    both = guide.find('"hidden files" "symbolic link"')
    assert both.hits == () and "“hidden files” and “symbolic link”" in both.note
    assert guide.find('"hidden files" symbolic link').hits[0].heading.endswith("Which files are skipped")


def test_a_phrase_of_nothing_but_common_words_is_found(
    library: Library, tmp_path: Path, embedder: HashEmbedder
) -> None:
    embedder.missing = True  # by words alone, and the index holds none of these
    (tmp_path / "play.txt").write_text("To be, or not to be, that is the question.\n")
    (tmp_path / "other.txt").write_text("To be it is not.\n")
    library.index([tmp_path / "play.txt", tmp_path / "other.txt"])
    (hit,) = library.find('"or not to be"').hits
    assert hit.uri.endswith("play.txt")


def test_who_cannot_be_told_gets_the_words_of_a_phrase(guide: Library) -> None:
    assert guide.find('"removed from the disk drive"').hits == ()
    assert guide.search('"removed from the disk drive"')


def test_a_name_comes_before_what_only_has_its_parts(library: Library, tmp_path: Path) -> None:
    parts = "threads num set " * 3
    for number in range(30):
        (tmp_path / f"{number:02}.txt").write_text(f"{parts} {number} {'set num threads ' * (number % 4)}\n")
    long = "words about something else entirely " * 12
    (tmp_path / "right.txt").write_text(f"{long} and set_num_threads here, {long}\n")
    library.index([tmp_path])
    for query in ("set_num_threads", "What does `set_num_threads` do?"):
        hit = library.find(query).hits[0]
        assert (Path(hit.uri).name, hit.exact_rank) == ("right.txt", 1)


def test_a_name_among_hundreds_with_its_parts_is_found(library: Library, tmp_path: Path) -> None:
    for number in range(260):
        (tmp_path / f"{number:03}.txt").write_text(f"get request {number} get request get\n")
    (tmp_path / "right.txt").write_text("words and " * 80 + "get_request" + " and words" * 80)
    library.index([tmp_path])
    first, *others = library.find("get_request", 10).hits
    assert Path(first.uri).name == "right.txt" and first.exact_rank == 1
    assert others and all(not hit.exact_rank for hit in others)


def test_where_a_name_is_all_that_is_asked_what_holds_it_comes_first(library: Library, tmp_path: Path) -> None:
    for number in range(60):
        (tmp_path / f"{number:02}.txt").write_text("A git commit. A commit of git.\n")
    (tmp_path / "right.txt").write_text("words and " * 80 + "git-commit" + " and words" * 80)
    library.index([tmp_path])
    first, second, *_ = library.find("git-commit").hits
    assert (Path(first.uri).name, first.text_rank, first.vector_rank) == ("right.txt", 0, 0)
    assert (second.text_rank, second.vector_rank) == (1, 1)
    named = {Path(hit.uri).name for hit in library.find("what is a git-commit of git").hits[:1]}
    assert named != {"right.txt"}, "other words have their say where there are some"


def test_a_name_inside_a_longer_one_is_found_by_words_alone(
    library: Library, tmp_path: Path, embedder: HashEmbedder
) -> None:
    embedder.missing = True
    (tmp_path / "a.txt").write_text("Call os.path.join(a, b) to join them.\n")
    (tmp_path / "b.txt").write_text("The path of the os is long.\n")
    library.index([tmp_path / "a.txt", tmp_path / "b.txt"])
    assert Path(library.find("os.path").hits[0].uri).name == "a.txt"


def test_a_phrase_in_very_many_chunks_is_ranked_like_any_words(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.sources.library.search.MOST_HELD", 4)
    for number in range(12):
        sign = "gull" if number == 7 else f"sign{number}"
        (tmp_path / f"{number}.txt").write_text(f"The old lamp has a {sign} on it.\n")
    (tmp_path / "other.txt").write_text("A lamp that is old has a gull, a gull.\n")
    library.index([tmp_path])
    hits = library.find('"old lamp" gull', 20).hits
    assert len(hits) == 12 and "gull" in hits[0].text


@pytest.mark.parametrize("query", ["keys.md", "docs/keys.md", "KEYS.md", "what is in keys.md?"])
def test_the_name_of_a_file_finds_its_beginning(guide: Library, query: str) -> None:
    hit = guide.find(query).hits[0]
    assert (hit.path, hit.first, hit.exact_rank) == ("docs/keys.md", 1, 1)


def test_no_section_crowds_the_list_and_neighbours_are_one_hit(library: Library, tmp_path: Path) -> None:
    words = "lamp oil wick glass brass lens tower keeper dusk dawn storm fog bell horn rope"
    blocks = [" ".join(f"{word}{number}" for word in words.split()) + " shine." for number in range(60)]
    (tmp_path / "long.md").write_text("# Shine\n\n" + "\n\n".join(blocks) + "\n")
    (tmp_path / "other.md").write_text("# Elsewhere\n\nThere they shine, too.\n")
    library.index([tmp_path / "long.md", tmp_path / "other.md"])
    hits = library.find("shine").hits
    assert [Path(hit.uri).name for hit in hits].count("long.md") <= 2
    assert any(hit.uri.endswith("other.md") for hit in hits)
    shown = [(hit.uri, line) for hit in hits for line in range(hit.first, hit.last + 1)]
    assert len(shown) == len(set(shown)), "no line is shown twice"


def test_small_neighbours_are_one_hit(library: Library, tmp_path: Path) -> None:
    first, second = (" ".join(f"{sign}{number}" for number in range(120)) for sign in "ab")
    (tmp_path / "a.md").write_text(f"# Oil\n\nThe first oil. {first}\n\nThe second oil. {second}\n\nA third oil.\n")
    library.index([tmp_path / "a.md"])
    (hit,) = library.find("oil").hits
    assert (hit.chunks, hit.first, hit.last) == (2, 1, 7)
    assert hit.text == (tmp_path / "a.md").read_text().strip()


# ── filters ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def mixed(library: Library, notes: Path) -> Library:
    """The notes, with one more of another kind; the boat is old."""
    (notes / "page.html").write_text("<h1>Page</h1><p>The lamp is made of brass.</p>")
    old = time.time() - 40 * 86400
    for path in notes.rglob("*"):
        os.utime(path, (old, old) if path.name == "boat.rst" else None)
    library.index([notes])
    return library


def names(library: Library, query: str, filters: Filters) -> set[str]:
    return {Path(hit.uri).name for hit in library.find(query, 50, filters).hits}


def test_each_filter_keeps_to_its_documents(mixed: Library) -> None:
    everything = "lamp tower boat"
    assert names(mixed, everything, Filters()) == {"lamp.md", "tower.txt", "boat.rst", "page.html"}
    assert names(mixed, everything, Filters(paths=("*.md",))) == {"lamp.md"}
    assert names(mixed, everything, Filters(paths=("notes/far",))) == {"boat.rst"}
    assert names(mixed, everything, Filters(paths=("!far",))) == {"lamp.md", "tower.txt", "page.html"}
    assert names(mixed, everything, Filters(types=("html", "txt"))) == {"page.html", "tower.txt"}
    assert names(mixed, everything, Filters(since=time.time() - 86400)) == {"lamp.md", "tower.txt", "page.html"}
    assert names(mixed, everything, Filters(("!far",), ("markdown", "rst"))) == {"lamp.md"}


def test_filters_hold_for_phrases_names_and_files_too(mixed: Library) -> None:
    assert names(mixed, '"the lamp"', Filters(types=("md",))) == {"lamp.md"}
    assert names(mixed, "lamp.md", Filters(types=("html",))) == {"page.html"}
    assert names(mixed, '"whale oil"', Filters(types=("html",))) == set()


def test_what_the_filters_rule_out_is_said(mixed: Library) -> None:
    assert (
        mixed.find("lamp", 5, Filters(paths=("nowhere/*",))).note
        == "The filters leave none of 4 documents. Try wider ones."
    )
    with pytest.raises(FilterError, match="'pdf'"):
        mixed.find("lamp", 5, Filters(types=("pdf",)))


def test_a_file_changed_a_moment_before_it_was_read_is_new(library: Library, notes: Path) -> None:
    library.index([notes])  # its time is too fresh to be relied on, and not noted
    assert names(library, "lamp", Filters(since=time.time() - 600)) >= {"lamp.md"}


def test_an_empty_library_says_what_to_do(open_library: Callable[[], Library]) -> None:
    assert "deepsearch-tui index PATH" in open_library().find("lamp").note


# ── while vectors are on their way ───────────────────────────────────────────────────────────────


def test_without_vectors_words_names_and_phrases_are_found(
    library: Library, notes: Path, embedder: HashEmbedder
) -> None:
    embedder.missing = True
    library.index([notes])
    (hit,) = library.find("whale oil").hits
    assert (hit.text_rank, hit.vector_rank, hit.similarity) == (1, 0, 0.0)
    assert library.find('"second Thursday"').hits and library.find("lamp.md").hits[0].exact_rank == 1


def test_what_is_not_embedded_yet_is_not_pushed_behind_what_is(
    library: Library, notes: Path, embedder: HashEmbedder
) -> None:
    for number in range(12):
        (notes / f"{number}.txt").write_text(f"Oil {number} is stored, and the boat brings oil.\n")
    library.index([notes])
    embedder.missing = True
    (notes / "new.md").write_text("# Whale\n\nWhale oil comes from whales.\n")
    library.index([notes])
    embedder.missing = False
    hits = library.find("whale oil from whales").hits
    assert Path(hits[0].uri).name == "new.md"
