"""Words as the citation check and the search for evidence compare them: lower-case, without endings and filler."""

from __future__ import annotations

import re
from collections.abc import Iterator

_WORD = re.compile(r"[^\W_]+(?:['’.+#-][^\W_]+)*[+#]*")

_FILLER = frozenset(
    # one word list, easier to read than a hundred quoted strings
    """
    a about after again all also an and any are as at be because been before being but by can could did do does
    doing done during each even ever for from get gets had has have having he her here him his how i if in into is
    it its itself just know let like made make makes many may me might more most much must my no nor not of off on
    once one only or other our out over own same say says shall she should so some such tell than that the their
    them then there these they this those through to too under until up upon us use used uses very want was we were
    what when where whether which while who whom whose why will with would you your yours
    """.split()  # noqa: SIM905
)

_ENDINGS = ("ations", "ation", "ings", "ing", "edly", "ies", "ied", "ers", "er", "es", "ed", "ly", "s", "e", "y")


def words(text: str) -> Iterator[str]:
    """Every word, lower-case."""
    for match in _WORD.finditer(text):
        yield match[0].lower().replace("’", "'").removesuffix("'s")


def content_words(text: str) -> list[str]:
    """The words that carry meaning, in order, as they are written but lower-case. Single digits and signs count."""
    return [word for word in words(text) if word not in _FILLER]


def stem(word: str) -> str:
    """The word without its ending, so that ``masked``, ``masking`` and ``masks`` are one. Numbers stay whole."""
    if not word.isalpha() or not word.isascii() or len(word) < 4:
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]  # stopp(ed) is stop
    return word.removesuffix("i") if len(word) > 4 else word


def stems(text: str) -> frozenset[str]:
    """The stems of a text's content words."""
    return frozenset(stem(word) for word in content_words(text))
