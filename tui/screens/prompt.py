"""The exact prompt: what the model read at any turn, piece by piece, beside what it read at another."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import Input

from engine.protocol import PromptShown, ShowPrompt
from tui import keys, prompts
from tui.prompts import Change, Piece
from tui.safe import Plain, line, short
from tui.screens.steer import Steer
from tui.state import AppState
from tui.widgets.folds import Block, Folds
from tui.widgets.keybar import KeyBar

_SIGN: dict[Change, str] = {"same": "", "added": "+", "gone": "-", "changed": "~", "masked": "⊘", "back": "↩"}
_LOOK: dict[Change, str] = {
    "same": "",
    "added": "added",
    "gone": "gone",
    "changed": "added",
    "masked": "masked",
    "back": "back",
}
_OPEN = ("added", "changed", "back")


class PromptView(Screen[None]):
    """Opens at a run's turn (0: the last) against the one before. What came since then is unfolded, all else folded."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.VIEW)
    AUTO_FOCUS = "Folds"

    def __init__(self, state: AppState, run: int, turn: int) -> None:
        super().__init__()
        self._state = state
        self._run, self._turn = run, turn
        self._place: int | None = None  # until the engine has said where it is
        self._against: int | None = None  # None: the view before
        self._told = state.prompts[-1] if state.prompts else None
        self._known: dict[int, PromptShown] = {}
        self._asked: set[int] = set()
        self._pieces: tuple[Piece, ...] = ()
        self._user: dict[str, bool] = {}  # what the user folded or unfolded
        self._template = False

    def compose(self) -> ComposeResult:
        yield Plain(id="prompt-title", classes="bar")
        yield Plain(id="prompt-difference", classes="bar")
        yield Folds(id="prompt-pieces")
        yield Input(placeholder="find in the prompt…  (enter: next, esc: done)", id="prompt-find", compact=True)
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#prompt-find").display = False
        self.query_one("#prompt-title", Plain).show(line(("Prompt", "bold $primary"), ("  …", "dim")))
        self.post_message(Steer.Wanted(ShowPrompt(self._state.session, self._run, self._turn)))

    # ── the state comes down ─────────────────────────────────────────────────────────────────────

    def refresh_from(self, state: AppState) -> None:
        """Take what the engine has told since."""
        before, self._state = self._told, state
        self._told = state.prompts[-1] if state.prompts else None
        if self._told is before or self._told is None:
            return
        for each in state.prompts:
            if each.session == state.session:
                self._known[each.place] = each
        if self._place is None:
            self._place = self._told.place
        self._show()

    @property
    def shown(self) -> PromptShown | None:
        """The view in front."""
        return self._known.get(self._place) if self._place is not None else None

    @property
    def other(self) -> int | None:
        """The place of the view it is compared with; None where there is none."""
        if self._against is not None:
            return self._against
        return self._place - 1 if self._place else None

    def _want(self, place: int) -> None:
        if place not in self._known and place not in self._asked:
            self._asked.add(place)
            self.post_message(Steer.Wanted(ShowPrompt(self._state.session, place=place)))

    def _show(self) -> None:
        shown, other = self.shown, self.other
        if shown is None:
            return
        if other is not None:
            self._want(other)
        against = self._known.get(other) if other is not None else None
        if other is not None and against is None:
            return  # it is on its way, and shown as one with it
        self._pieces = prompts.compare(shown, against)
        blocks, opened = [], set[str]()
        for piece in self._pieces:
            if piece.segment.kind == "template" and not self._template:
                continue
            block = self._block(piece)
            blocks.append(block)
            if self._user.get(block.id, piece.change in _OPEN):
                opened.add(block.id)
        self.query_one(Folds).show(blocks, frozenset(opened))
        count = f"  {shown.place + 1} of {max(each.count for each in self._known.values())}"
        template = sum(each.tokens for each in shown.segments if each.kind == "template")
        self.query_one("#prompt-title", Plain).show(
            line(
                (f"Prompt of {prompts.heading(shown)}", "bold $primary"),
                (count, "dim"),
                f"  {prompts.sizes(shown)}",
                (f" · {template:,} of them template", "dim"),
            )
        )
        since = f"since {prompts.heading(against)}: " if against is not None else "the first: "
        note = ("" if shown.exact else "  ~ " + shown.note, "$warning")
        self.query_one("#prompt-difference", Plain).show(line((since, "dim"), prompts.difference(self._pieces), note))

    def _block(self, piece: Piece) -> Block:
        segment = piece.segment
        text = self._kept(segment.observation) if segment.masked else segment.text
        hint = short(text.strip(), 200)
        size = f"{segment.tokens:,}"
        look = _LOOK[piece.change]
        if segment.masked:
            hint = "░░░░ masked now: not in view" if piece.change == "masked" else "░░░░ masked: not in view"
            size, look = f"░ {size}", look or "quiet"
        elif piece.change == "back":
            hint = f"shown again  {hint}"
        elif segment.kind == "template":
            text, look = text.replace("\n", "↵\n") if text else "", look or "quiet"
            hint = segment.text.replace("\n", "↵") or "a token without a text, or one that was not recorded"
        return Block(
            f"{piece.key}{piece.change == 'gone'}",
            _SIGN[piece.change] or ("⊘" if segment.masked else ""),
            prompts.label(segment),
            size,
            hint,
            text,
            look,
        )

    def _kept(self, observation: int) -> str:
        """The text of a masked observation, which the journal keeps whole."""
        for run in (self._state.run, *self._state.earlier):
            if run is not None and (row := run.row(observation)) is not None:
                return row.observation.body
        return ""

    # ── what the keys do ─────────────────────────────────────────────────────────────────────────

    def action_back(self) -> None:
        field = self.query_one("#prompt-find", Input)
        if field.display:
            field.display = False
            self.query_one(Folds).focus()
        else:
            self.dismiss()

    def action_fold(self) -> None:
        self.query_one(Folds).action_select()

    def on_folds_folded(self, event: Folds.Folded) -> None:
        self._user[event.id] = event.opened

    def action_fold_all(self) -> None:
        """All unfolded; where all are, all folded."""
        folds = self.query_one(Folds)
        ids = [self._block(piece).id for piece in self._pieces]
        opened = not all(id in folds.opened for id in ids if not id.startswith("('template'"))
        self._user = dict.fromkeys(ids, opened)
        self._show()

    def action_turn(self, step: int) -> None:
        shown = self.shown
        if shown is None:
            return
        last = max(each.count for each in self._known.values()) - 1
        place = shown.place + step
        if place < 0:
            self.notify("This is the first.", markup=False)
        elif place > last and not self._goes_on():
            self.notify("This is the last.", markup=False)
        else:
            self._go(place, newest=place > last)

    def _goes_on(self) -> bool:
        return self._state.run is not None and self._state.run.running

    def _go(self, place: int, *, newest: bool = False) -> None:
        if newest:  # the run may have gone on since: the engine knows
            self._place = None
            self.post_message(Steer.Wanted(ShowPrompt(self._state.session, place=place)))
            return
        self._place = place
        self._want(place)
        self._show()

    def action_against(self, step: int) -> None:
        shown = self.shown
        if shown is None:
            return
        last = max(each.count for each in self._known.values()) - 1
        place = (self.other if self.other is not None else shown.place) + step
        if place == shown.place:
            place += step
        if 0 <= place <= last:
            self._against = place
            self._want(place)
            self._show()
        else:
            self.notify("There is no other to compare with.", markup=False)

    def action_change(self, step: int) -> None:
        """The next piece that changed; where words are looked for, the next line that has them."""
        folds, words = self.query_one(Folds), self.query_one("#prompt-find", Input).value
        if words:
            folds.find(words, step)
            return
        ids = [self._block(piece).id for piece in self._pieces]
        changed = [
            place
            for place, piece in enumerate(self._pieces)
            if piece.change != "same" and (piece.segment.kind != "template" or self._template)
        ]
        here = ids.index(folds.block.id) if folds.block is not None and folds.block.id in ids else 0
        ahead = [place for place in changed if (place > here if step > 0 else place < here)] or changed
        if ahead:
            folds.go_to(ids[ahead[0 if step > 0 else -1]])

    def action_find(self) -> None:
        field = self.query_one("#prompt-find", Input)
        field.display = True
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._find(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._find(event.value)

    def _find(self, words: str) -> None:
        found = self.query_one(Folds).find(words, 1)
        self.query_one("#prompt-find").set_class(bool(words) and not found, "-nothing")

    def action_copy(self) -> None:
        block = self.query_one(Folds).block
        if block is not None and block.text:
            self.app.copy_to_clipboard(block.text)
            self.notify(f"Copied: {block.label}.", markup=False)

    def action_copy_all(self) -> None:
        if self.shown is not None:
            self.app.copy_to_clipboard("".join(each.text for each in self.shown.segments if not each.masked))
            self.notify("The whole prompt is copied, as the model read it.", markup=False)

    def action_template(self) -> None:
        self._template = not self._template
        self._show()
