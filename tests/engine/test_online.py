"""The web through the engine's door: offered only where the user wants it, asked about, written down, and told again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from engine.protocol import (
    AnswerReady,
    ApprovalGiven,
    ApprovalNeeded,
    Approve,
    Ask,
    CitationChecked,
    Continue,
    Event,
    Failed,
    Network,
    Observed,
    OpenPage,
    OpenSession,
    PageOpened,
    RunEnded,
    RunStarted,
    SessionOpened,
    SetWeb,
    Stop,
    TurnEnded,
    WebMode,
    WebSet,
)
from engine.sessions import Journal
from engine.settings import Settings
from engine.sources.web.store import Kept, PageStore
from tests.engine.running import QUESTION, Paced, Talk, act, settings_in, stock
from tests.engine.sources.web.internet import Internet, Page, Servers
from tests.engine.sources.web.pages import ARTICLE

PAGE = "http://site.test/lamps/grey.html"
ASKED = "How high is the tower of the lighthouse at Grey Point?"
STORY = [
    act("search", source="web", query="lighthouse tower height"),
    act("open", id=0),
    act("answer", text="The tower of the lighthouse is thirty-one metres high [1:L3]."),
]


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    made = Servers()
    yield made
    made.close()


@pytest.fixture
def internet(servers: Servers) -> Internet:
    """A web with one article, and a SearXNG in the user's own network that finds it for whatever is asked."""
    internet = servers.fresh()
    internet.put(PAGE, ARTICLE.encode())
    results = {"results": [{"url": PAGE, "title": "Grey Point", "content": "The tower \x1b]52;c;x"}]}
    found = Page(json.dumps(results).encode(), headers={"Content-Type": "application/json"})
    internet.put("http://searx.lan/search", found, address="192.168.7.7")
    return internet


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = settings_in(tmp_path, web="on", searxng="http://searx.lan", viewport_tokens=400)
    stock(settings, tmp_path / "notes")
    return settings


Converse = Callable[..., Talk]


