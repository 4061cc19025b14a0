from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from engine.sources.library.discover import LARGEST, Scan, kind_of, scan


def look(path: Path) -> Scan:
    return scan(path, found=lambda count, folder: None, cancelled=lambda: False)


def names(result: Scan, root: Path) -> list[str]:
    return [each.path.relative_to(root).as_posix() for each in result.files]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(("a.md", "markdown"), ("A.TXT", "text"), ("a.rst", "rst"), ("a.html", "html"), ("a.py", "code")),
        *(("README", "text"), ("a.pdf", "pdf"), ("a.bin", ""), ("a", ""), (".md", "")),
    ],
)
def test_kinds_by_name(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_only_known_kinds_outside_hidden_and_cache_folders(tmp_path: Path) -> None:
    for name in ("b.md", "a/x.txt", ".git/c.md", ".h.md", "node_modules/d.md", "cached/e.md", "p.bin", "empty.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("" if name == "empty.txt" else "text")
    (tmp_path / "cached" / "CACHEDIR.TAG").write_text("Signature")
    result = look(tmp_path)
    assert sorted(names(result, tmp_path)) == ["a/x.txt", "b.md"]
    assert result.skipped == {"hidden": 2, "cache folder": 2, "unknown kind": 1, "empty": 1}
    assert not result.problems


def test_links_are_followed_only_to_files_elsewhere(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / "a.md").write_text("here")
    (elsewhere / "b.md").write_text("there")
    (root / "loop").symlink_to(root)
    (root / "again.md").symlink_to(root / "a.md")
    (root / "other.md").symlink_to(elsewhere / "b.md")
    (root / "self.md").symlink_to(root / "self.md")
    (root / "nothing.md").symlink_to(root / "gone.md")
    result = look(root)
    assert names(result, root) == ["a.md", "other.md"]
    assert result.skipped == {"link": 2}
    reasons = {each.path.name: each.reason for each in result.problems}
    assert "leads back to itself" in reasons["self.md"]
    assert "not there" in reasons["nothing.md"]


def test_what_is_no_file_is_skipped(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(tmp_path / "socket.md"))
        assert look(tmp_path).skipped == {"special file": 2}


def test_a_huge_file_is_reported_and_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.txt").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    result = look(tmp_path)
    assert result.skipped == {"too large": 1}
    assert "200 MB" in result.problems[0].reason and result.problems[0].hint
    (tmp_path / "huge.txt").unlink()
    with (tmp_path / "limit.txt").open("wb") as file:
        file.truncate(LARGEST)
    assert names(look(tmp_path), tmp_path) == ["limit.txt"]


def test_a_file_named_by_hand_is_taken_as_text(tmp_path: Path) -> None:
    path = tmp_path / "notes.xyz"
    path.write_text("text")
    assert [each.kind for each in look(path).files] == ["text"]


def test_a_missing_path_is_a_problem(tmp_path: Path) -> None:
    problem = look(tmp_path / "none").problems[0]
    assert "not there" in problem.reason and problem.hint


def test_a_scan_can_be_cancelled(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("x")
    assert scan(tmp_path, found=lambda count, folder: None, cancelled=lambda: True).files == []


def test_known_files_are_met_and_only_changed_ones_are_told(tmp_path: Path) -> None:
    for name in ("a.md", "b.md", "c.md", "d.md"):
        (tmp_path / name).write_text("text")
    known = {str(each.path): (each.size, each.mtime_ns) for each in look(tmp_path).files}
    (tmp_path / "b.md").write_text("longer text")
    (tmp_path / "c.md").write_text("")
    (tmp_path / "d.md").unlink()
    result = scan(tmp_path, found=lambda count, folder: None, cancelled=lambda: False, known=known)
    assert names(result, tmp_path) == ["b.md"] and result.same == 1
    assert sorted(Path(each).name for each in known) == ["c.md", "d.md"], "what was not met, or is of no use any more"
