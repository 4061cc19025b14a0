"""The search library is the real one, asking over real connections: only its engines stand on this machine."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from engine.errors import Refused, SettingsError, SourceError
from engine.sources.web.search import Ddgs, Found, SearxNG
from tests.engine.sources.web.internet import Asked, Internet, Page

JSON = {"Content-Type": "application/json"}

# Each page has the structure that the library's parser expects of that engine, with adverts and stray markup between.
DUCKDUCKGO = """<html><body><div id="links" class="results">
<div class="result results_links results_links_deep web-result"><div class="links_main links_deep result__body">
<h2 class="result__title"><a class="result__a" href="https://site.test/lamps">The <b>lamp</b> of Grey Point</a></h2>
<a class="result__snippet" href="https://site.test/lamps">It burns <b>whale oil</b> &amp; nothing else.</a>
</div></div>
<div class="result result--ad"><div class="links_main links_deep result__body"><h2><a href="https://duckduckgo.com/y.js?ad_domain=x">Buy
lamps</a></h2><a href="https://duckduckgo.com/y.js?ad_domain=x">An advert</a></div></div>
<div class="result"><div class="links_main links_deep result__body">
<h2 class="result__title"><a class="result__a" href="https://sea.test/oil">Oil</a></h2>
<a class="result__snippet" href="https://sea.test/oil">All about oil for a lamp.</a></div></div>
</div></body></html>"""

MOJEEK = """<html><body><ul class="results-standard">
<li class="r1"><h2><a class="title" href="https://site.test/lamps">The lamp of Grey Point</a></h2><p class="s">It burns whale
oil.</p></li><li class="r2"><h2><a class="title" href="https://sea.test/oil">Oil</a></h2><p class="s">For a lamp.</p></li>
</ul></body></html>"""

BRAVE = """<html><body><div id="results">
<div class="snippet" data-type="web"><div class="result-content"><a href="https://site.test/lamps"><div class="site">x</div>
<div class="title search-snippet-title">The lamp of Grey Point</div></a>
<div class="generic-snippet"><div class="content">It burns whale oil.</div></div></div></div>
</div></body></html>"""


@pytest.fixture
def machine(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where every engine of the library stands now, each at the path of its name. None answers until it is told to."""
    from ddgs.engines import ENGINES

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "DDGS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    host = f"127.0.0.1:{internet.plugs[80]}"
    for name, engine in ENGINES["text"].items():
        monkeypatch.setattr(engine, "search_url", f"http://{host}/{name}")
        internet.put(f"http://{host}/{name}", Page(b"", 500))
    return f"http://{host}"


def ddgs(internet: Internet, backend: str = "duckduckgo", **options: float) -> Ddgs:
    return Ddgs(backend, record=internet.recorded.append, **{"interval": 0.0, "seconds": 3.0, **options})


@pytest.mark.parametrize(
    ("backend", "answer", "found"),
    [
        (
            "duckduckgo",
            DUCKDUCKGO,
            (
                Found("The lamp of Grey Point", "https://site.test/lamps", "It burns whale oil & nothing else."),
                Found("Oil", "https://sea.test/oil", "All about oil for a lamp."),
            ),
        ),
        (
            "mojeek",
            MOJEEK,
            (
                Found("The lamp of Grey Point", "https://site.test/lamps", "It burns whale oil."),
                Found("Oil", "https://sea.test/oil", "For a lamp."),
            ),
        ),
        ("brave", BRAVE, (Found("The lamp of Grey Point", "https://site.test/lamps", "It burns whale oil."),)),
    ],
    ids=["duckduckgo", "mojeek", "brave"],
)
def test_the_librarys_own_parsers_read_the_engines_pages(
    internet: Internet, machine: str, backend: str, answer: str, found: tuple[Found, ...]
) -> None:
    internet.put(f"{machine}/{backend}", answer.encode())
    provider = ddgs(internet, backend)
    results = provider.search("grey lamp", 5)
    assert sorted(results, key=lambda each: each.url) == sorted(found, key=lambda each: each.url)
    assert len(provider.search("grey lamp", 1)) == 1
    first = internet.asked[0]
    sent = parse_qs(first.body or urlsplit(first.path).query)
    assert sent["q"] == ["grey lamp"]


