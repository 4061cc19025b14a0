from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import evidence
from engine.browser.pages import Page, PagePool, Seen
from engine.browser.tools import Browser
from engine.errors import NotFound
from engine.protocol import Link
from tests.engine.browser.desk import browser, count, document
from tests.engine.shelf import Shelf, shelf


def page(text: str = "one\ntwo\n", **fields: object) -> Page:
    return Page(**{"kind": "document", "title": "T", "uri": "u", "path": "p", "text": text, **fields})


def test_cursors_grow_by_one_from_nought() -> None:
    pool = PagePool()
    assert [pool.add(page()).cursor for _ in range(3)] == [0, 1, 2]


def test_a_cursor_no_page_has_names_those_there_are() -> None:
    pool = PagePool()
    with pytest.raises(NotFound, match="no page was opened yet"):
        pool.get(0)
    pool.add(page())
    pool.add(page())
    with pytest.raises(NotFound, match=r"\[7\].*\[0\] to \[1\]"):
        pool.get(7)
    with pytest.raises(NotFound):
        pool.get(-1)


def test_the_newest_page_of_a_kind() -> None:
    pool = PagePool()
    assert pool.latest() is None
    pool.add(page(kind="results", links=(Link(0, "t", "u"),)))
    pool.add(page())
    pool.add(page(kind="find"))
    newest = [pool.latest(), pool.latest("document"), pool.latest("results", "document"), pool.latest(links=True)]
    assert [found.cursor for found in newest if found] == [2, 1, 1, 0]


def test_many_threads_never_share_a_cursor() -> None:
    pool = PagePool()
    with ThreadPoolExecutor(8) as threads:
        cursors = list(threads.map(lambda n: pool.add(page(f"{n}")).cursor, range(400)))
    assert sorted(cursors) == list(range(400))
    assert all(pool.get(cursor).text == str(n) for n, cursor in enumerate(cursors))


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=200))
def test_lines_are_the_texts_own(text: str) -> None:
    lines = page(text).lines
    assert "\n".join(lines) == text.removesuffix("\n")


# ── what a journal tells ─────────────────────────────────────────────────────────────────────────


def story() -> tuple[PagePool, list, Shelf]:
    """Every kind of observation there is, and the pool it made."""
    at = browser()
    told = [
        at.search("1", "lighthouse lamp"),
        at.open("2", id=0),
        at.find("3", "keeper"),
        at.open("4", id=99),
        at.open("5", cursor=0),
        at.open("6", cursor=2),
        at.find("7", "lamp", cursor=0),
        at.open("8", cursor=1, line=2),
    ]
    return at.pool, told, shelf()


def test_restored_pages_are_the_pages_that_were() -> None:
    pool, told, source = story()
    again = PagePool()
    for observation in told:
        again.restore(observation, source)
    cursors = [observation.cursor for observation in told if not observation.error]
    assert len(cursors) == 7
    for cursor in cursors:
        before, after = pool.get(cursor), again.get(cursor)
        assert after == before
    assert again.add(page()).cursor == max(cursors) + 1


def test_what_was_shown_is_known_again_and_so_is_the_evidence() -> None:
    pool, told, source = story()
    again = PagePool()
    for observation in told:
        again.restore(observation, source)
    assert again.seen() == pool.seen()
    assert any(not seen.opened for seen in pool.seen()), "a find shows lines too"

    def found(pool: PagePool) -> tuple[evidence.Passage, ...]:
        return evidence.passages("When is the lamp lit?", pool, lambda query, texts: ())

    assert found(again) == found(pool) != ()


def test_a_document_that_is_gone_keeps_the_lines_that_were_shown() -> None:
    at = browser(document("first\nsecond\nthe target: here\nfourth\nfifth"), tokens=8)
    at.search("1", "target:")
    opened = at.open("2", id=0)
    pool = PagePool()
    pool.restore(opened, Shelf(()))
    page = pool.get(opened.cursor)
    assert opened.first == 1 and opened.last >= 3
    assert page.lines[2] == "the target: here", "numbers stay right, and a colon in a line is the line's own"
    pool = PagePool()
    pool.restore(at.open("3", cursor=1, line=3), Shelf(()))
    assert pool.get(2).lines[2] == "the target: here"


def test_a_find_in_a_find_shows_no_lines_of_the_document() -> None:
    at = browser(document("\n".join(["start", *(f"line {n}" for n in range(2, 90)), "the target"])), tokens=30)
    told = [
        at.search("1", "start"),
        at.open("2", id=0),
        at.find("3", "target"),
        at.find("4", "target", cursor=2),
        at.find("5", "line", cursor=3),
    ]
    again = PagePool()
    for observation in told:
        again.restore(observation, Shelf((document("\n".join(at.pool.get(1).lines)),)))
    assert again.seen() == at.pool.seen()


def test_what_is_told_after_a_restart_is_what_would_have_been_told_without() -> None:
    pool, told, source = story()
    again = PagePool()
    for observation in told:
        again.restore(observation, source)
    live, back = (Browser(source, pages, count=count, viewport_tokens=60) for pages in (pool, again))
    for ask in (
        lambda at: at.find("a", "keeper", cursor=2),
        lambda at: at.find("b", "lamp", cursor=0),
        lambda at: at.open("c"),
        lambda at: at.open("d", id=0),
        lambda at: at.openable(),
    ):
        assert ask(back) == ask(live)


def test_a_document_that_is_gone_keeps_its_path() -> None:
    at = browser(document("first\nthe target", title="A title"))
    at.search("1", "target")
    opened = at.open("2", id=0)
    pool = PagePool()
    pool.restore(opened, Shelf(()))
    assert (pool.get(1).title, pool.get(1).path) == ("A title", "shelf/page.txt")


def test_an_error_leaves_no_page() -> None:
    pool = PagePool()
    pool.restore(browser().open("1", id=0), shelf())
    assert pool.latest() is None


def test_seen_keeps_its_order() -> None:
    pool = PagePool()
    seen = [Seen(0, 1, 2), Seen(0, 9, 9, opened=False), Seen(1, 3, 4)]
    for each in seen:
        pool.show(each)
    assert list(pool.seen()) == seen
