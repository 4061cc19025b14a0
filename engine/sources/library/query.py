"""What a person meant by a query: words, exact phrases, and names that must be taken as they are written.

Pure. A phrase stands in double quotes and asks for just these words in this order. A name is anything that is plainly
no word of prose: ``set_num_threads``, ``os.path``, ``--no-verify``, ``notes/oil.md``, ``E0425``, ``MiniLM``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_QUOTED = re.compile(r'"([^"]*)"|“([^”]*)”')
_EDGES = "\"'`“”‘’()[]{}<>,;:!?.…=*|"
_NAME = re.compile(
    r"--?[A-Za-z][\w-]*"  # an option
    r"|/?\.?\w+(?:(?:[._/:#@+-]|::|->)\w+)+(?:\(\))?/?"  # parts joined by signs
    r"|_+\w+|\w+_+"
    r"|\w*[a-z]\w*[A-Z]\w*"  # camelCase
    r"|[A-Za-z]+\d\w*"  # a letter and a number: an error code, a product
    r"|\w+(?:\+\+|#)"  # C++ and C#
)
_MOST_NAMES = 4
"""More in one query is a pasted passage, not somebody who looks for a name."""


@dataclass(frozen=True)
class Query:
    """``text`` is the whole query without its quotes; ``phrases`` and ``names`` are parts of it."""

    text: str
    phrases: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def bare(self) -> bool:
        """Whether there is nothing in it but one name."""
        return len(self.names) == 1 and _stripped(self.text) == self.names[0]


def parse(query: str) -> Query:
    """The parts of a query. Never raises: a quote without its partner is just a character."""
    phrases = [" ".join((match[1] or match[2] or "").split()) for match in _QUOTED.finditer(query)]
    text = _QUOTED.sub(lambda match: f" {match[1] or match[2] or ''} ", query)
    text = " ".join(re.sub(r'["“”]', " ", text).split())
    names: list[str] = []
    for word in text.split():
        name = _stripped(word)
        if name not in names and _is_name(name):
            names.append(name)
    return Query(text, tuple(each for each in phrases if each), tuple(names[:_MOST_NAMES]))


def _stripped(word: str) -> str:
    """Without the signs of prose around it; a dot in front is part of a name."""
    return word.rstrip(_EDGES).lstrip(_EDGES.replace(".", ""))


def _is_name(word: str) -> bool:
    abbreviation = re.fullmatch(r"(?:\w\.)+\w?", word)  # e.g. or i.e.
    return bool(_NAME.fullmatch(word) and re.search(r"[^\W\d]", word) and not abbreviation)


def holds(name: str) -> re.Pattern[str]:
    """Finds a phrase or name as it is written, in any case and however its lines break, but not as a part of another."""
    return re.compile(_pattern(name), re.IGNORECASE)


def condition(phrase: str) -> str:
    """The same as a condition of the chunk table."""
    return "regexp_like(text, '(?i)" + _pattern(phrase, look=False).replace("'", "''") + "')"


def _pattern(name: str, *, look: bool = True) -> str:
    """A regular expression. Without ``look`` it does without looking around, which the table's expressions cannot do.

    A hyphen joins words to one name: git-commit does not stand in git-commit-tree. That is slow to tell, so it is told
    only where it matters.
    """
    before = after = r"\b"
    if "-" in name:
        before = r"(?<!\w)(?<!\w-)" if look else r"(?:^|[^\w-]|[^\w]-)"
        after = r"(?!\w)(?!-\w)" if look else r"(?:$|[^\w-]|-(?:$|[^\w]))"
    body = r"\s+".join(re.escape(word) for word in name.split())
    return (before if re.match(r"\w", name) else "") + body + (after if re.search(r"\w$", name) else "")
