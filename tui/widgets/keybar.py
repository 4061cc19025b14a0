"""The line of keys at the bottom: one widget without children, drawn anew only when it would read otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from textual import events
from textual.app import RenderResult
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import format_key
from textual.screen import Screen
from textual.widget import Widget

from tui import keys
from tui.safe import Part, line, short

_LONGEST = 16
"""Characters of a key's name; a user may name a key with three modifiers."""


@dataclass(frozen=True)
class Entry:
    """One key of the bar. Where there is no room for all, those of the highest ``rank`` are left out.

    ``node`` is what the ``action`` is done on. One that is not ``enabled`` is shown, and does nothing now.
    """

    name: str
    what: str
    tooltip: str
    enabled: bool
    rank: int
    action: str
    node: DOMNode | None = None

    @property
    def width(self) -> int:
        """Cells."""
        return line(f"{self.name} {self.what}").cell_length


@dataclass(frozen=True)
class Placed:
    """An entry and the columns it stands in: from ``start`` up to, without, ``end``."""

    entry: Entry
    start: int
    end: int


def ranked(ids: Iterable[str], focused: str) -> dict[str, int]:
    """How soon each of these keys gives way: the way to more never, then what matters everywhere, then the pane's own."""
    here = keys.HERE.get(focused, ("", ()))[1]
    order = dict.fromkeys((*keys.FIRST, *here, *ids))
    return {id: rank for rank, id in enumerate(order)}


def place(entries: Sequence[Entry], width: int) -> tuple[Placed, ...]:
    """As many whole entries as fit, in their order, with one cell between them."""
    chosen: list[Entry] = []
    room = width + 1
    for entry in sorted(entries, key=lambda each: (not each.enabled, each.rank)):
        if entry.width + 1 <= room:
            room -= entry.width + 1
            chosen.append(entry)
    placed, start = [], 0
    for entry in entries:
        if entry in chosen:
            placed.append(Placed(entry, start, start + entry.width))
            start += entry.width + 1
    return tuple(placed)


class KeyBar(Widget, can_focus=False):
    """The keys that do something now. A click on one does it."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._entries: tuple[Entry, ...] = ()
        self._placed: tuple[Placed, ...] = ()
        self._under: Entry | None = None
        self._stale = False

    @property
    def shown(self) -> tuple[Placed, ...]:
        """What stands in the bar, from left to right."""
        return self._placed

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed, immediate=True)

    def on_unmount(self) -> None:
        self.screen.bindings_updated_signal.unsubscribe(self)

    def on_resize(self) -> None:
        self._place()

    def _changed(self, screen: Screen[object]) -> None:
        """One press tells of this several times: read the keys once, when the press is done with."""
        if not self._stale and self.app.app_focus and screen is self.screen:
            self._stale = True
            self.call_later(self._read)

    def _read(self) -> None:
        self._stale = False
        if self.is_attached:
            self._entries = self._now()
            self._place()

    def _now(self) -> tuple[Entry, ...]:
        """The keys that are active, an action once."""
        actions: dict[str, list[tuple[DOMNode, Binding, bool]]] = {}
        for node, binding, enabled, _ in self.screen.active_bindings.values():
            if binding.show:
                actions.setdefault(binding.action, []).append((node, binding, enabled))
        focused = self.screen.focused
        rank = ranked(
            (found[0][1].id or action for action, found in actions.items()), focused.id or "" if focused else ""
        )
        return tuple(
            Entry(
                self._called([binding for _, binding, _ in found]),
                short(first.description),
                first.tooltip or first.description,
                enabled,
                rank[first.id or action],
                action,
                node,
            )
            for action, found in actions.items()
            for node, first, enabled in found[:1]
        )

    def _called(self, active: Sequence[Binding]) -> str:
        """The key, as the keymap has it. Its label holds only while the key it names is not taken by what is typed in."""
        first = active[0]
        label = first.key_display
        if label and len(label) == 1 and label not in [format_key(each.key) for each in active]:
            first = replace(first, key_display=None)
        return short(self.app.get_key_display(first), _LONGEST)

    def _place(self) -> None:
        placed = place(self._entries, self.size.width)
        if placed != self._placed:
            self._placed = placed
            self.refresh()

    def render(self) -> RenderResult:
        parts: list[Part] = []
        for each in self._placed:
            entry = each.entry
            over = " on $block-hover-background" if entry == self._under else ""
            dim = "" if entry.enabled else " dim"
            parts += [
                (entry.name, f"bold $footer-key-foreground{over}{dim}"),
                (f" {entry.what}", f"$footer-description-foreground{over}{dim}"),
                " ",
            ]
        return line(*parts)

    # ── the mouse ────────────────────────────────────────────────────────────────────────────────

    def _at(self, x: int) -> Entry | None:
        return next((each.entry for each in self._placed if each.start <= x < each.end), None)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._point(self._at(event.x))

    def on_leave(self) -> None:
        self._point(None)

    def _point(self, entry: Entry | None) -> None:
        if entry != self._under:
            self._under = entry
            self.tooltip = entry.tooltip if entry is not None else None
            self.refresh()

    def on_click(self, event: events.Click) -> None:
        entry = self._at(event.x)
        if entry is not None and entry.enabled:
            self.app.call_later(self.app.run_action, entry.action, entry.node)
        elif entry is not None:
            self.app.bell()
