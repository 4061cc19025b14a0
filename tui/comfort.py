"""What makes the app pleasant and has nothing to do with the engine: looks, keys, the clipboard, and being looked at."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from textual import events, work
from textual.app import App

from tui import clipboard, keymap, opening, themes
from tui.safe import short

if TYPE_CHECKING:
    from engine.settings import Settings
    from tui.screens.reader import Reader
    from tui.state import AppState, RunState

SMALLEST = (60, 16)
"""Columns and lines below which there is room for one sentence only."""

_AGAIN = 2.0
"""Seconds within which a second ctrl+c quits."""

_ENDED = {"answered": "✓ answered", "not_told": "~ not told", "stopped": "■ stopped", "failed": "✗ ended early"}


class Comfort(App[None]):
    """An app with the looks and keys of the settings. Raises SettingsError where those are none."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self._title_kept = False
        self._interrupted = -_AGAIN
        self._keymap_given = keymap.checked(settings.keys)
        for ours in themes.OURS:
            self.register_theme(ours)
        self.stylesheet.set_variables(self.get_css_variables())  # one of them has the name of the theme in force
        if theme := themes.resolve(settings.theme):
            self.theme = theme
        self.set_keymap(keymap.for_textual(self._keymap_given))

    @property
    def keys_given(self) -> Mapping[str, str]:
        """The keys that the settings change, by id."""
        return self._keymap_given

    # ── the clipboard ────────────────────────────────────────────────────────────────────────────

    def copy_to_clipboard(self, text: str) -> None:
        """To the terminal's clipboard, and by a tool or a file in case it has none; says where it went."""
        super().copy_to_clipboard(text)
        if text:
            self._copy_too(text)

    @work(thread=True, group="clipboard")
    def _copy_too(self, text: str) -> None:
        file = Path(self._settings.data_dir) / "exports" / "copied.txt"
        command = [] if self.is_headless or self.is_web else clipboard.tool(os.environ)
        said = clipboard.keep(text, command, file)
        self.call_from_thread(self.notify, short(said), markup=False)

    # ── originals ────────────────────────────────────────────────────────────────────────────────

    def on_reader_original(self, message: Reader.Original) -> None:
        self.open_original(message.uri)

    def open_original(self, uri: str) -> None:
        """Open a document in the system's program for it; a page of the web in the browser, once its address was seen."""
        if uri.startswith(("http://", "https://")):
            self._open_web(uri)
        elif self.is_web:
            self.notify(
                "The app is used in a browser here; the document is on the computer that serves it.", markup=False
            )
        else:
            self.open_document(opening.path_of(uri))

    def _open_web(self, uri: str) -> None:
        from tui.screens.confirm import Confirm

        if not opening.is_web(uri):
            self.notify("This is no plain address of the web; it is not opened.", severity="warning", markup=False)
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.open_url(uri)

        self.push_screen(Confirm("Open this address in the browser?", "open it", "do not", uri), answered)

    @work(thread=True, group="open")
    def open_document(self, path: Path) -> None:
        """Open a file in the program that the system has for it, or say why not."""
        reason = opening.open_file(path)
        said = reason or f"Opened {path.name} in the system's program for it."
        self.call_from_thread(
            self.notify, short(said, 500), severity="warning" if reason else "information", markup=False
        )

    # ── a run ends while nobody looks ────────────────────────────────────────────────────────────

    def tell_of_end(self, before: AppState, after: AppState) -> None:
        """Ring, and say it in the terminal's title, if a run has ended and the terminal is not looked at."""
        old, run = before.run, after.run
        if old is None or run is None or not old.running or run.running or self.app_focus or not self._settings.notify:
            return
        self.write_terminal(f"{'' if self._title_kept else _KEEP_TITLE}{_title(_told(run))}{_BELL}")
        self._title_kept = True

    def watch_app_focus(self, focused: bool) -> None:
        if focused and self._title_kept:
            self._title_kept = False
            self.write_terminal(_TITLE_BACK)

    def write_terminal(self, text: str) -> None:
        """Send control sequences of our own to the terminal."""
        if self._driver is not None and not self.is_headless and not self.is_web:
            self._driver.write(text)
            self._driver.flush()

    # ── room ─────────────────────────────────────────────────────────────────────────────────────

    def on_resize(self, event: events.Resize) -> None:
        """In front of other screens one sentence says that there is no room; the main one does so itself."""
        from tui.screens.small import TooSmall

        small = event.size.width < SMALLEST[0] or event.size.height < SMALLEST[1]
        if small and len(self.screen_stack) > 2 and not isinstance(self.screen, TooSmall):
            self.push_screen(TooSmall())

    # ── screens ──────────────────────────────────────────────────────────────────────────────────

    def action_interrupt(self) -> None:
        """The first time a hint, the second time within two seconds the end."""
        now = time.monotonic()
        if now - self._interrupted < _AGAIN:
            self.exit()
        else:
            self._interrupted = now
            self.notify("ctrl+c again quits. esc stops a run.", timeout=_AGAIN, markup=False)

    def action_help(self) -> None:
        from tui.screens.help import Help

        if not isinstance(self.screen, Help):
            self.push_screen(Help(self.screen, self.keys_given))

    def action_doctor(self) -> None:
        from tui.screens.doctor import Doctor

        if not isinstance(self.screen, Doctor):
            self.push_screen(Doctor(self._settings))

    def action_settings(self) -> None:
        from tui.screens.settings import Changed, SettingsScreen

        def applied(change: Changed) -> None:
            self.apply(change.name, change.settings)

        if not isinstance(self.screen, SettingsScreen):
            self.push_screen(SettingsScreen(self._settings, applied))

    def apply(self, name: str, settings: Settings) -> None:
        """Take over one setting that has just been changed, where that is possible at once."""
        self._settings = settings
        if name == "theme":
            self.theme = themes.resolve(settings.theme) or "textual-dark"


_BELL = "\x07"
_KEEP_TITLE, _TITLE_BACK = "\x1b[22;0t", "\x1b[23;0t"


def _title(text: str) -> str:
    return f"\x1b]0;{short(text, 100)}\x1b\\"


def _told(run: RunState) -> str:
    return f"{_ENDED.get(run.ended, '■ ended')}: {run.question}"
