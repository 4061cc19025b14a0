from __future__ import annotations

import gzip
import itertools
import socket
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import Refused, SourceError
from engine.sources.web import wire
from engine.sources.web.body import Limits
from engine.sources.web.urls import Allowance, Target
from tests.engine.sources.web.internet import PUBLIC, QUICK, Asked, Internet, Page

HTML = {"Content-Type": "text/html; charset=utf-8"}


def test_a_page_is_read_from_the_address_that_was_checked(internet: Internet) -> None:
    url = internet.put("http://site.test/a?b=1", b"<p>hello</p>")
    page = internet.fetcher().get(url)
    assert (page.body, page.kind, page.charset) == (b"<p>hello</p>", "text/html", "utf-8")
    assert (page.asked, page.url) == (url, url)
    assert internet.dialled == [(PUBLIC, 80)]


def test_a_request_says_who_asks_and_nothing_about_the_person(
    internet: Internet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
        monkeypatch.setenv(name.upper(), "http://127.0.0.1:9/")
    internet.redirect("http://first.test/", "http://second.test/")
    internet.put("http://second.test/", Page(b"<p>hello</p>", headers=HTML | {"Set-Cookie": "id=7; Path=/"}))
    fetcher = internet.fetcher()
    fetcher.get("http://first.test/")
    fetcher.get("http://second.test/")
    for asked in internet.asked:
        assert {name for name, _ in asked.headers} == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
        assert dict(asked.headers)["User-Agent"].startswith("deepsearch-tui/")


# ── where requests may go ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["10.1.2.3"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%eth0"],
        [PUBLIC, "127.0.0.1"],
        ["127.0.0.1", PUBLIC],
        [PUBLIC, "8.8.8.8", "fd00::1"],
        ["not an address"],
    ],
)
def test_a_name_that_leads_inside_is_refused_whatever_else_it_says(internet: Internet, answer: list[str]) -> None:
    internet.put("http://site.test/", b"never")
    internet.names["site.test"] = answer
    with pytest.raises(Refused, match="its name leads to"):
        internet.fetcher().get("http://site.test/")
    assert internet.dialled == []
    assert "leads to" in internet.recorded[0].result


def test_a_name_server_that_changes_its_mind_wins_nothing(internet: Internet) -> None:
    answers: Iterator[Sequence[str]] = itertools.cycle([[PUBLIC], ["127.0.0.1"]])
    internet.put("http://rebind.test/", b"public")
    internet.names["rebind.test"] = lambda: next(answers)
    fetcher = internet.fetcher()
    assert fetcher.get("http://rebind.test/").body == b"public"
    assert (internet.resolved, internet.dialled) == (["rebind.test"], [(PUBLIC, 80)])
    with pytest.raises(Refused):
        fetcher.get("http://rebind.test/")
    assert internet.dialled == [(PUBLIC, 80)]


def test_each_hop_and_each_attempt_is_checked_anew(internet: Internet) -> None:
    answers: Iterator[Sequence[str]] = iter([[PUBLIC], ["127.0.0.1"]])
    internet.put("http://rebind.test/", Page(b"", 503))
    internet.names["rebind.test"] = lambda: next(answers)
    with pytest.raises(Refused):
        internet.fetcher().get("http://rebind.test/")
    assert internet.dialled == [(PUBLIC, 80)]


@pytest.mark.parametrize(
    "inside",
    [
        "http://127.0.0.1/secret",
        "http://inside.test/secret",
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706433/",
        "http://[::ffff:127.0.0.1]/",
        "//localhost/secret",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://user@site.test/",
        "http://[::1",
    ],
)
def test_a_chain_of_redirects_that_ends_inside_is_not_followed_to_its_end(internet: Internet, inside: str) -> None:
    internet.redirect("http://a.test/", "http://b.test/x", 301)
    internet.redirect("http://b.test/x", "../y", 307)
    internet.redirect("http://b.test/y", inside, 302)
    internet.put("http://inside.test/secret", b"the secret", address="192.168.0.9")
    with pytest.raises(Refused):
        internet.fetcher().get("http://a.test/")
    assert [asked.host for asked in internet.asked] == ["a.test", "b.test", "b.test"]
    assert {address for address, _ in internet.dialled} == {PUBLIC}


