from __future__ import annotations

from pathlib import Path

from tests.bench.report import replace_block, table


def test_a_block_is_made_and_then_renewed_and_nothing_else_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    replace_block(path, "library", "one")
    replace_block(path, "cache", "two\n")
    path.write_text(path.read_text() + "\nSaid by hand.\n")
    before = path.read_text()
    replace_block(path, "library", "three")
    assert path.read_text() == before.replace("one", "three")
    assert path.read_text().startswith("# Benchmarks\n\n<!-- begin library -->\n\nthree\n\n<!-- end library -->\n")
    replace_block(path, "library", "one")
    assert path.read_text() == before


def test_a_table_is_aligned() -> None:
    assert table(["way", "ms"], [["text", "1.5"], ["both together", "12.0"]]).splitlines() == [
        "| way           |   ms |",
        "|---------------|-----:|",
        "| text          |  1.5 |",
        "| both together | 12.0 |",
    ]
