"""Where questions are typed."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.widgets import TextArea


class Prompt(TextArea):
    """One to three lines. Enter sends, ctrl+j makes a new line; up and down in an empty prompt are told to the screen."""

    class Sent(Message):
        """The user sent this question; empty where nothing was typed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Browsed(Message):
        """The user pressed up (-1) or down (1) with nothing typed."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            id=id,
            compact=True,
            highlight_cursor_line=False,
            tab_behavior="focus",
            placeholder="Ask your documents…  (enter sends, ctrl+j makes a new line)",
        )

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.post_message(self.Sent(self.text.strip()))
        elif event.key == "ctrl+j":
            event.stop()
            event.prevent_default()
            self.insert("\n")
        elif event.key in ("up", "down") and not self.text:
            event.stop()
            event.prevent_default()
            self.post_message(self.Browsed(-1 if event.key == "up" else 1))
        else:
            await super()._on_key(event)

    def put_back(self, text: str) -> None:
        """Show a question again that got no answer, unless something else was typed meanwhile."""
        if not self.text:
            self.load_text(text)
            self.move_cursor(self.document.end)