def test_redirects_are_followed_and_told(internet: Internet) -> None:
    internet.redirect("http://a.test/", "https://secure.test/moved?x=ä", 308)
    internet.put("https://secure.test/moved?x=%C3%A4", b"<p>here</p>")
    page = internet.fetcher().get("http://a.test/")
    assert (page.asked, page.url, page.body) == (
        "http://a.test/",
        "https://secure.test/moved?x=%C3%A4",
        b"<p>here</p>",
    )
    assert [(entry.status, entry.result) for entry in internet.recorded] == [
        (308, "leads on to https://secure.test/moved?x=ä"),
        (200, "read"),
    ]


def test_redirects_end(internet: Internet) -> None:
    internet.redirect("http://a.test/", "http://b.test/")
    internet.redirect("http://b.test/", "http://a.test/")
    with pytest.raises(SourceError, match="more than 5 times"):
        internet.fetcher().get("http://a.test/")
    assert len(internet.asked) == 6


def test_https_does_not_lead_back_to_http(internet: Internet) -> None:
    internet.redirect("https://secure.test/", "http://secure.test/plain")
    internet.put("http://secure.test/plain", b"never")
    with pytest.raises(Refused, match="from https to http"):
        internet.fetcher().get("https://secure.test/")
    assert len(internet.asked) == 1


def test_the_certificate_is_checked_against_the_name_not_the_address(internet: Internet) -> None:
    internet.put("https://secure.test/", b"secure")
    internet.put("https://other.test/", b"never")
    assert internet.fetcher().get("https://secure.test/").body == b"secure"
    assert internet.dialled == [(PUBLIC, 443)]
    with pytest.raises(SourceError, match="certificate is not valid"):
        internet.fetcher().get("https://other.test/")
    with pytest.raises(SourceError, match="certificate is not valid"):  # of an authority nobody knows
        internet.fetcher(tls=None).get("https://secure.test/")
    assert len(internet.asked) == 1


def test_the_next_address_is_tried_where_one_does_not_answer(internet: Internet) -> None:
    internet.put("http://site.test/", b"hello")
    internet.names["site.test"] = ("2606:2800:21f::1", PUBLIC)

    def dial(address: str, port: int) -> socket.socket:
        if ":" in address:
            raise OSError("Network is unreachable")
        return internet.dial(address, port)

    internet.fetcher(dial=dial).get("http://site.test/")
    assert internet.recorded[0].address == PUBLIC


def test_loopback_is_reached_only_where_code_allows_it(internet: Internet) -> None:
    port = internet.plugs[80]
    internet.put(f"http://127.0.0.1:{port}/", b"<p>own</p>")
    own = f"127.0.0.1:{port}"
    with pytest.raises(Refused):
        internet.fetcher(dial=None).get(f"http://{own}/")
    assert internet.fetcher(dial=None, allow=Allowance(frozenset({own}))).get(f"http://{own}/").body == b"<p>own</p>"
    assert internet.fetcher(dial=None).get(f"http://{own}/", allow=Allowance(frozenset({own}))).body == b"<p>own</p>"
    internet.redirect(f"http://{own}/on", f"http://localhost:{port}/")
    with pytest.raises(Refused):
        internet.fetcher(dial=None, allow=Allowance(frozenset({own}))).get(f"http://{own}/on")


def test_a_person_is_asked_about_every_place_on_the_way(internet: Internet) -> None:
    internet.redirect("http://a.test/", "http://b.test/")
    internet.put("http://b.test/", b"never")
    places: list[str] = []

    def permit(target: Target) -> None:
        places.append(target.host)
        if target.host == "b.test":
            raise Refused("not there")

    with pytest.raises(Refused, match="not there"):
        internet.fetcher().get("http://a.test/", permit=permit)
    assert places == ["a.test", "b.test"]
    assert [asked.host for asked in internet.asked] == ["a.test"]
    assert internet.resolved == ["a.test"]


