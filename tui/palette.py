"""The command palette, made from :mod:`tui.keys`."""

from __future__ import annotations

from functools import partial

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from tui import keys


class Keys(Provider):
    """Every key as a command, by its name and what it does."""

    async def discover(self) -> Hits:
        for key in keys.COMMANDS:
            yield DiscoveryHit(_label(key), partial(self._run, key), help=key.tooltip)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for key in keys.COMMANDS:
            if score := matcher.match(f"{key.description} {key.tooltip}"):
                yield Hit(score, _label(key), partial(self._run, key), help=key.tooltip)

    async def _run(self, key: keys.Key) -> None:
        await (self.app if key in keys.APP else self.screen).run_action(key.action)


def _label(key: keys.Key) -> Content:
    return Content(f"{key.description}  ({key.display})")
