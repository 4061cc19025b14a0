"""Small pieces of GBNF, llama.cpp's grammar language, quoted right."""

from __future__ import annotations

from collections.abc import Iterable

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def literal(text: str) -> str:
    """``text`` and nothing else."""
    return '"' + "".join(_ESCAPES.get(char, char) for char in text) + '"'


def choice(texts: Iterable[str]) -> str:
    """One of ``texts``, word for word. Raises ValueError if there are none: no model can match that."""
    alternatives = [literal(text) for text in texts]
    if not alternatives:
        raise ValueError("a choice needs something to choose from")
    return alternatives[0] if len(alternatives) == 1 else f"( {' | '.join(alternatives)} )"


def json_string(shortest: int, longest: int) -> str:
    """A JSON string of so many characters on one line; an escape counts as one."""
    return f'"\\"" ( [^"\\\\\\x00-\\x1f\\x7f] | "\\\\" ["\\\\/n] ){{{shortest},{longest}}} "\\""'
