"""Other keys than the usual ones: what the settings say under ``[keys]``, checked, and put as Textual wants it."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from engine.clean import clean_line
from engine.errors import SettingsError
from tui import keys
from tui.keys import Key

EXAMPLES = {"copy": "ctrl+y", "mask.pin": "f8", "run.answer": "a,f9"}
"""For the commented settings file."""

_ALIKE = {"ctrl+i": "tab", "ctrl+m": "enter", "ctrl+h": "backspace", "ctrl+left_square_bracket": "escape"}
"""What a terminal sends as the same as something else."""

_SIGNS = {
    "question_mark", "slash", "plus", "minus", "equals_sign", "underscore", "backslash", "comma", "full_stop", "colon",
    "semicolon", "exclamation_mark", "quotation_mark", "number_sign", "dollar_sign", "percent_sign", "ampersand",
    "apostrophe", "left_parenthesis", "right_parenthesis", "asterisk", "less_than_sign", "greater_than_sign", "at",
    "left_square_bracket", "right_square_bracket", "circumflex_accent", "grave_accent", "left_curly_bracket",
    "vertical_line", "right_curly_bracket", "tilde", "space",
}  # fmt: skip
_NAMED = {
    "escape", "enter", "tab", "backspace", "delete", "insert", "home", "end", "pageup", "pagedown", "up", "down", "left",
    "right", *(f"f{number}" for number in range(1, 25)),
}  # fmt: skip
_MODIFIERS = ("ctrl", "shift", "alt")


def checked(given: Mapping[str, str]) -> dict[str, str]:
    """The keymap, with keys as Textual names them. Raises SettingsError for what is no name, no key, or taken already."""
    known = {id: key for id, key in keys.every().items() if key not in keys.PROMPT}
    for id, names in given.items():
        if id not in known:
            near = difflib.get_close_matches(id, known, 1)
            hint = f"Did you mean {near[0]}?" if near else f"Known names: {', '.join(sorted(known))}."
            raise SettingsError(f"[keys] has {clean_line(id, 60)!r}, which is nothing that a key does", hint)
        for name in names.split(","):
            _check(id, name.strip())
    keymap = {id: ",".join(name.strip() for name in names.split(",")) for id, names in given.items()}
    for first, second, name in _clashes(keymap):
        raise SettingsError(
            f"[keys] gives {name!r} to {first}, and {second} has it already", f"Give {second} another key as well."
        )
    return keymap


def for_textual(keymap: Mapping[str, str]) -> dict[str, str]:
    """The same with the usual keys of those who share one with a changed one: Textual would take it from them too."""
    whole = dict(keymap)
    for id in keymap:
        mine = set(keys.every()[id].keys.split(","))
        for other in keys.every().values():
            if other.id not in keymap and mine & set(other.keys.split(",")) and other not in keys.PROMPT:
                whole[other.id] = other.keys
    return whole


def with_keymap(key: Key, keymap: Mapping[str, str]) -> Key:
    """The key as it is now."""
    return replace(key, keys=keymap[key.id], label="") if key.id in keymap else key


def _check(id: str, name: str) -> None:
    *modifiers, base = name.split("+") if name != "+" else ["+"]
    usable = len(base) == 1 and base.isprintable() and base != " "
    if not (usable or base in _SIGNS | _NAMED) or any(each not in _MODIFIERS for each in modifiers):
        near = difflib.get_close_matches(name, _SIGNS | _NAMED, 1)
        hint = f"Did you mean {near[0]}?" if near else "A key is written as x, X, f5, ctrl+x, pagedown or slash."
        raise SettingsError(f"[keys] gives {clean_line(name, 60)!r} to {id}, which is no key", hint)
    if name in _ALIKE:
        raise SettingsError(f"[keys] gives {name} to {id}", f"A terminal sends it as {_ALIKE[name]}. Take another.")


def _clashes(keymap: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """A changed key, one that is there at the same time, and the key that both would have."""
    together = (keys.MOVES, keys.SCROLLS, keys.APP)
    for group in keys.groups().values():
        here = {key.id: key for part in (group, *together) for key in part}
        for id in keymap:
            for other in here.values():
                if id not in here or other.id == id or _are_alternatives(here[id], other):
                    continue
                taken = set(with_keymap(other, keymap).keys.split(",")) & set(keymap[id].split(","))
                if taken:
                    yield id, other.id, min(taken)


def _are_alternatives(one: Key, other: Key) -> bool:
    """Whether two share a key as it is: only one of them ever acts, or they are the same for rows and for text."""
    return bool(set(one.keys.split(",")) & set(other.keys.split(",")))