def test_only_the_chosen_engine_is_told_the_query(internet: Internet, machine: str) -> None:
    internet.put(f"{machine}/duckduckgo", DUCKDUCKGO.encode())
    ddgs(internet).search("lamp", 50)
    assert {asked.path.partition("?")[0] for asked in internet.asked} == {"/duckduckgo"}
    assert len(internet.asked) == 1


@pytest.mark.parametrize(
    "backend",
    ["auto", "all", "", "duckduckgo,brave", "duckduckgo, auto", "Duckduckgo", "google", "bing", "yandex", "x"],
)
def test_a_name_that_would_ask_several_companies_asks_none(internet: Internet, machine: str, backend: str) -> None:
    provider = ddgs(internet, backend)
    with pytest.raises(SettingsError, match="no search engine") as raised:
        provider.search("lamp", 5)
    assert "duckduckgo" in raised.value.hint
    with pytest.raises(SettingsError):
        _ = provider.host
    assert internet.asked == []


def test_the_library_still_does_what_this_guards_against(internet: Internet, machine: str) -> None:
    from ddgs import DDGS
    from ddgs.exceptions import DDGSException

    with pytest.raises(DDGSException):
        DDGS(timeout=3).text("lamp", backend="no-such-engine", max_results=50)
    assert len({asked.path.partition("?")[0] for asked in internet.asked}) > 1


def test_the_guide_names_the_engines_there_are() -> None:
    from ddgs.engines import ENGINES

    guide = (Path(__file__).parents[4] / "docs" / "web.md").read_text().lower()
    assert [name for name in ENGINES["text"] if name not in guide] == []


def test_who_is_told_the_query_is_known_before() -> None:
    hosts = {name: Ddgs(name, record=print).host for name in ("duckduckgo", "mojeek", "brave", "wikipedia")}
    assert hosts == {
        "duckduckgo": "html.duckduckgo.com",
        "mojeek": "www.mojeek.com",
        "brave": "search.brave.com",
        "wikipedia": "en.wikipedia.org",
    }
    assert Ddgs("wikipedia", record=print, region="de-de").host == "de.wikipedia.org"


@pytest.mark.parametrize(
    "page",
    [
        Page(b"<html><body>nothing</body></html>"),
        Page(b"", 200),
        Page(b"", 202),
        Page(b"blocked", 403),
        Page(b"slow down", 429),
        Page(b"\x00\xff" * 100),
    ],
)
def test_no_results_and_blocked_cannot_be_told_apart_and_it_says_so(
    internet: Internet, machine: str, page: Page
) -> None:
    internet.put(f"{machine}/duckduckgo", page)
    with pytest.raises(SourceError, match="no results for 'lamp', or would not answer: it does not say which"):
        ddgs(internet).search("lamp", 5)
    [entry] = internet.recorded
    assert (entry.result, entry.bytes, entry.address) == ("no results, or blocked", -1, "")


def test_an_engine_that_does_not_answer_is_given_up_and_let_be(internet: Internet, machine: str) -> None:
    release = threading.Event()

    def never_answers(asked: Asked) -> Page:
        release.wait(10)
        return Page(b"")

    internet.put(f"{machine}/duckduckgo", never_answers)
    provider = ddgs(internet, seconds=1.0)
    with pytest.raises(SourceError, match="could not be asked: no answer in time"):
        provider.search("lamp", 5)
    release.set()
    internet.put(f"{machine}/duckduckgo", DUCKDUCKGO.encode())
    before = time.monotonic()
    assert provider.search("lamp", 5)
    assert time.monotonic() - before > 1.0  # two seconds after the first failure, less what giving up took


def test_a_search_is_called_off_at_once(internet: Internet, machine: str) -> None:
    release, called_off = threading.Event(), threading.Event()

    def never_answers(asked: Asked) -> Page:
        release.wait(10)
        return Page(b"")

    internet.put(f"{machine}/duckduckgo", never_answers)
    provider = ddgs(internet)
    provider.host  # noqa: B018 - the first use imports the library
    threading.Timer(0.3, called_off.set).start()
    before = time.monotonic()
    with pytest.raises(SourceError, match="called off"):
        provider.search("lamp", 5, cancelled=called_off.is_set)
    assert time.monotonic() - before < 1.0
    release.set()


