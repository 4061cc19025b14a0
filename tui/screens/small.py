"""One sentence where there is no room for more."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.screen import ModalScreen

from tui.safe import Plain

NEEDED = "This needs a window of at least 60 columns and 16 lines."


class TooSmall(ModalScreen[None]):
    """In front of whatever was there, which is as it was when there is room again."""

    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-roomy")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (16, "-tall")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        yield Plain(NEEDED, id="small")

    def on_resize(self) -> None:
        self._leave()

    def on_screen_resume(self) -> None:
        self._leave()

    def _leave(self) -> None:
        if self.is_current and self.app.size.width >= 60 and self.app.size.height >= 16:
            self.dismiss()
