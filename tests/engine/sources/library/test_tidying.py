from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import pytest

from engine.errors import LibraryError
from engine.sources.library import tidying
from engine.sources.library.table import Row, Table

MANY = 4200


def rows(count: int) -> list[Row]:
    return [Row(f"d{n // 50}", n, "", 1, 1, 0, 9, f"It tells of harbour{n}", f"h{n}") for n in range(count)]


def unindexed(folder: Path) -> int:
    import lancedb

    return int(lancedb.connect(folder).open_table("chunks").index_stats(tidying.FULL_TEXT).num_unindexed_rows)


def seconds_of_children() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


@pytest.mark.parametrize(("count", "apart"), [(20, False), (MANY, True)])
def test_many_rows_are_tidied_by_a_process_that_ends(tmp_path: Path, count: int, apart: bool) -> None:
    table = Table(tmp_path / "chunks", 16, "random")
    table.add(rows(count))
    assert unindexed(tmp_path / "chunks") == count
    before = seconds_of_children()
    table.tidy()
    assert (seconds_of_children() > before) == apart
    assert unindexed(tmp_path / "chunks") == 0
    assert [row.number for row in table.search_text(f"harbour{count - 1}", 3)] == [count - 1]
    table.delete(["d0"])
    assert table.counts().chunks == count - min(50, count)
    table.close()


def test_what_goes_wrong_there_is_raised_here() -> None:
    with pytest.raises(LibraryError, match="The disk is full") as caught:
        tidying.apart(fail)
    assert caught.value.hint == "Make room."


def test_a_process_that_is_ended_is_told_to_who_waits_for_it() -> None:
    assert tidying.apart(partial(os._exit, 3)) is False


def test_a_table_is_tidied_here_where_no_process_can_do_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(tmp_path / "chunks", 16, "random")
    table.add(rows(MANY))
    monkeypatch.setattr("multiprocessing.spawn._python_exe", os.fsencode(tmp_path / "nothing"))
    table.tidy()
    assert unindexed(tmp_path / "chunks") == 0
    table.close()


@pytest.mark.fault
def test_it_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    starter = subprocess.Popen([sys.executable, "-m", "tests.engine.sources.library.test_tidying", str(note)])
    try:
        until(lambda: note.exists() and note.read_text().endswith("\n"))
        pid = int(note.read_text())
        assert runs(pid)
        starter.send_signal(signal.SIGKILL)
        starter.wait()
        until(lambda: not runs(pid))
    finally:
        starter.kill()
        starter.wait()


def runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def until(condition: Callable[[], bool]) -> None:
    """Wait until it holds. Raises AssertionError when it takes too long."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def fail() -> None:
    raise LibraryError("The disk is full.", "Make room.")


def stay(note: Path) -> None:
    note.write_text(f"{os.getpid()}\n")
    time.sleep(600)


if __name__ == "__main__":
    tidying.apart(partial(stay, Path(sys.argv[1])))