def test_a_search_is_recorded(internet: Internet, machine: str) -> None:
    internet.put(f"{machine}/duckduckgo", DUCKDUCKGO.encode())
    ddgs(internet).search("grey lamp & oil", 5)
    [entry] = internet.recorded
    assert (entry.purpose, entry.method, entry.host) == ("search", "POST", "127.0.0.1")
    assert entry.url == f"{machine}/duckduckgo?q=grey+lamp+%26+oil"
    assert (entry.status, entry.result) == (200, "2 results")
    assert 0 < entry.seconds < 5


# ── SearXNG ──────────────────────────────────────────────────────────────────────────────────────

ANSWER = {
    "query": "lamp",
    "results": [
        {"url": "https://site.test/lamps", "title": "Lamps", "content": "They burn oil.", "engine": "x", "score": 1.0},
        {"url": "https://sea.test/", "title": None},
        "not a result",
        {"url": 7},
    ],
    "unresponsive_engines": [["brave", "timeout"]],
}


def searxng(internet: Internet, url: str) -> SearxNG:
    return SearxNG(url, internet.fetcher(dial=None, resolve=lambda host, port: ["127.0.0.1"]))


@pytest.fixture
def own(internet: Internet) -> str:
    """A SearXNG on this machine."""
    host = f"localhost:{internet.plugs[80]}"
    internet.put(f"http://{host}/search", Page(json.dumps(ANSWER).encode(), headers=JSON))
    return f"http://{host}"


@pytest.mark.parametrize("tail", ["", "/", "/search", "/search/", "/search?q=%s"])
def test_a_searxng_of_the_users_own_is_asked_wherever_it_is(internet: Internet, own: str, tail: str) -> None:
    results = searxng(internet, own + tail).search("grey lamp & oil", 10)
    assert results == (
        Found("Lamps", "https://site.test/lamps", "They burn oil."),
        Found("", "https://sea.test/", ""),
        Found("", "", ""),
    )
    assert internet.asked[-1].path == "/search?q=grey+lamp+%26+oil&format=json"
    assert [(entry.purpose, entry.result) for entry in internet.recorded] == [("search", "read")]
    assert len(searxng(internet, own).search("lamp", 1)) == 1


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (Page(b"", 403), "403 Forbidden"),
        (Page(b"<html></html>"), "kind that cannot be read"),
        (Page(b"{", headers=JSON), "something else than results"),
        (Page(b"[1, 2]", headers=JSON), "something else than results"),
        (Page(b'{"results": 7}', headers=JSON), "something else than results"),
        (Page(b"[" * 100_000, headers=JSON), "something else than results"),
        (Page(b"\xff\xfe\x00", headers=JSON), "something else than results"),
        (
            Page(b'{"results": [], "unresponsive_engines": [["brave", "CAPTCHA"]]}', headers=JSON),
            "did not answer.*brave",
        ),
    ],
)
def test_a_searxng_that_does_not_answer_well_says_so(internet: Internet, own: str, page: Page, says: str) -> None:
    internet.put(f"{own}/search", page)
    with pytest.raises(SourceError, match=says):
        searxng(internet, own).search("lamp", 5)


def test_a_searxng_without_results_has_none(internet: Internet, own: str) -> None:
    internet.put(f"{own}/search", Page(b'{"results": []}', headers=JSON))
    assert searxng(internet, own).search("lamp", 5) == ()


def test_nothing_beside_the_users_endpoint_is_reached_from_it(internet: Internet, own: str) -> None:
    for inside in ("http://127.0.0.1/", "http://localhost:22/", "http://10.0.0.1/search"):
        internet.redirect(f"{own}/search", inside)
        with pytest.raises(Refused):
            searxng(internet, own).search("lamp", 5)
    assert len(internet.asked) == 3


@pytest.mark.parametrize("url", ["", "localhost:8888", "file:///etc/passwd", "http://user@localhost/", "http://127.1/"])
def test_what_is_no_address_is_no_searxng(internet: Internet, url: str) -> None:
    with pytest.raises(SettingsError):
        SearxNG(url, internet.fetcher())


def test_names_say_whom(internet: Internet) -> None:
    provider = SearxNG("https://searx.lan/", internet.fetcher())
    assert (provider.name, provider.host) == ("SearXNG at searx.lan", "searx.lan")
