"""How the app looks: four themes of our own names, and every one of Textual's by its own."""

from __future__ import annotations

import difflib
from dataclasses import replace

from textual.theme import BUILTIN_THEMES, Theme

from engine.clean import clean_line
from engine.errors import SettingsError

DARK = replace(BUILTIN_THEMES["textual-dark"], primary="#57a5e2", error="#e8748f")
LIGHT = replace(
    BUILTIN_THEMES["textual-light"],
    success="#154f29",
    warning="#6a4000",
    error="#9b1f42",
    accent="#6a4000",
    variables=BUILTIN_THEMES["textual-light"].variables | {"footer-key-foreground": "#004578"},
)
"""Textual's own two, under their names, with colours that can be read as text: at least 4.5:1 against the background."""

HIGH_CONTRAST = Theme(
    name="high-contrast",
    primary="#ffff00",
    secondary="#00ffff",
    warning="#ffc400",
    error="#ffb0b0",
    success="#5fff5f",
    accent="#00ffff",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1c1c1c",
    boost="#303030",
    dark=True,
    variables={
        "block-cursor-foreground": "#000000",
        "block-cursor-background": "#ffff00",
        "block-cursor-text-style": "bold",
        "footer-key-foreground": "#ffff00",
        "input-selection-background": "#003fc0",
        "scrollbar": "#ffffff",
        "border": "#ffffff",
    },
)
"""Nothing between black and white but what has a meaning: at least 7:1 against the background."""

OURS = (DARK, LIGHT, HIGH_CONTRAST)

CHOICES = ("dark", "light", "ansi", "high-contrast")

_NAMES = {"dark": "textual-dark", "light": "textual-light", "ansi": "ansi-dark", "high-contrast": "high-contrast"}


def resolve(name: str) -> str:
    """Textual's name of a theme; empty for empty. Raises SettingsError for one that is not there."""
    if not name or name in BUILTIN_THEMES:
        return name
    if name not in _NAMES:
        near = difflib.get_close_matches(name, (*CHOICES, *BUILTIN_THEMES), 1)
        hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join((*CHOICES, *sorted(BUILTIN_THEMES)))}."
        raise SettingsError(f"there is no theme {clean_line(name, 60)!r}", hint)
    return _NAMES[name]
