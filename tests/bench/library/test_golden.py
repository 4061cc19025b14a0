from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.sources.library import Library
from tests.bench.library import golden, quality
from tests.engine.sources.library.hashing import HashEmbedder

FILLER = (
    "Here it goes on about nothing in particular, as long texts do, and says {0} times that of many things again. " * 3
)


def page(number: int) -> str:
    sections = [
        (
            f"Setting up lamp {number}",
            f"The lamp of tower {number} provides light for ships at night in zone {number}.",
        ),
        (f"How do I clean lens {number}?", f"Take a cloth that was soaked in vinegar number {number} and rub it well."),
        ("Examples", f"Call lamp_light_{number}(3) when it gets dark, or else nobody sees rock {number} in time."),
    ]
    return "<title>x</title>" + "".join(
        f"<h2>{n}. {heading}</h2><p>{first} {FILLER.format(number * 10 + n)}</p>"
        for n, (heading, first) in enumerate(sections, start=1)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trees, made = tmp_path_factory.mktemp("trees"), tmp_path_factory.mktemp("made")
    for number in range(24):
        (trees / f"page{number}.html").write_text(page(number))
    (trees / "genindex.html").write_text(page(99))
    (trees / "same.html").write_text(page(3))
    golden.build(trees, made, 10_000)
    return made


def test_what_a_query_was_made_of_is_nowhere_in_what_is_searched(folder: Path) -> None:
    everything = " ".join(path.read_text() for path in (folder / "documents").rglob("*.html"))
    queries = golden.load(folder)
    assert {query.kind for query in queries} == {"heading", "asked", "sentence", "what", "identifier"}
    for query in queries:
        assert (query.text in everything) == (query.kind == "identifier"), query
    assert "Examples" not in everything, "no heading is left"
    assert not any("99" in query.text for query in queries), "pages of links are no documents"


def test_targets_hold_what_is_asked_for(folder: Path) -> None:
    for query in golden.load(folder):
        assert len(query.targets) == 1, "a page that is there twice counts once"
        number = re.findall(r"\d+", query.text)[0]
        found = [path for path in (folder / "documents").rglob("*.html") if query.targets[0] in path.read_text()]
        assert [each.stem for each in found] == [f"page{number}"]
        assert query.kind != "what" or query.text.startswith("What provides light")


def test_documents_are_split_whole_and_the_rule_gives_the_same_again(folder: Path, tmp_path: Path) -> None:
    split: dict[str, set[str]] = {}
    for query in golden.load(folder):
        (path,) = (each for each in (folder / "documents").rglob("*.html") if query.targets[0] in each.read_text())
        split.setdefault(path.name, set()).add(query.split)
    assert all(len(each) == 1 for each in split.values())
    assert {each for found in split.values() for each in found} == {"tune", "test"}


def test_each_way_of_searching_is_measured_on_every_query(folder: Path, tmp_path: Path) -> None:
    embedder = HashEmbedder()
    library = Library(tmp_path / "libraries", embedder=embedder)
    library.index([folder / "documents"])
    queries = golden.load(folder)[::8]
    outcomes = quality.measure(library, embedder, queries)
    library.close()
    for way in quality.WAYS:
        assert len(outcomes[way].seconds) == len(queries)
        assert 0 <= outcomes[way].mrr() <= outcomes[way].recall() <= 1
    assert outcomes["hybrid"].recall("identifier") == 1
    rows = quality.quality_rows(outcomes)
    assert [row[0] for row in rows] == list(quality.WAYS)
    assert quality.latency_rows(outcomes)[0][-1] == "1.00"


def test_places_are_counted_from_one() -> None:
    outcome = quality.Outcome()
    outcome.ranks["a"] += [1, 2, 0]
    outcome.ranks["b"] += [0]
    assert (outcome.recall("a"), outcome.mrr("a")) == (pytest.approx(2 / 3), pytest.approx(0.5))
    assert (outcome.recall(), outcome.mrr()) == (0.5, 0.375)
