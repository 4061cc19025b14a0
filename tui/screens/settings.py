"""Every setting on one screen. What is changed here is written to the settings file; the rest of it stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input

from engine.errors import SettingsError
from engine.settings import CACHES, ENV_PREFIX, MASKINGS, WEB_MODES
from tui import keys, themes
from tui.safe import Part, Plain, line, lines, short
from tui.widgets.keybar import KeyBar
from tui.widgets.rows import Row, RowList

if TYPE_CHECKING:
    from engine.config_file import Origin
    from engine.settings import Settings

GROUPS: dict[str, tuple[str, ...]] = {
    "Model": (
        "model",
        "endpoint",
        "endpoint_model",
        "context",
        "threads",
        "temperature",
        "seed",
        "cache",
        "resync",
        "saved_cache_mb",
    ),
    "Library": ("library", "search_results", "viewport_tokens"),
    "Privacy": ("web", "search_engine", "searxng"),
    "Masking": ("masking", "window", "batch_turns", "batch_tokens", "max_turns", "preview"),
    "Look": ("theme", "notify", "keys"),
}
"""Headings and what stands below them; what is in none of them comes last, under a heading of its own."""

AT_ONCE = ("theme", "notify", "web", "masking", "window", "batch_turns", "batch_tokens")
"""What takes effect when it is changed. The rest is read when the app starts."""

_CHOICES: dict[str, tuple[Any, ...]] = {
    "cache": CACHES,
    "web": WEB_MODES,
    "masking": MASKINGS,
    "theme": themes.CHOICES,
    "notify": (True, False),
    "preview": (True, False),
}


@dataclass(frozen=True)
class Changed:
    """A setting that was changed, and all settings as they are now."""

    name: str
    settings: Settings


class SettingsScreen(Screen[None]):
    """A list of settings, what the selected one is for, and a line to type another value into.

    ``applied`` is told of each change once it is in the file.
    """

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings(keys.SETTINGS)
    AUTO_FOCUS = "#settings-list"
    HORIZONTAL_BREAKPOINTS = [(0, "-stacked"), (100, "-side")]  # noqa: RUF012

    def __init__(self, settings: Settings, applied: Callable[[Changed], None]) -> None:
        super().__init__()
        self._settings = settings
        self._applied = applied
        self._later: dict[str, Any] = {}
        self._origins: dict[str, Origin] = {}
        self._problem = ""

    def compose(self) -> ComposeResult:
        path = short(str(self._settings.config_file))
        yield Plain(line(("Settings", "bold $primary"), (f"  {path}", "dim")), classes="bar")
        with Container(id="settings-body"):
            listed = RowList(id="settings-list")
            listed.add_class("pane")
            yield listed
            with VerticalScroll(id="settings-about", classes="pane", can_focus=False):
                yield Plain(id="settings-text")
        yield Input(id="settings-value", compact=True, select_on_focus=False)
        yield KeyBar()

    def on_mount(self) -> None:
        self.query_one("#settings-value").display = False
        self._read()
        self._show()
        self.query_one("#settings-list", RowList).action_first()

    # ── what is shown ────────────────────────────────────────────────────────────────────────────

    def _read(self) -> None:
        from engine import config_file

        try:
            self._origins = config_file.origins(self._settings.config_file, self._settings)
            self._problem = ""
        except SettingsError as error:
            self._origins = dict.fromkeys(config_file.names(), "default")
            self._problem = f"{error} {error.hint}"

    def _show(self) -> None:
        rows: list[Row] = []
        for group, names in _grouped(tuple(self._origins)):
            rows.append(Row(f"group:{group}", line((group, "bold $primary")), enabled=False))
            rows += [Row(name, self._line(name)) for name in names]
        self.query_one("#settings-list", RowList).show(rows)
        self._explain()

    def _value(self, name: str) -> Any:
        return self._later.get(name, getattr(self._settings, name))

    def _line(self, name: str) -> Content:
        parts: list[Part] = [f"  {name:<16} ", (_shown(self._value(name)), "bold")]
        if name in self._later:
            parts.append(("  from the next start on", "$warning"))
        elif self._origins[name] != "default":
            parts.append((f"  {self._origins[name]}", "dim"))
        return line(*parts)

    def _explain(self) -> None:
        from engine import config_file

        name = self._selected
        if not name:
            return
        origin = self._origins[name]
        said = {
            "default": "This is the default.",
            "file": "The settings file says so.",
            "environment": f"The variable {ENV_PREFIX}{name.upper()} says so, and wins over the file.",
            "option": "It was given when the app was started, and wins over the file.",
        }
        when = "at once" if name in AT_ONCE else "from the next start on"
        out = "; r takes it out of the file" if origin == "file" else ""
        rows = [line((name, "bold")), Content(), line(config_file.help_of(name)), Content(), line(said[origin])]
        if choices := _CHOICES.get(name):
            rows.append(line(("Choices: ", "dim"), " · ".join(_shown(each) for each in choices)))
            rows.append(line((f"enter, ← and → change it, {when}{out}.", "dim")))
        elif name == "keys":
            rows.append(line(("Written in the settings file; y copies its place. Read when the app starts.", "dim")))
        else:
            rows.append(line((f"enter changes it, {when}{out}.", "dim")))
        if self._problem:
            rows = [line((f"✗ {short(self._problem, 500)}", "bold $error")), Content(), *rows]
        self.query_one("#settings-text", Plain).show(lines(rows))

    @property
    def _selected(self) -> str:
        row = self.query_one("#settings-list", RowList).row
        return row if row in self._origins else ""

    def on_row_list_moved(self) -> None:
        self._problem = ""
        self._explain()
        self.refresh_bindings()

    # ── what is changed ──────────────────────────────────────────────────────────────────────────

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - Textual's
        """Choices can be turned; a value of the file can be taken out of it."""
        if action == "turn":
            return self._selected in _CHOICES
        if action == "reset":
            return (self._selected != "" and self._origins[self._selected] == "file") or None
        return True

    def on_row_list_picked(self) -> None:
        name = self._selected
        if name in _CHOICES:
            self.action_turn(1)
        elif name and name != "keys":
            field = self.query_one("#settings-value", Input)
            field.value = str(self._value(name))
            field.placeholder = f"{name}…  (enter: write it, esc: leave it)"
            field.display = True
            field.focus()
            field.cursor_position = len(field.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._change(self._selected, event.value.strip())
        self._close_field()

    def action_turn(self, step: int) -> None:
        name = self._selected
        if choices := _CHOICES.get(name, ()):
            now = self._value(name)
            at = choices.index(now) if now in choices else 0 if name == "theme" else -step
            self._change(name, choices[(at + step) % len(choices)])

    def action_reset(self) -> None:
        from engine import config_file
        from engine.settings import load_settings

        if name := self._selected:
            try:
                config_file.reset(self._settings.config_file, name)
                self._take(name, getattr(load_settings({"config_file": self._settings.config_file}), name))
            except SettingsError as error:
                self._fail(error)

    def _change(self, name: str, value: Any) -> None:
        from engine import config_file

        try:
            if name == "theme":
                themes.resolve(value)
            config_file.change(self._settings.config_file, name, value)
            self._take(name, config_file.read(self._settings.config_file)[name])
        except SettingsError as error:
            self._fail(error)

    def _take(self, name: str, value: Any) -> None:
        """It is in the file: take it over, or say that it will be at the next start. What wins over the file stays."""
        self._problem = ""
        origin = self._origins[name]
        if origin in ("environment", "option"):
            wins = "the environment" if origin == "environment" else "an option"
            self._problem = f"The file is changed, but {wins} wins over it."
        else:
            self._origins[name] = "file" if self._in_file(name) else "default"
            self._later.pop(name, None)
            if name in AT_ONCE:
                self._settings = replace(self._settings, **{name: value})
                self._applied(Changed(name, self._settings))
            elif str(value) != str(getattr(self._settings, name)):
                self._later[name] = value
        self._show()
        self.refresh_bindings()

    def _in_file(self, name: str) -> bool:
        from engine import config_file

        return name in config_file.read(self._settings.config_file)

    def _fail(self, error: SettingsError) -> None:
        self._problem = f"{error} {error.hint}"
        self._explain()

    def _close_field(self) -> None:
        self.query_one("#settings-value").display = False
        self.query_one("#settings-list").focus()

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(str(self._settings.config_file))

    def action_back(self) -> None:
        if self.query_one("#settings-value").display:
            self._close_field()
        else:
            self.dismiss()


def _grouped(names: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
    """The settings there are under their headings, none left out."""
    placed = {name for group in GROUPS.values() for name in group}
    more = tuple(name for name in names if name not in placed)
    groups = [(group, tuple(name for name in wanted if name in names)) for group, wanted in GROUPS.items()]
    return [*groups, ("Other", more)] if more else groups


def _shown(value: Any) -> str:
    """A value as it is read: what is empty, and a table, in words."""
    if isinstance(value, dict):
        return f"{len(value)} changed" if value else "none changed"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return short(str(value), 80) or "–"