@pytest.fixture
def talk(settings: Settings, internet: Internet) -> Iterator[Converse]:
    """Makes engines over the same data folder. ``guarded`` are the modes their processes would have been held in."""
    made: list[Talk] = []

    def make(
        replies: object = (), *, web: WebMode = "on", guarded: list[WebMode] | None = None, **changes: object
    ) -> Talk:
        modes = guarded if guarded is not None else []
        made.append(
            Talk(
                replace(settings, web=web, **changes),
                replies,
                fetcher=lambda record: internet.fetcher(record=record),
                guard=modes.append,
            )
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


def kept(settings: Settings, session: str) -> list[Event]:
    with closing(Journal(settings.journal)) as journal:
        return list(journal.events(session))


def unplugged(internet: Internet) -> None:
    """Nothing answers any more, and whoever tries is noted."""
    internet.pages.clear()
    internet.names.clear()
    internet.plugs.clear()
    internet.asked.clear()
    internet.resolved.clear()


def test_a_question_is_answered_from_the_web_with_a_checked_citation(talk: Converse, settings: Settings) -> None:
    one = talk(STORY)
    ended = one.ask(Ask(ASKED), RunEnded)
    assert ended.why == "answered", one.of(Observed)
    [citation] = [event.citation for event in one.of(CitationChecked)]
    assert (citation.state, citation.uri) == ("verified", PAGE)
    found, page = [event.observation for event in one.of(Observed)]
    assert "from the web" in found.header and "␛]52" in found.body
    assert page.header.startswith(f"[1] open {PAGE} ")
    assert [event.entry.purpose for event in one.of(Network)] == ["search", "page"]
    assert one.of(RunStarted)[0].web == "on"
    assert one.of(ApprovalNeeded) == []
    in_session = [event for event in one.told if event.session]
    assert kept(settings, ended.session) == in_session, "the ledger is in the journal"


def test_off_is_what_it_was_before(talk: Converse, internet: Internet) -> None:
    guarded: list[WebMode] = []
    one = talk(
        [act("search", query="first keeper"), act("open", id=0), act("answer", text="Ada Quill [1:L1].")],
        web="off",
        guarded=guarded,
    )
    one.ask(Ask(QUESTION), RunEnded)
    system = one.model.views[0].messages[0].text
    assert "web" not in system and "source" not in system
    assert one.of(RunStarted)[0].web == "off"
    assert (internet.asked, internet.resolved, guarded) == ([], [], ["off"])


def test_off_a_web_search_is_not_made_whatever_the_model_says(talk: Converse, internet: Internet) -> None:
    one = talk(
        [act("search", source="web", query="keeper"), act("open", id=0), act("answer", text="Ada [1:L1].")], web="off"
    )
    one.ask(Ask(QUESTION), RunEnded)
    assert "in default" in one.of(Observed)[0].observation.header
    assert (internet.asked, internet.resolved) == ([], [])


def test_an_empty_library_is_no_hindrance_where_there_is_a_web(talk: Converse, settings: Settings) -> None:
    (settings.libraries_dir / "empty").mkdir()
    one = talk(STORY, library="empty")
    assert one.ask(Ask(ASKED), RunEnded).why == "answered"


def test_ask_shows_each_query_and_each_new_host_and_waits(talk: Converse, internet: Internet) -> None:
    one = talk(STORY, web="ask")
    query = one.ask(Ask(ASKED), ApprovalNeeded)
    assert (query.what, query.text, query.host) == ("query", "lighthouse tower height", "searx.lan")
    time.sleep(0.3)
    assert (internet.asked, internet.resolved) == ([], []), "nothing leaves before the word"
    host = one.ask(Approve(query.request, True), ApprovalNeeded)
    assert (host.what, host.text, host.host) == ("host", PAGE, "site.test")
    assert [asked.host for asked in internet.asked] == ["searx.lan"]
    assert one.ask(Approve(host.request, True), RunEnded).why == "answered"
    assert [(event.what, event.allowed) for event in one.of(ApprovalGiven)] == [("query", True), ("host", True)]
    assert all(event.session for event in one.of(ApprovalGiven))


def test_a_no_is_an_observation_and_the_run_goes_on(talk: Converse, internet: Internet) -> None:
    one = talk(
        [
            STORY[0],
            act("search", source="library", query="first keeper"),
            act("open", id=0),
            act("answer", text="Ada Quill [1:L1]."),
        ],
        web="ask",
    )
    needed = one.ask(Ask(QUESTION), ApprovalNeeded)
    one.ask(Approve(needed.request, False), RunEnded)
    first = one.of(Observed)[0].observation
    assert first.error and "the user did not allow this query to be sent" in first.header
    assert [event.allowed for event in one.of(ApprovalGiven)] == [False]
    assert (internet.asked, internet.resolved) == ([], [])


def test_stop_ends_a_run_that_waits_for_a_word(talk: Converse, internet: Internet) -> None:
    one = talk(STORY, web="ask")
    one.ask(Ask(ASKED), ApprovalNeeded)
    began = time.monotonic()
    assert one.ask(Stop(), RunEnded).why == "stopped"
    assert time.monotonic() - began < 2
    assert [event.allowed for event in one.of(ApprovalGiven)] == [False]
    assert (internet.asked, internet.resolved) == ([], [])


def test_closing_an_engine_that_waits_for_a_word_takes_no_time(talk: Converse) -> None:
    one = talk(STORY, web="ask")
    one.ask(Ask(ASKED), ApprovalNeeded)
    began = time.monotonic()
    one.engine.close()
    assert time.monotonic() - began < 5


def test_turning_it_off_refuses_what_waits_and_what_comes(talk: Converse, internet: Internet) -> None:
    guarded: list[WebMode] = []
    one = talk(
        [
            STORY[0],
            act("search", source="web", query="tower"),
            act("search", source="library", query="keeper"),
            act("open", id=0),
            act("answer", text="Ada [2:L1]."),
        ],
        web="ask",
        guarded=guarded,
    )
    one.ask(Ask(QUESTION), ApprovalNeeded)
    one.ask(SetWeb("off"), RunEnded)
    assert [event.mode for event in one.of(WebSet)] == ["off"]
    headers = [event.observation.header for event in one.of(Observed)]
    assert "did not allow" in headers[0] and "the web is off" in headers[1]
    assert (internet.asked, internet.resolved) == ([], [])
    assert guarded[-1] == "off"


def test_turning_it_on_answers_what_waits(talk: Converse) -> None:
    one = talk(STORY, web="ask")
    one.ask(Ask(ASKED), ApprovalNeeded)
    assert one.ask(SetWeb("on"), RunEnded).why == "answered"


def test_turned_on_it_is_there_for_the_next_question(talk: Converse) -> None:
    one = talk(STORY, web="off")
    assert one.ask(SetWeb("on"), WebSet).mode == "on"
    assert one.ask(Ask(ASKED), RunEnded).why == "answered"
    assert one.of(RunStarted)[0].web == "on"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"searxng": "", "search_engine": "auto"}, "no search engine 'auto'"),
        ({"searxng": "ftp://searx.lan"}, "cannot be the address of a SearXNG"),
    ],
)
def test_a_search_engine_that_there_is_not_is_told_of_before_anything_is_asked(
    talk: Converse, settings: Settings, changes: dict[str, object], says: str
) -> None:
    guarded: list[WebMode] = []
    one = talk(STORY, web="off", guarded=guarded, **changes)
    failed = one.ask(SetWeb("on"), Failed)
    assert says in failed.message
    assert guarded == ["off", "on", "off"]
    two = talk(STORY, web="on", **changes)
    assert says in two.ask(Ask(ASKED), Failed).message
    with closing(Journal(settings.journal)) as journal:
        assert journal.list() == ()


