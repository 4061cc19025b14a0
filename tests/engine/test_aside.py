"""A SQLite file that is set aside takes its last writes along, and leaves nothing to the next one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from engine.aside import set_aside


def test_what_stands_in_the_log_alone_goes_along_and_the_next_file_begins_empty(tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    with closing(sqlite3.connect(path)) as writing:
        writing.execute("PRAGMA journal_mode = WAL")
        writing.execute("PRAGMA wal_autocheckpoint = 0")
        writing.execute("CREATE TABLE words (word)")
        writing.execute("INSERT INTO words VALUES ('last')")
        writing.commit()
        assert Path(f"{path}-wal").stat().st_size
        aside = set_aside(path)  # as if its process had been killed: the log was not brought into the file
        assert aside is not None
        with closing(sqlite3.connect(aside)) as reading:
            assert reading.execute("SELECT word FROM words").fetchall() == [("last",)]
        assert not list(tmp_path.glob("kept.db")) + list(tmp_path.glob("kept.db-*"))


def test_two_in_one_second_have_two_names_and_a_lost_log_is_let_go_of(tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    names = set()
    for _ in range(3):
        path.write_bytes(b"damaged")
        names.add(set_aside(path))
    assert len(names) == 3 and all(each is not None and each.read_bytes() == b"damaged" for each in names)
    Path(f"{path}-wal").write_bytes(b"of a file that is gone")
    assert set_aside(path) is None and not Path(f"{path}-wal").exists()
