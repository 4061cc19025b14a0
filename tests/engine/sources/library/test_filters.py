from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import FilterError
from engine.sources.library.filters import Brief, Filters, apply, check, matcher, since

NOW = datetime(2025, 3, 31, 12, 0, tzinfo=timezone(timedelta(hours=2)))

LAMP = Brief("1", "notes/lamp.md", "/home/me/notes/lamp.md", "markdown", 100)
BOAT = Brief("2", "notes/far/boat.rst", "/home/me/notes/far/boat.rst", "rst", 200)
PAGE = Brief("3", "site/a.HTML", "/srv/site/a.HTML", "html", 300)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("3d", NOW - timedelta(days=3)),
        ("12h", NOW - timedelta(hours=12)),
        ("90 min", NOW - timedelta(minutes=90)),
        ("2 weeks", NOW - timedelta(weeks=2)),
        ("6m", NOW - timedelta(days=180)),
        ("1Y", NOW - timedelta(days=365)),
        ("2025-01-31", datetime(2025, 1, 31, tzinfo=NOW.tzinfo)),
        ("2025-01", datetime(2025, 1, 1, tzinfo=NOW.tzinfo)),
        ("2024", datetime(2024, 1, 1, tzinfo=NOW.tzinfo)),
        (" 2025-01-31T10:30 ", datetime(2025, 1, 31, 10, 30, tzinfo=NOW.tzinfo)),
        ("2025-01-31T10:30+00:00", datetime(2025, 1, 31, 12, 30, tzinfo=NOW.tzinfo)),
    ],
)
def test_since_reads_dates_and_ages(text: str, moment: datetime) -> None:
    assert since(text, NOW) == moment.timestamp()


@pytest.mark.parametrize(
    "text", ["", "yesterday", "3", "3x", "-3d", "2025-13", "2025-02-30", "31.01.2025", "3 dd ays", "٣d"]
)
def test_what_is_neither_is_refused_with_examples(text: str) -> None:
    with pytest.raises(FilterError, match="neither a date nor an age") as caught:
        since(text, NOW)
    assert "2025-01-31" in caught.value.hint


def test_what_is_to_come_is_refused_and_what_is_before_all_time_is_all_time() -> None:
    with pytest.raises(FilterError, match="still to come"):
        since("2025-04-01", NOW)
    assert since("999999y", NOW) == since("1900", NOW) == 0


@given(st.text(max_size=20))
def test_any_text_is_a_moment_or_a_filter_error(text: str) -> None:
    try:
        assert 0 <= since(text, NOW) <= NOW.timestamp()
    except FilterError as error:
        assert error.hint


@pytest.mark.parametrize(
    ("patterns", "fits"),
    [
        (["*.md"], "1"),
        (["lamp.md"], "1"),
        (["lamp"], ""),
        (["far"], "2"),
        (["far/"], "2"),
        (["far/*"], "2"),
        (["notes/*.rst"], ""),
        (["notes/**/*.rst"], "2"),
        (["notes"], "12"),
        (["*.md", "site"], "13"),
        (["!notes/far"], "13"),
        (["notes", "!*.md"], "2"),
        (["/home/me/notes"], "12"),
        (["/home/*/notes/*.md"], "1"),
        (["/notes"], ""),
        (["a.HTML"], "3"),
        (["a.html"], ""),
        (["#*"], ""),
        (["[a"], ""),
    ],
)
def test_patterns_are_those_of_a_gitignore_at_any_depth(patterns: list[str], fits: str) -> None:
    fit = matcher(patterns)
    assert "".join(each.id for each in (LAMP, BOAT, PAGE) if fit(each)) == fits


@pytest.mark.parametrize("pattern", ["", "!", "/", " ", "\\"])
def test_a_pattern_that_means_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(FilterError, match="no pattern"):
        check([pattern])


def test_patterns_are_placed_where_they_were_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    here = tmp_path.resolve()
    assert check(["./a/*.md", "!../b/", ".", "~/c", "d/*"]) == (
        f"{here}/a/*.md",
        f"!{here.parent}/b/",
        str(here),
        "/home/me/c",
        "d/*",
    )


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        (Filters(), "123"),
        (Filters(types=("markdown",)), "1"),
        (Filters(types=("md", ".RST")), "12"),
        (Filters(types=("html",)), "3"),
        (Filters(since=200), "23"),
        (Filters(paths=("notes",), since=150), "2"),
        (Filters(paths=("nowhere",)), ""),
    ],
)
def test_all_filters_must_hold(filters: Filters, left: str) -> None:
    assert "".join(apply(filters, [LAMP, BOAT, PAGE])) == left


def test_a_type_that_nothing_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(FilterError, match="'pdf'") as caught:
        apply(Filters(types=("pdf", "md")), [LAMP, BOAT])
    assert "markdown, rst" in caught.value.hint
