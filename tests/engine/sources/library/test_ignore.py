from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.sources.library.discover import left_out, scan
from engine.sources.library.ignore import Rules


def found(root: Path, files: Mapping[str, str]) -> list[str]:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    result = scan(root, found=lambda count, folder: None, cancelled=lambda: False)
    return sorted(each.path.relative_to(root).as_posix() for each in result.files)


def test_patterns_of_git_leave_out_files_and_folders(tmp_path: Path) -> None:
    files = {
        ".gitignore": "# made\nbuild/\n*.log\n!keep.log\n/top.md\n\\#odd.md\nsub/**/deep.md\n",
        "build/a.md": "x",
        "sub/build/b.md": "x",
        "run.log": "x",
        "keep.log": "x",
        "top.md": "x",
        "sub/top.md": "x",
        "#odd.md": "x",
        "sub/x/y/deep.md": "x",
        "a.md": "x",
    }
    assert found(tmp_path, files) == ["a.md", "keep.log", "sub/top.md"]


def test_the_innermost_file_decides_and_ours_before_gits(tmp_path: Path) -> None:
    files = {
        ".gitignore": "*.log\nsecret/\n",
        "logs/.gitignore": "!*.log\n",
        "logs/a.log": "x",
        "logs/old/b.log": "x",
        "notes/.gitignore": "!c.md\n",
        "notes/.deepsearchignore": "c.md\n",
        "notes/c.md": "x",
        "notes/d.md": "x",
        "secret/.gitignore": "!e.md\n",
        "secret/e.md": "x",
        "f.log": "x",
    }
    assert found(tmp_path, files) == ["logs/a.log", "logs/old/b.log", "notes/d.md"]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    found(tmp_path, {".gitignore": "b.md\nfolder\n", "b.md": "x", "folder/c.md": "x", "folder/d.md": "x"})
    result = scan(tmp_path, found=lambda count, folder: None, cancelled=lambda: False)
    assert result.skipped == {"hidden": 1, "ignored": 2}


@pytest.mark.parametrize("bad", ["!", "\\", "[", "x\\", "\x00", "***", "", "#", "é\udcff"])
def test_a_line_that_is_no_pattern_is_passed_over(tmp_path: Path, bad: str) -> None:
    (tmp_path / ".gitignore").write_bytes(os.fsencode(f"a.md\n{bad}\nb.md\n"))
    names = found(tmp_path, {"a.md": "x", "b.md": "x", "c.md": "x"})
    assert names in ([], ["c.md"])


def test_an_ignore_file_that_is_a_folder_or_empty_or_binary_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").mkdir()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".gitignore").write_bytes(bytes(range(256)) * 10)
    assert "sub/a.md" in found(tmp_path, {"sub/a.md": "x", "b.md": "x"})
    assert not Rules().below(str(tmp_path))


def test_a_pattern_made_to_take_hours_takes_no_time(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*a*a*a*a*a*a*a*a*a*a*a*a*b\n")
    began = time.monotonic()
    assert found(tmp_path, {"a" * 200 + ".md": "x"}) == ["a" * 200 + ".md"]
    assert time.monotonic() - began < 10


def test_a_path_below_a_root_is_judged_by_the_rules_of_the_root(tmp_path: Path) -> None:
    found(tmp_path, {".gitignore": "out/\n", "out/x/a.md": "x", "in/b.md": "x", ".hidden/c.md": "x", "venv/d.md": "x"})
    assert left_out(tmp_path / "out" / "x" / "a.md", tmp_path) == "ignored"
    assert left_out(tmp_path / ".hidden" / "c.md", tmp_path) == "hidden"
    assert left_out(tmp_path / "venv", tmp_path) == "cache folder"
    assert left_out(tmp_path / "in" / "b.md", tmp_path) == ""
    assert left_out(tmp_path / "in" / "b.md", tmp_path, [tmp_path / "in"]) == "removed from the library"
    quiet = {"found": lambda count, folder: None, "cancelled": lambda: False}
    assert not scan(tmp_path / "out", root=tmp_path, **quiet).files
    assert len(scan(tmp_path / "in", root=tmp_path, **quiet).files) == 1
    assert len(scan(tmp_path / "out", **quiet).files) == 1, "named by itself, it has no rules above it"
