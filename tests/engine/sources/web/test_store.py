from __future__ import annotations

import random
import sqlite3
import string
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.errors import SourceError
from engine.sources.base import PageLink
from engine.sources.web.store import Kept, PageStore

URL = "https://site.test/lamps"


def kept(text: str, fetched: float = 1.0, url: str = URL) -> Kept:
    return Kept(url, url + "?moved", fetched, "Lamps", text, (PageLink("all", "https://site.test/", 1),))


def words(number: int) -> str:
    """A text that cannot be packed much."""
    dice = random.Random(number)
    return "".join(dice.choices(string.ascii_letters, k=10_000))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "web" / "pages.db"


def test_a_page_comes_back_as_it_was_read(path: Path) -> None:
    page = kept("The lamp burns\nwhale oil. ␛ Öl 灯台\n")
    PageStore(path).put(page)
    assert PageStore(path).get(URL) == page


def test_each_time_a_page_was_read_is_kept(path: Path) -> None:
    store = PageStore(path)
    for fetched in (10.0, 30.0, 20.0):
        store.put(kept(f"at {fetched}", fetched))
    found = [store.get(URL, at) for at in (None, 30.0, 29.9, 15.0, 9.9)]
    assert [page and page.text for page in found] == ["at 30.0", "at 30.0", "at 20.0", "at 10.0", None]


def test_nothing_is_made_until_a_page_is_kept(path: Path) -> None:
    store = PageStore(path)
    assert store.get(URL) is None
    assert store.size() == (0, 0)
    assert not path.parent.exists()


def test_the_oldest_pages_make_room(path: Path) -> None:
    store = PageStore(path, limit=100_000)
    for number in range(40):
        store.put(kept(words(number), float(number), f"{URL}/{number}"))
        pages, size = store.size()
        assert size <= 100_000
        assert store.get(f"{URL}/{number}") is not None
    assert 8 <= pages <= 13
    assert [store.get(f"{URL}/{number}") is None for number in range(40)] == [True] * (40 - pages) + [False] * pages


def test_a_page_larger_than_the_limit_is_kept_alone(path: Path) -> None:
    store = PageStore(path, limit=1_000)
    store.put(kept("small", 1.0))
    store.put(kept(words(1), 2.0))
    assert store.size()[0] == 1
    assert store.get(URL) == kept(words(1), 2.0)


def test_threads_share_it(path: Path) -> None:
    store = PageStore(path)

    def work(number: int) -> None:
        store.put(kept(words(number), 1.0, f"{URL}/{number}"))
        assert store.get(f"{URL}/{number}") is not None

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.size()[0] == 8


def test_processes_share_it(path: Path) -> None:
    mine = PageStore(path)
    mine.put(kept("mine"))
    program = (
        "import sys; from pathlib import Path; from engine.sources.web.store import Kept, PageStore\n"
        "store = PageStore(Path(sys.argv[1])); print(store.get(sys.argv[2]).text)\n"
        "store.put(Kept(sys.argv[2], sys.argv[2], 5.0, '', 'theirs'))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path), URL], capture_output=True, text=True, check=True)
    found = mine.get(URL)
    assert (done.stdout.strip(), found and found.text) == ("mine", "theirs")


def test_a_damaged_file_is_an_error_and_can_be_set_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 100)
    store = PageStore(path)
    for act in (lambda: store.get(URL), lambda: store.put(kept("x")), store.size):
        with pytest.raises(SourceError, match="cannot be used"):
            act()
    aside = store.discard()
    assert aside is not None
    assert aside.read_bytes().startswith(b"this is no database")
    store.put(kept("new"))
    assert store.get(URL) == kept("new")


def test_a_newer_file_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(SourceError, match="newer version"):
        PageStore(path).put(kept("x"))
