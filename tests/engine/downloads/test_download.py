"""Downloads from a real server that behaves badly: the file comes whole and right, or it is said why not."""

from __future__ import annotations

import errno
import hashlib
import io
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pytest

from engine import offline
from engine.downloads.download import Cancelled, Downloader, Patience, Step, Wanted, file_name
from engine.downloads.part import Part, open_file
from engine.errors import DownloadFailed, ModelError
from engine.protocol import NetworkEntry
from tests.engine.downloads.serving import FileServer, serving

DATA = random.Random(5).randbytes(700_001)
SHA = hashlib.sha256(DATA).hexdigest()
QUICK = Patience(connect=5, idle=5, wait=0.001, attempts=3)


def get(server: FileServer, folder: Path, **options: object) -> tuple[Path, list[Step]]:
    steps: list[Step] = []
    made = Downloader(**{"patience": QUICK, **options})
    wanted = Wanted(server.url, folder / "small.gguf", len(DATA), SHA, own=True)
    return made.fetch(wanted, progress=steps.append), steps


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_file_comes_whole_with_its_progress_and_a_record_of_the_request(tmp_path: Path) -> None:
    record: list[NetworkEntry] = []
    with serving(DATA) as server:
        file, steps = get(server, tmp_path, record=record.append)
    assert file.read_bytes() == DATA
    assert left(tmp_path) == ["small.gguf"], "nothing is left beside it"
    assert (steps[-1].phase, steps[-1].done, steps[-1].total) == ("check", len(DATA), len(DATA))
    [entry] = record
    assert (entry.url, entry.host, entry.status, entry.result) == (server.url, "127.0.0.1", 200, "read")
    assert entry.address == "127.0.0.1" and entry.bytes > len(DATA)
    assert server.asked[0]["accept-encoding"] == "identity" and "cookie" not in server.asked[0]


