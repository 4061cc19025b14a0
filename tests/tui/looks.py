"""What is on a screen, cell by cell: its characters, its colours as a short text, and whether they can be told apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product

from rich.cells import cell_len
from rich.color import Color
from rich.style import Style
from textual.app import App
from textual.screen import ModalScreen

RGB = tuple[float, float, float]

_ATTRIBUTES = ("bold", "dim", "italic", "underline", "reverse", "strike")
_DIM = 0.5
"""How much of a colour a terminal leaves of dim text, about."""

ORDINARY, THINNED = 4.5, 3.0
"""The least contrast of text, and of text that is thinned on purpose and of bars. From WCAG 2.2, AA."""

STRONG = 7.0
"""The least contrast of text where the theme promises much. From WCAG 2.2, AAA."""


@dataclass(frozen=True)
class Cell:
    """One cell of the terminal. ``behind``: it belongs to what is behind a box in front."""

    char: str
    ink: str
    paper: str
    attributes: tuple[str, ...]
    behind: bool = False

    @property
    def style(self) -> str:
        return " ".join((f"{self.ink} on {self.paper}", *self.attributes))

    def seen(self) -> tuple[RGB, RGB]:
        """The colours of ink and paper as they reach the eye."""
        ink, paper = _rgb(self.ink), _rgb(self.paper)
        if "reverse" in self.attributes:
            ink, paper = paper, ink
        return (mixed(paper, ink, _DIM) if "dim" in self.attributes else ink), paper


Grid = tuple[tuple[Cell, ...], ...]


def grid(app: App[None]) -> Grid:
    """The screen in front, as it would be drawn. A wide character fills its cells."""
    screen = app.screen
    modal = isinstance(screen, ModalScreen)
    boxes = [child.region for child in screen.children if child.display]
    rows = []
    for y, strip in enumerate(screen._compositor.render_strips()):
        row: list[Cell] = []
        for segment in strip:
            style = segment.style or Style()
            told = tuple(name for name in _ATTRIBUTES if getattr(style, name))
            ink, paper = _name(style.color), _name(style.bgcolor)
            for char in segment.text:
                behind = modal and not any(box.contains(len(row), y) for box in boxes)
                row += [Cell(char, ink, paper, told, behind)] * (1 if char.isascii() else max(1, cell_len(char)))
        rows.append(tuple(row))
    return tuple(rows)


def characters(shown: Grid) -> str:
    """What stands there, without a style."""
    return "\n".join("".join(cell.char for cell in row) for row in shown)


# ── colours as text ──────────────────────────────────────────────────────────────────────────────


def colours(themes: Mapping[str, Grid]) -> str:
    """The styles of a screen in several themes, to be compared: a legend, then the lines as runs of its names.

    Cells have the same name if they look alike in every theme, so a colour that is changed changes the legend alone.
    """
    names: dict[tuple[str, ...], str] = {}
    lines = []
    for rows in zip(*themes.values(), strict=True):
        keys = [tuple(cell.style for cell in cells) for cells in zip(*rows, strict=True)]
        runs = [(names.setdefault(key, _letters(len(names))), len(list(each))) for key, each in groupby(keys)]
        lines.append(" ".join(f"{name}{length}" for name, length in runs))
    legend = [f"{name:<3}{' | '.join(key)}" for key, name in names.items()]
    body = [f"{_places(place, count)}: {line}" for place, count, line in _repeated(lines)]
    return "\n".join([f"   {' | '.join(themes)}", *legend, "", *body, ""])


def _repeated(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    place = 1
    for line, same in groupby(lines):
        count = len(list(same))
        yield place, count, line
        place += count


def _places(first: int, count: int) -> str:
    return f"{first}" if count == 1 else f"{first}-{first + count - 1}"


def _letters(number: int) -> str:
    return (_letters(number // 26 - 1) if number > 25 else "") + chr(ord("a") + number % 26)


# ── contrast ─────────────────────────────────────────────────────────────────────────────────────


def weak(shown: Grid, inks: Sequence[str], grounds: Sequence[str], least: float) -> list[str]:
    """Text that is hard to read: ``least`` is wanted of ordinary text, less of thinned text and of bars.

    Thinned is what is dim, and what is one of the theme's own ``inks`` on the way to one of its ``grounds``. Lines
    around panes are no text.
    """
    found = []
    for y, row in enumerate(shown):
        for cells in _words(row):
            ink, paper = cells[0].seen()
            has, text = contrast(ink, paper), "".join(cell.char for cell in cells)
            thin = _is_bar(text) or _thinned(cells[0], ink, paper, inks, grounds)
            wanted = THINNED if thin else least
            if has < wanted - 0.005:
                found.append(f"line {y + 1}: {has:.2f} of {wanted}: {cells[0].style}: {text}")
    return found


def _words(row: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Runs of cells alike that hold something to read."""
    for _, alike in groupby(row, key=lambda cell: (cell.style, cell.behind, _is_bar(cell.char))):
        cells = [cell for cell in alike if not cell.behind]
        if any(not cell.char.isspace() and not _is_line(cell.char) for cell in cells):
            yield cells


def _thinned(cell: Cell, ink: RGB, paper: RGB, inks: Sequence[str], grounds: Sequence[str]) -> bool:
    if "dim" in cell.attributes:
        return True
    for ground, full in product((paper, *map(_rgb, grounds)), map(_rgb, inks)):
        share = _share(ink, ground, full)
        if share < 0.92 and all(abs(a - b) < 6 for a, b in zip(mixed(ground, full, share), ink, strict=True)):
            return True
    return False


def _share(ink: RGB, ground: RGB, full: RGB) -> float:
    """How far the ink is on the way from the ground to the full colour."""
    way = [b - a for a, b in zip(ground, full, strict=True)]
    length = sum(each * each for each in way) or 1.0
    return sum((c - a) * each for c, a, each in zip(ink, ground, way, strict=True)) / length


def contrast(one: RGB, two: RGB) -> float:
    """As WCAG has it: 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def mixed(one: RGB, two: RGB, share: float) -> RGB:
    """``share`` of the way from one colour to the other."""
    red, green, blue = (a + (b - a) * share for a, b in zip(one, two, strict=True))
    return red, green, blue


def _luminance(colour: RGB) -> float:
    red, green, blue = (
        part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _is_bar(text: str) -> bool:
    return all("\u2580" <= char <= "\u259f" or char.isspace() for char in text)


def _is_line(char: str) -> bool:
    return "\u2500" <= char <= "\u257f"


def _name(colour: Color | None) -> str:
    """A colour by its name in the terminal's palette, or else as #rrggbb."""
    if colour is None or colour.is_default:
        return "default"
    return colour.name if colour.triplet is None else colour.triplet.hex


def _rgb(name: str) -> RGB:
    red, green, blue = Color.parse(name).get_truecolor()
    return red, green, blue
