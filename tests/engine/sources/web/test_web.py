"""The web as the agent meets it: a fake search engine in front of the real fetcher, reader and store."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.browser.pages import PagePool
from engine.browser.tools import Browser
from engine.errors import NotFound, Refused, SourceError
from engine.protocol import ApprovalNeeded, Approve, Network, NetworkEntry, decode_command, decode_event, encode
from engine.sources.base import Source
from engine.sources.web.reader import Reader
from engine.sources.web.search import Found, SearxNG
from engine.sources.web.store import PageStore
from engine.sources.web.watch import Cancelled, never
from engine.sources.web.web import Archive, Web, Wish
from tests.engine.sources.web.internet import Internet, Page
from tests.engine.sources.web.pages import ARTICLE, INJECTION, pdf

LAMPS = "http://site.test/lamps/grey.html"


@dataclass
class Engine:
    """A search engine that knows what it was told to know."""

    results: tuple[Found, ...] = ()
    asked: list[tuple[str, int]] = field(default_factory=list)
    name: str = "engine"
    host: str = "engine.test"

    def search(self, query: str, limit: int, *, cancelled: Cancelled = never) -> tuple[Found, ...]:
        self.asked.append((query, limit))
        return self.results[:limit]


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    helper = Reader(seconds=10.0)
    yield helper
    helper.close()


@pytest.fixture
def engine() -> Engine:
    return Engine(
        (
            Found("Lamps \x1b[31m", LAMPS, "It burns\n whale oil.\x07"),
            Found("Inside", "http://192.168.0.1/", "Not a place for you."),
            Found("A file", "file:///etc/passwd", ""),
            Found("Lamps again", LAMPS + "#oil", "The same page."),
            Found("", "https://other.test/ä", "Another."),
        )
    )


Make = Callable[..., Web]


@pytest.fixture
def make(internet: Internet, engine: Engine, reader: Reader, tmp_path: Path) -> Iterator[Make]:
    """A web, on unless told otherwise, with an article in it."""
    internet.put(LAMPS, ARTICLE.encode())
    made: list[PageStore] = []

    def web(**options: Any) -> Web:
        store = PageStore(tmp_path / "pages.db")
        made.append(store)
        return Web(engine, internet.fetcher(), store, **{"mode": "on", "reader": reader, **options})

    yield web
    for store in made:
        store.close()


def test_it_is_a_source(make: Make) -> None:
    source: Source = make()
    assert source.name == "web"
    assert source.similarity("lamp", ["a", "b"]) == ()


def test_results_are_public_pages_cleaned_and_each_once(make: Make) -> None:
    first, second = make().search("grey  lamp", 10)
    assert (first.uri, first.title, first.text) == (LAMPS, "Lamps ␛[31m", "It burns whale oil.␇")
    assert (first.first, first.last, first.text_rank, second.text_rank) == (0, 0, 1, 2)
    assert (second.uri, second.title) == ("https://other.test/%C3%A4", "https://other.test/%C3%A4")


def test_a_query_is_sent_once(make: Make, engine: Engine) -> None:
    web = make()
    assert web.search("grey lamp", 5) == web.search(" Grey  LAMP ", 5)
    web.search("grey lamp", 6)
    assert engine.asked == [("grey lamp", 5), ("grey lamp", 6)]


def test_what_the_user_is_shown_of_a_query_is_what_is_sent(make: Make, engine: Engine) -> None:
    wishes: list[Wish] = []
    web = make(mode="ask", approve=lambda wish: not wishes.append(wish))
    web.search("grey\x1b[31m \ud800lamp\n" + "x" * 1000)
    assert engine.asked == [(wishes[0].text, 10)]
    assert len(wishes[0].text) == 400
    assert wishes[0].text.startswith("grey␛[31m \ufffdlamp x")


def test_a_result_is_opened_and_so_is_a_link_on_it(make: Make, internet: Internet) -> None:
    internet.put("http://site.test/lamps/keeper.html", b"<title>Keeper</title><p>Ada Quill kept it.</p>")
    web = make()
    web.search("lamp")
    page = web.open(LAMPS)
    assert (page.uri, page.path, page.title) == (LAMPS, LAMPS, "The lighthouse at Grey Point")
    assert page.text.split("\n")[2].startswith("The tower of the lighthouse is thirty-one metres high.")
    assert page.links[0].url == "http://site.test/lamps/keeper.html"
    assert web.open(page.links[0].url).text == "Ada Quill kept it.\n"
    assert [entry.purpose for entry in internet.recorded] == ["page", "page"]


def test_what_the_user_wrote_may_be_opened(make: Make) -> None:
    web = make()
    assert web.trust(f"What burns in the lamp on {LAMPS}?") == (LAMPS,)
    assert web.open(LAMPS).title == "The lighthouse at Grey Point"


def test_what_a_model_makes_up_is_not_opened(make: Make, internet: Internet) -> None:
    web = make()
    web.search("lamp")
    for url in ("http://site.test/made-up", LAMPS + "?q=secret", "http://evil.test/collect?data=secret"):
        with pytest.raises(Refused, match="in no result"):
            web.open(url)
    assert (internet.resolved, internet.asked) == ([], [])


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "http://127.0.0.1/", "http://169.254.169.254/", "javascript:x", "http://nas.lan/", "x"],
)
def test_what_is_no_public_page_is_refused_with_a_word(make: Make, internet: Internet, url: str) -> None:
    web = make()
    web.trust(url)
    with pytest.raises(Refused, match="is not opened: "):
        web.open(url)
    assert internet.resolved == []


def test_a_page_that_wants_to_be_obeyed_opens_no_doors(make: Make, internet: Internet) -> None:
    internet.put("http://site.test/evil", INJECTION.encode())
    web = make()
    web.trust("http://site.test/evil")
    page = web.open("http://site.test/evil")
    assert {link.url for link in page.links} == {"http://site.test/lamps", "https://oil.test/"}
    for url in ("file:///etc/passwd", "http://169.254.169.254/latest/meta-data/", "http://localhost:11434/api/tags"):
        with pytest.raises(Refused):
            web.open(url)
    with pytest.raises(Refused, match="in no result"):  # it stands on the page as words, not as a link
        web.open("http://evil.test/collect")
    assert len(internet.asked) == 1


def test_a_pdf_is_a_page(make: Make, internet: Internet) -> None:
    internet.put("http://site.test/p.pdf", Page(pdf("Whale oil."), headers={"Content-Type": "application/pdf"}))
    web = make()
    web.trust("http://site.test/p.pdf")
    assert web.open("http://site.test/p.pdf").text == "[page 1]\nWhale oil.\n"


def test_a_page_in_an_encoding_nobody_told_of(make: Make, internet: Internet) -> None:
    body = "<title>Öl</title><p>Die Lampe brennt Öl für müde Wärter.</p>"
    headers = {"Content-Type": "text/html; charset=iso-8859-1"}
    internet.put("http://site.test/de", Page(body.encode(), headers=headers))
    web = make()
    web.trust("http://site.test/de")
    assert web.open("http://site.test/de").text == "Die Lampe brennt Öl für müde Wärter.\n"


def test_what_cannot_be_read_names_the_page(make: Make, internet: Internet) -> None:
    internet.put("http://site.test/empty", b"<script>draw()</script>")
    web = make()
    web.trust("http://site.test/empty http://site.test/missing")
    with pytest.raises(SourceError, match=r"http://site\.test/empty could not be read: it holds no text"):
        web.open("http://site.test/empty")
    with pytest.raises(SourceError, match=r"http://site\.test/missing answered 404 Not Found"):
        web.open("http://site.test/missing")


# ── off, ask, on ─────────────────────────────────────────────────────────────────────────────────


def test_off_sends_nothing(make: Make, internet: Internet, engine: Engine) -> None:
    web = make(mode="off")
    web.trust(LAMPS)
    with pytest.raises(Refused, match="the web is off"):
        web.search("lamp")
    with pytest.raises(Refused, match="the web is off"):
        web.open(LAMPS)
    assert (internet.resolved, internet.asked, engine.asked, internet.recorded) == ([], [], [], [])


def test_off_is_what_it_is_unless_told_otherwise(internet: Internet, engine: Engine, tmp_path: Path) -> None:
    assert Web(engine, internet.fetcher(), PageStore(tmp_path / "pages.db")).mode == "off"


def test_ask_waits_for_a_word_on_each_query_and_each_new_host(make: Make, internet: Internet) -> None:
    internet.put("http://site.test/other", b"<p>Other words.</p>")
    internet.redirect("http://site.test/on", "http://third.test/")
    internet.put("http://third.test/", b"<p>Third words.</p>")
    wishes: list[Wish] = []

    def approve(wish: Wish) -> bool:
        wishes.append(wish)
        return True

    web = make(mode="ask", approve=approve)
    web.trust("http://site.test/other http://site.test/on")
    web.search("lamp")
    web.search("lamp")
    web.search("oil")
    for url in (LAMPS, "http://site.test/other", "http://site.test/on", LAMPS):
        web.open(url)
    assert wishes == [
        Wish("query", "lamp", "engine.test"),
        Wish("query", "oil", "engine.test"),
        Wish("host", LAMPS, "site.test"),
        Wish("host", "http://third.test/", "third.test"),
    ]


def test_a_no_is_an_error_and_nothing_is_sent(make: Make, internet: Internet, engine: Engine) -> None:
    web = make(mode="ask", approve=lambda wish: False)
    web.trust(LAMPS)
    with pytest.raises(Refused, match="the user did not allow this query to be sent"):
        web.search("lamp")
    with pytest.raises(Refused, match=r"the user did not allow site\.test to be asked"):
        web.open(LAMPS)
    assert (internet.resolved, internet.asked, engine.asked) == ([], [], [])


def test_without_anybody_to_ask_the_word_is_no(make: Make, engine: Engine) -> None:
    with pytest.raises(Refused):
        make(mode="ask").search("lamp")
    assert engine.asked == []


def test_two_calls_to_one_host_are_one_question(make: Make, internet: Internet) -> None:
    internet.put("http://site.test/other", b"<p>Other words.</p>")
    wishes: list[Wish] = []

    def approve(wish: Wish) -> bool:
        wishes.append(wish)
        time.sleep(0.2)
        return True

    web = make(mode="ask", approve=approve)
    web.trust(f"{LAMPS} http://site.test/other")
    threads = [threading.Thread(target=web.open, args=(url,)) for url in (LAMPS, "http://site.test/other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [wish.host for wish in wishes] == ["site.test"]
    assert len(internet.asked) == 2


def test_turned_off_on_the_way_the_next_request_is_not_made(make: Make, internet: Internet) -> None:
    internet.redirect("http://site.test/on", "http://third.test/")
    internet.put("http://third.test/", b"never")

    def approve(wish: Wish) -> bool:
        if wish.host == "site.test":
            web.mode = "off"
        return True

    web = make(mode="ask", approve=approve)
    web.trust("http://site.test/on")
    with pytest.raises(Refused, match="the web is off"):
        web.open("http://site.test/on")
    assert [asked.host for asked in internet.asked] == ["site.test"]


# ── what was read stays ──────────────────────────────────────────────────────────────────────────


def test_a_page_is_fetched_once_a_day_and_read_from_disk_after_that(make: Make, internet: Internet) -> None:
    web = make()
    web.trust(LAMPS)
    page = web.open(LAMPS)
    assert web.open(LAMPS + "#lamp") == page
    assert len(internet.asked) == 1
    stale = make(fresh=0.0)
    stale.trust(LAMPS)
    stale.open(LAMPS)
    assert len(internet.asked) == 2


def test_a_citation_stays_readable_with_the_web_off_and_the_server_gone(make: Make, internet: Internet) -> None:
    web = make()
    web.trust(LAMPS)
    page = web.open(LAMPS)
    internet.pages.clear()
    internet.names.clear()
    offline = make(mode="off", fresh=0.0)
    assert offline.open(LAMPS) == page
    with pytest.raises(Refused):
        offline.open(page.links[0].url)


def test_a_session_is_told_again_from_the_pages_it_read(make: Make, internet: Internet, tmp_path: Path) -> None:
    web = make(fresh=0.0)
    web.trust(LAMPS)
    first = web.open(LAMPS)
    between = time.time()
    internet.put(LAMPS, b"<title>New</title><p>All is new.</p>")
    second = web.open(LAMPS)
    store = PageStore(tmp_path / "pages.db")
    assert Archive(store, between).open(LAMPS) == first
    assert Archive(store).open(LAMPS) == second
    with pytest.raises(NotFound, match="was not kept"):
        Archive(store, between - 1000).open(LAMPS)
    with pytest.raises(NotFound):
        Archive(store).search("lamp")
    assert len(internet.asked) == 2
    store.close()


def test_links_of_a_page_read_before_may_be_opened_in_a_later_run(make: Make, internet: Internet) -> None:
    internet.put("http://site.test/lamps/keeper.html", b"<p>Ada Quill.</p>")
    web = make()
    web.trust(LAMPS)
    link = web.open(LAMPS).links[0].url
    later = make()
    later.trust(LAMPS)
    later.open(LAMPS)
    assert later.open(link).text == "Ada Quill.\n"


# ── with the browser, and called off ─────────────────────────────────────────────────────────────


def test_the_browser_tells_the_agent_what_went_wrong(make: Make, internet: Internet, engine: Engine) -> None:
    web = make()
    browser = Browser(web, PagePool(), count=lambda text: len(text.split()))
    engine.results = (Found("Lamps", LAMPS, "Oil."), Found("Gone", "http://site.test/gone", "Gone."))
    assert not browser.search("a", "lamp").error
    read = browser.open("b", id=0)
    assert (read.error, read.title, read.uri) == (False, "The lighthouse at Grey Point", LAMPS)
    assert "L1: # The lighthouse at Grey Point" in read.body
    gone = browser.open("c", id=1, cursor=0)
    assert (gone.error, "404 Not Found" in gone.header) == (True, True)
    web.mode = "off"
    off = browser.search("d", "something else")
    assert (off.error, "the web is off" in off.header) == (True, True)


def test_reading_a_page_is_called_off_at_once(make: Make, internet: Internet) -> None:
    def drops() -> Iterator[bytes]:
        while True:
            yield b"a"
            time.sleep(0.05)

    internet.put("http://site.test/slow", Page(stream=drops))
    called_off = threading.Event()
    web = make(cancelled=called_off.is_set)
    web.trust("http://site.test/slow")
    threading.Timer(0.3, called_off.set).start()
    before = time.monotonic()
    with pytest.raises(SourceError, match="called off"):
        web.open("http://site.test/slow")
    assert time.monotonic() - before < 1.3


def test_it_all_works_together_through_a_searxng(internet: Internet, reader: Reader, tmp_path: Path) -> None:
    internet.names["searx.lan"] = ["192.168.7.7"]
    answer = b'{"results": [{"url": "https://secure.test/lamps", "title": "Lamps", "content": "Oil."}]}'
    internet.put("http://searx.lan/search", Page(answer, headers={"Content-Type": "application/json"}))
    internet.put("https://secure.test/lamps", ARTICLE.encode())
    fetcher = internet.fetcher()
    web = Web(SearxNG("http://searx.lan", fetcher), fetcher, PageStore(tmp_path / "pages.db"), mode="on", reader=reader)
    [hit] = web.search("lamp")
    assert web.open(hit.uri).title == "The lighthouse at Grey Point"
    assert [(entry.purpose, entry.host, entry.address) for entry in internet.recorded] == [
        ("search", "searx.lan", "192.168.7.7"),
        ("page", "secure.test", "93.184.215.14"),
    ]
    with pytest.raises(Refused):  # the endpoint is allowed for searching, not as a page
        web.open("http://searx.lan/search")


def test_messages_of_the_network_travel() -> None:
    entry = NetworkEntry(1.0, "page", "GET", "http://site.test/", "site.test", "93.184.215.14", 200, 9, 0.1, "read")
    for event in (Network(entry), ApprovalNeeded("r1", "query", "lamp", "engine.test")):
        assert decode_event(encode(event)) == event
    assert decode_command(encode(Approve("r1", True))) == Approve("r1", True)


def test_the_room_loads_nothing_heavy_until_it_is_used() -> None:
    program = (
        "import sys, engine.offline, engine.sources.web.web, engine.sources.web.search, engine.sources.web.reader\n"
        "heavy = {'httpcore', 'httpx', 'ddgs', 'primp', 'trafilatura', 'lxml', 'selectolax', 'pypdfium2', 'idna'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