def test_a_person_may_take_longer_than_a_page(internet: Internet) -> None:
    internet.put("http://a.test/", b"hello")
    fetcher = internet.fetcher(limits=replace(QUICK, seconds=0.2))
    assert fetcher.get("http://a.test/", permit=lambda _: time.sleep(0.4)).body == b"hello"


# ── what comes back ──────────────────────────────────────────────────────────────────────────────


def _endless() -> Iterator[bytes]:
    while True:
        yield b"a" * 65536


def _slow() -> Iterator[bytes]:
    while True:
        yield b"a"
        time.sleep(0.05)


def _silent() -> Iterator[bytes]:
    yield b"a"
    time.sleep(3)


def _zeros(megabytes: int) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        pack = zlib.compressobj(wbits=31)
        for _ in range(megabytes):
            yield pack.compress(bytes(1 << 20))
        yield pack.flush()

    return pieces


PLAIN = {"Content-Type": "text/plain"}


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (Page(stream=_endless), "larger than 2 MB"),
        (Page(b"", headers=HTML | {"Content-Length": "999999999"}), "larger than 2 MB"),
        (Page(headers=HTML | {"Content-Encoding": "gzip"}, stream=_zeros(2000)), "more than 100 times"),
        (Page(gzip.compress(gzip.compress(bytes(10**8))), headers=HTML | {"Content-Encoding": "gzip, gzip"}), "packed"),
        (Page(b"x", headers=HTML | {"Content-Encoding": "br"}), "packed in a way that was not asked for"),
        (Page(b"no gzip at all", headers=HTML | {"Content-Encoding": "gzip"}), "damaged"),
        (Page(gzip.compress(b"hello" * 99)[:-12], headers=HTML | {"Content-Encoding": "gzip"}), "ends too early"),
        (Page(b"half", headers=HTML | {"Content-Length": "100"}), "could not be read"),
        (Page(stream=_silent), "no answer in time"),
        (Page(b"GIF89a", headers={"Content-Type": "image/gif"}), "kind that cannot be read .image/gif."),
        (Page(b"MZ", headers={"Content-Type": "application/octet-stream"}), "cannot be read"),
        (Page(b"", headers=HTML | {"X-Long": "a" * 200_000}), "could not be read"),
        (Page(b"", 404), "404 Not Found"),
        (Page(b"", 403), "403 Forbidden"),
        (Page(b"", 204), "204 No Content"),
        (Page(b"", 799), "799"),
        (Page(b"", 302, {}), "302 Found"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_read_says_why(internet: Internet, page: Page, says: str) -> None:
    url = internet.put("http://site.test/page", page)
    before = time.monotonic()
    with pytest.raises(SourceError, match=says) as raised:
        internet.fetcher().get(url)
    assert "http://site.test/page" in str(raised.value)
    assert time.monotonic() - before < 4
    assert len(internet.asked) == 1
    assert internet.recorded[0].bytes < 3_000_000


def test_a_body_that_comes_drop_by_drop_ends_with_the_time(internet: Internet) -> None:
    internet.put("http://site.test/", Page(stream=_slow))
    with pytest.raises(SourceError, match=r"longer than 0\.4 seconds"):
        internet.fetcher(limits=replace(QUICK, seconds=0.4)).get("http://site.test/")


@pytest.mark.parametrize(
    ("pack", "encoding"),
    [
        (gzip.compress, "gzip"),
        (gzip.compress, " X-GZIP "),
        (zlib.compress, "deflate"),
        (lambda body: zlib.compress(body)[2:-4], "deflate"),
        (bytes, "identity"),
        (bytes, ""),
    ],
)
def test_packed_pages_are_unpacked(internet: Internet, pack: Callable[[bytes], bytes], encoding: str) -> None:
    body = b"<p>" + b"The lamp burns whale oil. " * 20_000
    url = internet.put("http://site.test/", Page(pack(body), headers=HTML | {"Content-Encoding": encoding}))
    assert internet.fetcher().get(url).body == body


def test_an_empty_page_is_a_page(internet: Internet) -> None:
    for encoding in ("gzip", ""):
        url = internet.put("http://site.test/", Page(b"", headers=HTML | {"Content-Encoding": encoding}))
        assert internet.fetcher().get(url).body == b""


def test_the_guide_names_the_limits_there_are() -> None:
    guide = " ".join((Path(__file__).parents[4] / "docs" / "web.md").read_text().split())
    limits = Limits()
    assert f"at most {limits.size / 1e6:g} MB and may take {limits.seconds:g} seconds" in guide
    assert f"at most {limits.redirects} redirects" in guide


# ── manners ──────────────────────────────────────────────────────────────────────────────────────


def _after(failures: Sequence[Page], then: Page) -> Callable[[Asked], Page]:
    answers = iter([*failures, then])
    return lambda _: next(answers)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_again_when_it_says(internet: Internet, status: int) -> None:
    busy = Page(b"", status, {"Retry-After": "0"})
    internet.put("http://site.test/", _after([busy, busy], Page(b"<p>now</p>")))
    assert internet.fetcher().get("http://site.test/").body == b"<p>now</p>"
    assert [entry.status for entry in internet.recorded] == [status, status, 200]


def test_a_server_that_stays_busy_is_let_be(internet: Internet) -> None:
    internet.put("http://site.test/", Page(b"", 429, {"Retry-After": "0"}))
    with pytest.raises(SourceError, match="429 Too Many Requests"):
        internet.fetcher().get("http://site.test/")
    assert len(internet.asked) == 3


@pytest.mark.parametrize("wait", ["3600", "Fri, 31 Dec 9999 23:59:59 GMT", "99999999999999999999"])
def test_nobody_waits_for_an_hour(internet: Internet, wait: str) -> None:
    internet.put("http://site.test/", Page(b"", 503, {"Retry-After": wait}))
    with pytest.raises(SourceError, match="asks to wait"):
        internet.fetcher().get("http://site.test/")
    assert len(internet.asked) == 1


def test_without_a_word_the_second_attempt_comes_after_a_second(internet: Internet) -> None:
    internet.put("http://site.test/", _after([Page(b"", 500, {"Retry-After": "soon"})], Page(b"now")))
    before = time.monotonic()
    internet.fetcher().get("http://site.test/")
    assert 0.9 < time.monotonic() - before < 3


def test_a_host_is_asked_at_intervals_and_others_meanwhile(internet: Internet) -> None:
    internet.put("http://a.test/", b"hello")
    internet.put("http://b.test/", b"hello")
    fetcher = internet.fetcher(interval=0.3, limits=replace(QUICK, seconds=0.5))
    threads = [threading.Thread(target=fetcher.get, args=(f"http://{host}.test/",)) for host in "aaab"]
    start = time.time()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    began = {host: sorted(each.began - start for each in internet.recorded if each.host[0] == host) for host in "ab"}
    assert [began["a"][place] >= 0.29 * place for place in range(3)] == [True] * 3
    assert began["b"][0] < began["a"][2]


# ── called off ───────────────────────────────────────────────────────────────────────────────────


def _deaf() -> list[socket.socket]:
    """A listener, and what fills its queue: who connects to it now waits."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = [wire.dial("127.0.0.1", listener.getsockname()[1]) for _ in range(4)]
    time.sleep(0.1)
    return [listener, *waiting]


@pytest.mark.parametrize("phase", ["name", "connect", "tls", "head", "body", "permit", "again", "turn"])
def test_a_fetch_is_called_off_at_once_whatever_it_waits_for(internet: Internet, phase: str) -> None:
    called_off = threading.Event()
    limits = replace(QUICK, seconds=60.0, idle=30.0, connect=30.0, patience=30.0)
    release = threading.Event()
    url = "http://site.test/"
    internet.put(url, Page(stream=_slow) if phase == "body" else b"hello")
    options: dict[str, object] = {}
    quiet = socket.create_server(("127.0.0.1", 0))  # accepts, and never says a word
    deaf: list[socket.socket] = []
    if phase == "name":
        options["resolve"] = lambda host, port: (release.wait(30), [PUBLIC])[1]
    elif phase == "connect":
        deaf = _deaf()
        internet.plugs[80] = deaf[0].getsockname()[1]
    elif phase in ("tls", "head"):
        internet.plugs = {80: quiet.getsockname()[1], 443: quiet.getsockname()[1]}
        url = "https://site.test/" if phase == "tls" else url
    elif phase == "again":
        internet.put(url, Page(b"", 503, {"Retry-After": "20"}))
    elif phase == "turn":
        options["interval"] = 20.0
    fetcher = internet.fetcher(limits=limits, **options)
    if phase == "turn":
        fetcher.get(url)

    def permit(target: Target) -> None:
        if phase == "permit":  # who asks the person stops asking when the run stops
            called_off.wait(30)
            raise Refused("the run was stopped")

    threading.Timer(0.3, called_off.set).start()
    before = time.monotonic()
    with pytest.raises(SourceError, match=r"called off|stopped"):
        fetcher.get(url, cancelled=called_off.is_set, permit=permit)
    took = time.monotonic() - before
    release.set()
    for each in (quiet, *deaf):
        each.close()
    assert 0.25 < took < 1.3  # 0.3 until it is called off, a look every 0.05, and what a busy machine adds


@pytest.mark.parametrize(
    ("phase", "says"), [("connect", "no connection in time"), ("head", "no answer in time"), ("tls", "no answer")]
)
def test_a_silent_host_is_given_up(internet: Internet, phase: str, says: str) -> None:
    internet.put("http://site.test/", b"never")
    silent = _deaf() if phase == "connect" else [socket.create_server(("127.0.0.1", 0))]
    internet.plugs = dict.fromkeys((80, 443), silent[0].getsockname()[1])
    with pytest.raises(SourceError, match=says):
        internet.fetcher().get("https://site.test/" if phase == "tls" else "http://site.test/")
    for each in silent:
        each.close()


def test_names_and_ports_that_nobody_has(internet: Internet) -> None:
    with pytest.raises(SourceError, match="its name could not be found"):
        internet.fetcher().get("http://nobody.test/")
    internet.names["nothing.test"] = ()
    with pytest.raises(SourceError, match="has no address"):
        internet.fetcher().get("http://nothing.test/")
    internet.put("http://site.test/", b"never")
    with pytest.raises(SourceError, match="refused"):
        internet.fetcher().get("http://site.test:8080/")


# ── the record ───────────────────────────────────────────────────────────────────────────────────


def test_every_request_is_recorded_with_what_came_of_it(internet: Internet) -> None:
    internet.put("http://site.test/a", b"x" * 1000)
    fetcher = internet.fetcher()
    before = time.time()
    fetcher.get("http://site.test/a", purpose="page")
    for url in ("http://site.test/b", "http://nobody.test/"):
        with pytest.raises(SourceError):
            fetcher.get(url, purpose="search")
    read, missing, unknown = internet.recorded
    assert before <= read.began <= time.time()
    assert (read.purpose, read.method, read.url, read.host) == ("page", "GET", "http://site.test/a", "site.test")
    assert (read.address, read.status, read.result) == (PUBLIC, 200, "read")
    assert 1000 < read.bytes < 2000
    assert 0 < read.seconds < 4
    assert (missing.purpose, missing.status, missing.result) == ("search", 404, "404 Not Found")
    assert (unknown.address, unknown.status, unknown.bytes) == ("", 0, 0)
    assert unknown.result == "its name could not be found"
