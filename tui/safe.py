"""The only way text from outside enters a widget: as literal :class:`Content`, cleaned once more.

Textual reads square brackets in a plain ``str`` as markup and passes control characters on to the terminal.
The engine has cleaned everything that is in an event, but file names, settings and error messages reach the
screen by other ways, and a widget cannot tell them apart. Cleaning twice changes nothing.
"""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from engine.clean import clean, clean_line

Part = str | tuple[str, str] | Content


def plain(text: str, style: str = "") -> Content:
    """``text`` as it stands, brackets and all, with every control character made visible."""
    return Content.styled(clean(text), style) if style else Content(clean(text))


def line(*parts: Part) -> Content:
    """One line from pieces: text, ``(text, style)`` or ready content. Line breaks in the pieces become spaces."""
    return Content.assemble(*(_flat(part) for part in parts))


def lines(rows: list[Content]) -> Content:
    """Rows, one under the other."""
    return Content("\n").join(rows)


def short(text: str, limit: int = 300) -> str:
    """The text as one clean line of at most ``limit`` characters."""
    return clean_line(text, limit)


def _flat(part: Part) -> Part:
    if isinstance(part, Content):
        return part
    if isinstance(part, tuple):
        return clean(part[0]).replace("\n", " ").replace("\t", " "), part[1]
    return clean(part).replace("\n", " ").replace("\t", " ")


class Plain(Static):
    """A :class:`Static` that shows any text literally. It redraws only when the text has changed, and the screen is laid
    out again only where the new text needs more lines than the old one, or fewer.
    """

    def __init__(self, text: str | Content = "", *, id: str | None = None, classes: str | None = None) -> None:
        self._shown = text if isinstance(text, Content) else plain(text)
        self._unlaid = False  # the text has changed since the screen was laid out with it
        super().__init__(self._shown, id=id, classes=classes, markup=False)

    def show(self, text: str | Content) -> None:
        """Replace what is shown."""
        content = text if isinstance(text, Content) else plain(text)
        if not content.is_same(self._shown):
            self._shown = content
            self.update(content, layout=False)
            self._unlaid = self._fits()
            if not self._unlaid:
                self.refresh(layout=True)

    def _fits(self) -> bool:
        """Whether what is shown takes as many lines as it has."""
        if not self.styles.auto_dimensions:
            return True
        width, height = self.content_size
        return (
            bool(height)
            and not self.styles.is_auto_width
            and self.get_content_height(self.size, self.size, width) == height
        )

    def on_resize(self) -> None:
        if self._unlaid:  # at this width it may take another number of lines than the one before it did
            self._unlaid = False
            self.refresh(layout=True)
