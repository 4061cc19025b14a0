"""For the tests of what a person touches."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.sessions import Journal
from tests.engine import story


@pytest.fixture
def kept(tmp_path: Path) -> str:
    """A session in the journal; its id."""
    (tmp_path / "data").mkdir()
    journal = Journal(tmp_path / "data" / "sessions.db")
    session = journal.create("Who was the first keeper?")
    for event in story.stamped(story.FIRST, session):
        journal.append(event)
    journal.close()
    return session