@pytest.mark.parametrize("seed", range(3))
def test_cut_off_ten_times_at_random_places_it_arrives_whole(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    cuts = [chance.randrange(1, len(DATA) // 12) for _ in range(10)]
    with serving(DATA, cuts=list(cuts)) as server:
        file, steps = get(server, tmp_path)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == SHA
    ranges = [int(asked["range"].removeprefix("bytes=").removesuffix("-")) for asked in server.asked[1:]]
    assert ranges == [sum(cuts[: end + 1]) for end in range(10)], "each goes on where the one before was cut off"
    assert {asked["if-range"] for asked in server.asked[1:]} == {'"one"'}
    assert len([step for step in steps if step.note]) == 10, "each time it is told"


def test_cancelled_ten_times_it_goes_on_where_it_was(tmp_path: Path) -> None:
    chance = random.Random(1)
    part = Part(tmp_path / "small.gguf")
    with serving(DATA) as server:
        wanted = Wanted(server.url, part.file, len(DATA), SHA, own=True)
        for _ in range(10):
            limit, before = chance.randrange(1, len(DATA)), part.have()
            try:
                Downloader(patience=QUICK).fetch(wanted, cancelled=lambda limit=limit: part.have() > limit)
            except Cancelled:
                assert not wanted.file.exists() and part.have() >= before
        file, _ = get(server, tmp_path)
    assert file.read_bytes() == DATA
    assert sum(1 for asked in server.asked if "range" in asked) >= 1


def test_a_server_that_always_sends_all_of_it_is_read_anew(tmp_path: Path) -> None:
    with serving(DATA, ranges=False, cuts=[100_000, 200_000]) as server:
        file, steps = get(server, tmp_path)
    assert file.read_bytes() == DATA
    assert any("sends all of it again" in step.note for step in steps)


@pytest.mark.parametrize("respects", [True, False], ids=["if-range", "etag alone"])
def test_a_file_that_changed_in_between_is_not_mixed_with_what_it_was(tmp_path: Path, respects: bool) -> None:
    other = DATA[::-1]

    def change(server: FileServer) -> None:
        if len(server.asked) == 2:
            server.data, server.etag = other, '"two"'

    with serving(DATA, cuts=[300_000], respects=respects, before=change) as server:
        made = Downloader(patience=QUICK)
        file = made.fetch(Wanted(server.url, tmp_path / "small.gguf", own=True))
    assert file.read_bytes() == other


def test_without_a_mark_of_the_server_and_without_a_checksum_it_begins_anew(tmp_path: Path) -> None:
    with serving(DATA, etag="", cuts=[300_000]) as server:
        wanted = Wanted(server.url, tmp_path / "small.gguf", own=True)
        assert Downloader(patience=QUICK).fetch(wanted).read_bytes() == DATA
        server.cuts += [300_000] * 9
        wanted.file.unlink()
        with pytest.raises(DownloadFailed, match="was lost"):
            Downloader(patience=QUICK).fetch(wanted)
    assert all("range" not in asked for asked in server.asked)


def test_a_wrong_checksum_deletes_what_came_and_says_so(tmp_path: Path) -> None:
    with serving(DATA[:-1] + b"\0") as server, pytest.raises(DownloadFailed, match="SHA-256") as caught:
        get(server, tmp_path)
    assert "It was deleted" in str(caught.value) and caught.value.hint
    assert left(tmp_path) == []


def test_another_length_than_the_catalogue_knows_is_refused_before_a_byte_is_kept(tmp_path: Path) -> None:
    with serving(DATA + b"more") as server, pytest.raises(DownloadFailed, match=r"700,005 bytes .* not 700,001"):
        get(server, tmp_path)
    assert Part(tmp_path / "small.gguf").have() == 0


@pytest.mark.parametrize(
    ("status", "said"),
    [(404, "404 Not Found: there is no such file"), (403, "403 Forbidden: it wants you to sign in"), (418, "418")],
)
def test_what_a_server_refuses_is_said_and_not_asked_again(tmp_path: Path, status: int, said: str) -> None:
    with serving(DATA, statuses=[status]) as server, pytest.raises(DownloadFailed, match=said):
        get(server, tmp_path)
    assert len(server.asked) == 1


def test_a_server_that_is_busy_is_asked_again_and_then_given_up(tmp_path: Path) -> None:
    with serving(DATA, statuses=[503, 429]) as server:
        file, steps = get(server, tmp_path)
        assert file.read_bytes() == DATA
        file.unlink()
        server.statuses += [503] * 9
        with pytest.raises(DownloadFailed, match="503 Service Unavailable"):
            get(server, tmp_path)
    assert [step.note for step in steps if step.note] == [
        "its server answered 503 Service Unavailable; trying again",
        "its server answered 429 Too Many Requests; trying again",
    ]


def test_nobody_there_is_said_after_a_second_look(tmp_path: Path) -> None:
    with serving(DATA) as server:
        pass
    record: list[NetworkEntry] = []
    with pytest.raises(DownloadFailed, match=r"connection to 127\.0\.0\.1 was lost"):
        get(server, tmp_path, record=record.append)
    assert len(record) == 2 and "refused" in record[0].result.lower()


def test_no_network_is_said(tmp_path: Path) -> None:
    def nobody(host: str, port: int) -> Sequence[str]:
        raise OSError("no name service")

    wanted = Wanted("https://models.example.org/small.gguf", tmp_path / "small.gguf")
    with pytest.raises(DownloadFailed, match=r"no network, or no models\.example\.org"):
        Downloader(patience=QUICK, resolve=nobody).fetch(wanted)


# ── the disk ─────────────────────────────────────────────────────────────────────────────────────


def test_a_disk_without_room_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    with serving(DATA) as server, pytest.raises(DownloadFailed, match=r"no room for small\.gguf: 0\.7 MB are missing"):
        get(server, tmp_path, free=lambda _: 60 << 20)
    assert server.asked == []


def test_a_disk_that_fills_up_keeps_what_came_and_goes_on_later(tmp_path: Path) -> None:
    class Full(io.FileIO):
        def write(self, data: object) -> int:
            if self.tell() > 200_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    def small(path: Path, mode: str) -> BinaryIO:
        return io.BufferedWriter(Full(path, mode.replace("b", "")), 1)

    with serving(DATA) as server:
        with pytest.raises(DownloadFailed, match="disk is full") as caught:
            get(server, tmp_path, open=small)
        assert "kept" in caught.value.hint
        had = Part(tmp_path / "small.gguf").have()
        assert 0 < had < len(DATA)
        file, _ = get(server, tmp_path, open=open_file)
    assert file.read_bytes() == DATA
    assert server.asked[-1]["range"] == f"bytes={had}-"


def test_two_do_not_fetch_the_same(tmp_path: Path) -> None:
    with (
        serving(DATA) as server,
        Part(tmp_path / "small.gguf").alone(),
        pytest.raises(DownloadFailed, match="Another process"),
    ):
        get(server, tmp_path)
    assert server.asked == []


def test_what_is_no_model_is_deleted(tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        raise ModelError("it is a page")

    with serving(DATA) as server, pytest.raises(DownloadFailed, match=r"is no model: it is a page\. It was deleted"):
        Downloader().fetch(Wanted(server.url, tmp_path / "small.gguf", own=True), inspect=refuse)
    assert left(tmp_path) == []


def test_a_part_of_another_address_is_not_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "small.gguf"
    with serving(DATA) as server:
        with pytest.raises(Cancelled):
            Downloader().fetch(
                Wanted(server.url + "?old", file, own=True), cancelled=lambda: Part(file).have() > 100_000
            )
        assert Part(file).have() > 0
        assert Downloader().fetch(Wanted(server.url, file, own=True)).read_bytes() == DATA
    assert "range" not in server.asked[-1]


# ── where it may lead ────────────────────────────────────────────────────────────────────────────


def test_redirects_are_followed_and_their_keys_are_not_written_down(tmp_path: Path) -> None:
    record: list[NetworkEntry] = []
    with serving(DATA) as server:
        server.redirects["/models/small.gguf"] = f"http://127.0.0.1:{server.port}/store/0123?key=secret"
        file, _ = get(server, tmp_path, record=record.append)
    assert file.read_bytes() == DATA and server.paths[-1] == "/store/0123?key=secret"
    assert [entry.status for entry in record] == [302, 200]
    assert "secret" not in repr(record)


def test_a_ring_of_redirects_ends(tmp_path: Path) -> None:
    with serving(DATA) as server:
        server.redirects["/models/small.gguf"] = "/models/small.gguf"
        with pytest.raises(DownloadFailed, match="leads on more than 5 times"):
            get(server, tmp_path)
    assert len(server.asked) == 6


PUBLIC = "93.184.216.34"


@pytest.mark.parametrize(
    ("names", "own", "said"),
    [
        ({"models.example.org": ["127.0.0.1"]}, False, "not a public place but a loopback address"),
        ({"models.example.org": [PUBLIC, "10.0.0.1"]}, False, "not a public place but a private address"),
        ({"models.example.org": ["169.254.169.254"]}, True, "not a public place but a link-local address"),
    ],
    ids=["loopback", "mixed", "metadata"],
)
def test_a_name_that_leads_to_a_private_place_is_refused(
    tmp_path: Path, names: dict[str, list[str]], own: bool, said: str
) -> None:
    dialled: list[object] = []

    def dial(address: str, port: int) -> None:
        dialled.append(address)
        raise OSError("nothing is dialled here")

    made = Downloader(patience=QUICK, resolve=lambda host, port: names[host], dial=dial)
    with pytest.raises(DownloadFailed, match=said):
        made.fetch(Wanted("http://models.example.org/small.gguf", tmp_path / "small.gguf", own=own))
    assert dialled == []


@pytest.mark.parametrize(
    "to", ["http://127.0.0.1:{port}/x.gguf", "http://inside.example.org/x.gguf", "file:///etc/passwd"]
)
def test_a_public_address_never_leads_into_a_private_network(tmp_path: Path, to: str) -> None:
    from engine.sources.web import wire

    with serving(DATA) as server:
        server.redirects["/small.gguf"] = to.format(port=server.port)
        names = {"models.example.org": [PUBLIC], "inside.example.org": ["127.0.0.1"]}
        made = Downloader(
            patience=QUICK,
            resolve=lambda host, port: names[host],
            dial=lambda address, port: wire.dial("127.0.0.1", server.port),
        )
        for own in (True, False):
            with pytest.raises(DownloadFailed, match=r"not opened|not a public place"):
                made.fetch(Wanted("http://models.example.org/small.gguf", tmp_path / "small.gguf", own=own))
    assert len(server.asked) == 2, "only the public address itself was asked"


@pytest.mark.parametrize("url", ["ftp://example.org/a.gguf", "http://user:word@example.org/a.gguf", "http:///a.gguf"])
def test_only_plain_http_addresses_are_fetched(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadFailed, match="not opened"):
        Downloader().fetch(Wanted(url, tmp_path / "a.gguf", own=True))


def test_the_guard_is_open_for_the_download_and_nothing_else(tmp_path: Path) -> None:
    import socket

    from engine.errors import NetworkForbidden

    tried: list[str] = []

    with serving(DATA) as server, serving(b"other") as other, offline.guarded():

        def progress(step: Step) -> None:
            with pytest.raises(NetworkForbidden):
                socket.create_connection(("127.0.0.1", other.port), timeout=5)
            tried.append(step.phase)

        Downloader().fetch(Wanted(server.url, tmp_path / "small.gguf", own=True), progress=progress)
        assert tried
        with pytest.raises(NetworkForbidden):
            socket.create_connection(("127.0.0.1", server.port), timeout=5)
    assert not offline.is_forbidden()


def test_an_idle_server_is_given_up_and_a_cancel_is_heard_at_once(tmp_path: Path) -> None:
    hold, asked = threading.Event(), threading.Event()

    def wait(server: FileServer) -> None:
        asked.set()
        hold.wait(20)

    with serving(DATA, before=wait) as server:
        try:
            with pytest.raises(Cancelled):
                Downloader(patience=QUICK).fetch(
                    Wanted(server.url, tmp_path / "small.gguf", own=True), cancelled=asked.is_set
                )
            patience = Patience(connect=1, idle=0.2, wait=0.001, attempts=2)
            with pytest.raises(DownloadFailed, match="no answer in time"):
                get(server, tmp_path, patience=patience)
        finally:
            hold.set()


@pytest.mark.parametrize(
    "url", ["https://example.org/a.bin", "https://example.org/", "https://example.org/%2e%2e%2fa.gguf"]
)
def test_an_address_must_end_in_the_name_of_a_model(url: str) -> None:
    with pytest.raises(DownloadFailed, match="does not end in the name"):
        file_name(url)


def test_the_name_of_a_file_is_that_at_the_end(tmp_path: Path) -> None:
    assert file_name("https://example.org/a/b/small-Q4_K_M.gguf?download=true#x") == "small-Q4_K_M.gguf"


def test_speed_and_time_left_are_those_of_the_last_seconds(tmp_path: Path) -> None:
    now = iter(float(second) for second in range(100_000))
    with serving(DATA) as server:
        _, steps = get(server, tmp_path, clock=lambda: next(now))
    told = [step for step in steps if step.phase == "download" and 0 < step.done < len(DATA)]
    assert told and all(step.speed > 0 and step.eta >= 0 for step in told[2:])
    assert told[-1].eta < told[3].eta
