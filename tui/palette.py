"""The command palette, made from :mod:`tui.keys`: what the screen in front can do, and what the app can."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from engine.protocol import CancelIndex, Command, IndexPaths, Reembed
from tui import keys
from tui.keymap import with_keymap
from tui.screens.help import own_ids

if TYPE_CHECKING:
    from tui.keys import Key

_CALL = re.compile(r"(?:\w+\.)?(\w+)(?:\((.*)\))?")


class Keys(Provider):
    """Every key that does something now, as a command by its name and what it does; then what the app can do without one.

    One provider for all: Textual asks several at once, and they would be listed in another order each time.
    """

    async def discover(self) -> Hits:
        for key in self._commands():
            yield DiscoveryHit(_label(key), partial(self._run, key), help=key.tooltip)
        for each in self.app.get_system_commands(self.screen):
            yield DiscoveryHit(each.title, each.callback, help=each.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for key in self._commands():
            if score := matcher.match(f"{key.description} {key.tooltip}"):
                yield Hit(score, _label(key), partial(self._run, key), help=key.tooltip)
        for each in self.app.get_system_commands(self.screen):
            if score := matcher.match(f"{each.title} {each.help}"):
                yield Hit(score, each.title, each.callback, help=each.help)

    def _commands(self) -> list[Key]:
        """The keys of the screen in front that its ``check_action`` allows, then the app's own."""
        every, keymap = keys.every(), getattr(self.app, "keys_given", {})
        own = [every[id] for id in own_ids(self.screen) if id in every]
        usable = [key for key in own if self.screen.check_action(*_parts(key.action))]
        return [with_keymap(key, keymap) for key in (*usable, *keys.APP) if key.palette]

    async def _run(self, key: Key) -> None:
        await (self.app if key.id in {each.id for each in keys.APP} else self.screen).run_action(key.action)


def of_the_library(send: Callable[[Command], None], library: str) -> Iterator[SystemCommand]:
    """What has no key of its own: work on the library."""
    yield SystemCommand(
        "Index again",
        "Look for new, changed and deleted files in the library's folders.",
        lambda: send(IndexPaths((), library)),
    )
    yield SystemCommand(
        "Rebuild the library",
        "Throw its index away and make it again. Your files are only read.",
        lambda: send(IndexPaths((), library, rebuild=True)),
    )
    yield SystemCommand(
        "Make all vectors anew",
        "With the embedder of the settings. Tells first what it takes, and asks.",
        lambda: send(Reembed(library)),
    )
    yield SystemCommand("Cancel indexing", "What is written stays searchable.", lambda: send(CancelIndex()))


def _parts(action: str) -> tuple[str, tuple[object, ...]]:
    """An action's name and its parameters, as ``check_action`` wants them. Actions are our own text."""
    found = _CALL.fullmatch(action)
    name, given = (found[1], found[2]) if found else (action, None)
    return name, tuple(part.strip(" '") for part in given.split(",")) if given else ()


def _label(key: Key) -> Content:
    return Content(f"{key.description}  ({key.display})")
