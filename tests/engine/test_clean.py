from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clean import clean, clean_line


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("\x1b]52;c;SEFDSw==\x07", "␛]52;c;SEFDSw==␇"),
        ("\x1b[31mred", "␛[31mred"),
        ("a\x00b\x7fc\x08d\r", "a␀b␡c␈d␍"),
        ("\x9b31m\x85", "\ufffd31m␤"),
        ("\u202egnp.exe\u2066x\u2069", "\ufffdgnp.exe\ufffdx\ufffd"),
        ("tag\U000e0041", "tag\ufffd"),
        ("half\ud800", "half\ufffd"),
        ("one\u2028two", "one␤two"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("[/tmp/x] [link] ünï 漢字 🎉 é", "[/tmp/x] [link] ünï 漢字 🎉 é"),
        ("fam\u200dily soft\u00adhyphen", "fam\u200dily soft\u00adhyphen"),
    ],
)
def test_what_becomes_of(text: str, safe: str) -> None:
    assert clean(text) == safe


@given(st.text(alphabet=st.characters(), max_size=200))
def test_length_stays_and_twice_is_once(text: str) -> None:
    safe = clean(text)
    assert len(safe) == len(text)
    assert clean(safe) == safe
    assert not any((ord(char) < 0x20 and char not in "\t\n") or 0x7F <= ord(char) < 0xA0 for char in safe)


@given(st.text(max_size=400), st.integers(1, 50))
def test_a_line_is_one_line_and_no_longer_than_asked(text: str, limit: int) -> None:
    line = clean_line(text, limit)
    assert "\n" not in line and len(line) <= limit
