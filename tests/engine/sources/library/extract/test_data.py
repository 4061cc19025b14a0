"""CSV, JSON and notebooks."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.sources.library.extract import NotTextError, Unreadable
from tests.engine.sources.library.extract.files import extract, outline, page_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=40,
)


@pytest.mark.parametrize(
    ("data", "trail"),
    [
        (b"Name,Age\nAda,36\n", ("Name | Age",)),
        (b'"Full name"\tAge\nAda\t36\n', ("Full name | Age",)),
        (b"Name;Born\nAda;1815\n", ("Name | Born",)),
        (b"Ada,36\nBob,40\n", ()),
        (b"one\ntwo\n", ()),
        (b"a,,b\n", ()),
        (b"a,a\n", ()),
    ],
)
def test_the_names_of_columns_stand_over_every_row(data: bytes, trail: tuple[str, ...]) -> None:
    document = extract("csv", data)
    assert document.text == data.decode()
    assert [each.trail for each in document.sections] == [trail]


def test_csv_of_other_encodings_and_endless_lines() -> None:
    assert extract("csv", "Größe,Straße\r\n1,2\r\n".encode("utf-16")).text == "Größe,Straße\n1,2\n"
    assert len(extract("csv", b"x," * 4_000_000).text) == 8_000_000
    with pytest.raises(NotTextError, match="binary"):
        extract("csv", b"a,b\n\x00\x01,2\n")


def test_json_that_people_can_read_stays_as_it_is() -> None:
    text = '{\n  "name": "Ada",\n  "born": 1815.0\n}\n'
    assert extract("json", text.encode()).text == text


def test_json_on_one_line_is_laid_out() -> None:
    text = extract(
        "json", json.dumps({"people": [{"name": f"Ada {number}", "born": 1815} for number in range(50)]}).encode()
    ).text
    lines = text.split("\n")
    assert lines[0] == "{" and lines[1] == '  "people": ['
    assert '"name": "Ada 49"' in text and all(len(line) < 150 for line in lines)
    assert len(json.loads(text)["people"]) == 50


@given(VALUES)
def test_laying_out_changes_no_value(value: object) -> None:
    text = extract("json", json.dumps([value, "x" * 600]).encode()).text
    try:
        shown = json.loads(text, strict=False)
    except ValueError:
        pytest.fail(f"no JSON any more: {text[:200]}")
    assert clean_values(shown) == clean_values([value, "x" * 600])


def clean_values(value: object) -> object:
    """A value with every character that is not kept as it is taken out."""
    from engine.clean import clean

    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [clean_values(each) for each in value]
    if isinstance(value, dict):
        return {clean(key): clean_values(each) for key, each in value.items()}
    return value


def test_escaped_letters_are_spelled_so_that_they_are_found() -> None:
    made = rb'{"name": "caf\u00e9 \ud83d\ude00 \u001b[31m \u202e \"\u0022\\u00e9 \\\u00e9 \ud800"}'
    assert extract("json", made).text == '{"name": "café 😀 \\u001b[31m \\u202e \\"\\u0022\\\\u00e9 \\\\é \ufffd"}'


def test_json_lines_keep_their_numbers() -> None:
    made = "".join(json.dumps({"n": number, "text": "é" * 600}) + "\n" for number in range(5)).encode()
    lines = extract("jsonl", made).text.split("\n")
    assert len(lines) == 6 and lines[3].startswith('{"n": 3, "text": "éé')


NO_JSON = {"brackets": "[" * 100_000, "keys": '{"a":' * 100_000, "strings": '"\\' * 200_000, "quotes": '"' * 300_001}
NO_NOTEBOOK = {
    "object": b"{}",
    "list": b"[1]",
    "words": b"words",
    "deep": b"[" * 100_000,
    "number": b"1" * 5000,
    "nothing": b"",
}


@pytest.mark.parametrize("text", NO_JSON.values(), ids=NO_JSON)
def test_json_that_is_none_is_still_text(text: str) -> None:
    assert extract("json", text.encode()).text.strip()


def notebook(*cells: dict[str, object], **more: object) -> bytes:
    return json.dumps(
        {"nbformat": 4, "metadata": {"kernelspec": {"language": "python"}}, "cells": cells, **more}
    ).encode()


def code(source: str, *outputs: dict[str, object]) -> dict[str, object]:
    return {"cell_type": "code", "source": source.splitlines(keepends=True), "outputs": outputs}


def test_a_notebook_with_what_it_printed() -> None:
    made = notebook(
        {"cell_type": "markdown", "source": ["# Oil\n", "\n", "How much it burns."]},
        code("print(1)\n", {"output_type": "stream", "name": "stdout", "text": ["1\n"]}),
        {"cell_type": "markdown", "source": "## Cost"},
        code(
            "table",
            {
                "output_type": "execute_result",
                "data": {"text/plain": ["  a"], "text/html": "<table><tr><td>1<td>2</table>"},
            },
        ),
        code(
            "boom",
            {"output_type": "error", "ename": "ValueError", "evalue": "too \x1b[31mhot\x1b[0m", "traceback": ["..."]},
        ),
        {"cell_type": "raw", "source": "raw text"},
    )
    document = extract("notebook", made)
    assert document.text.split("\n") == [
        *("# Oil", "", "How much it burns.", "", "```python", "print(1)", "```", "", "Output:", "1", "", "## Cost", ""),
        *("```python", "table", "```", "", "Output:", "1 | 2", "", "```python", "boom", "```", "", "Output:"),
        *("ValueError: too hot", "", "raw text", ""),
    ]
    assert document.title == "Oil"
    assert outline(document) == [("Oil", "# Oil"), ("Oil > Cost", "## Cost")]
    assert [page_of(document, words) for words in ("burns", "print", "Cost", "1 | 2", "boom", "raw text")] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]


def test_pictures_and_endless_prints_are_left_out_and_told() -> None:
    picture = base64.b64encode(bytes(3_000_000)).decode()
    made = notebook(
        code("plot()", {"output_type": "display_data", "data": {"image/png": picture, "text/plain": "<Figure>"}}),
        code("run()", {"output_type": "stream", "text": "line\n" * 1_000_000}),
    )
    text = extract("notebook", made).text
    assert len(text) < 12_000
    assert "<Figure>\n[left out: image/png of 3,000 kB]" in text
    assert "[left out: 4,989,999 more characters]" in text


def test_notebooks_of_the_third_format() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Oil"},
        {
            "cell_type": "code",
            "language": "python",
            "input": "burn()",
            "outputs": [{"output_type": "pyout", "text": "ash"}],
        },
    ]
    made = json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}).encode()
    assert extract("notebook", made).text == "## Oil\n\n```\nburn()\n```\n\nOutput:\nash\n"


def test_an_empty_notebook_is_empty() -> None:
    assert extract("notebook", notebook()).text == ""


@pytest.mark.parametrize("data", NO_NOTEBOOK.values(), ids=NO_NOTEBOOK)
def test_what_is_no_notebook_is_told(data: bytes) -> None:
    with pytest.raises(Unreadable, match="no Jupyter notebook"):
        extract("notebook", data)


@given(
    st.dictionaries(
        st.sampled_from(["cell_type", "source", "outputs", "level", "input"]),
        VALUES | st.sampled_from(["code", "heading"]),
    )
)
def test_strange_cells_do_no_harm(cell: dict[str, object]) -> None:
    extract("notebook", notebook(cell, {"cell_type": "code", **cell}, metadata=list(cell.values())))