def test_a_session_is_told_again_with_the_servers_gone(talk: Converse, internet: Internet, settings: Settings) -> None:
    ended = talk(STORY).ask(Ask(ASKED), RunEnded)
    unplugged(internet)
    later = talk(web="off")
    later.ask(OpenSession(ended.session), SessionOpened)
    [citation] = [event.citation for event in later.of(CitationChecked)]
    page = later.ask(OpenPage(PAGE), PageOpened)
    assert page.title == "The lighthouse at Grey Point"
    assert page.text.split("\n")[citation.first - 1 : citation.last] == citation.quote.split("\n")
    settings.web_pages.unlink()
    for rest in settings.web_pages.parent.glob("pages.db-*"):
        rest.unlink()
    bare = talk(web="off")
    bare.ask(OpenSession(ended.session), SessionOpened)
    page = bare.ask(OpenPage(PAGE), PageOpened)
    assert page.text.split("\n")[citation.first - 1] == citation.quote, "the lines the model saw are in the journal"
    assert (internet.asked, internet.resolved) == ([], [])


def test_a_page_that_changed_since_is_shown_as_it_was_cited(
    talk: Converse, internet: Internet, settings: Settings
) -> None:
    one = talk(STORY)
    ended = one.ask(Ask(ASKED), RunEnded)
    internet.put(PAGE, b"<title>New</title><p>All is new.</p>")
    store = PageStore(settings.web_pages)
    store.put(Kept(PAGE, PAGE, time.time(), "New", "All is new.\n"))
    store.close()
    later = talk(web="off")
    later.ask(OpenSession(ended.session), SessionOpened)
    assert later.ask(OpenPage(PAGE), PageOpened).title == "The lighthouse at Grey Point"


@pytest.mark.parametrize("web", ["off", "on"])
def test_a_run_goes_on_without_fetching_again_what_it_has_read(
    talk: Converse, internet: Internet, web: WebMode
) -> None:
    model = Paced(STORY)
    one = talk(model)
    one.send(Ask(ASKED))
    model.go(2)
    session = one.until(TurnEnded, 2).session
    model.reached(3)
    one.send(Stop())
    model.go()
    assert one.until(RunEnded).why == "stopped"
    unplugged(internet)
    later = talk([act("open", id=1), STORY[2]], web=web)
    assert later.ask(Continue(session), RunEnded).why == "answered"
    assert [event.citation.state for event in later.of(CitationChecked)] == ["verified"]
    failed = later.of(Observed)[0].observation
    if web == "off":
        assert "was not kept" in failed.header
        assert (internet.asked, internet.resolved) == ([], [])
    else:
        assert "name could not be found" in failed.header, "a link of a page read before may still be opened"


def test_an_address_in_the_question_may_be_opened_and_one_that_is_not_a_page_may_not(
    talk: Converse, internet: Internet
) -> None:
    one = talk(
        [act("open", id=0), act("open", id=1), act("answer", text="The tower is thirty-one metres high [1:L3].")]
    )
    ended = one.ask(Ask(f"What is on {PAGE} and on http://169.254.169.254/latest?"), RunEnded)
    assert f"Link (0) is {PAGE}" in one.model.views[0].messages[0].text
    page, none = [event.observation for event in one.of(Observed)]
    assert page.uri == PAGE and none.error
    assert ended.why == "answered"
    assert {asked.host for asked in internet.asked} == {"site.test"}


def test_two_words_at_once(talk: Converse) -> None:
    """A word for a question that nobody waits for any more does no harm."""
    one = talk(STORY, web="ask")
    needed = one.ask(Ask(ASKED), ApprovalNeeded)
    threads = [threading.Thread(target=one.send, args=(Approve(needed.request, True),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    host = one.until(ApprovalNeeded)
    one.send(Approve("77", True))
    assert one.ask(Approve(host.request, True), RunEnded).why == "answered"
    assert "thirty-one" in one.of(AnswerReady)[0].text
