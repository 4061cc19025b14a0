"""Screens in front of the main one that go on with the state while they are looked at."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from tui.state import AppState


@runtime_checkable
class Watching(Protocol):
    """A screen that is told each new state."""

    def refresh_from(self, state: AppState) -> None:
        """Show this state."""
        ...
