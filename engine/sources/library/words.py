"""How the full-text index cuts a text into words, and which words it leaves out."""

from __future__ import annotations

from typing import Any

FILLERS = (
    "a about above after again against all am an and any are as at be because been before being below between both but"
    " by can could did do does doing don down during each few for from further had has have having he her here hers"
    " herself him himself his how i if in into is it its itself just me more most my myself no nor not now of off on"
    " once only or other our ours ourselves out over own same she should so some such than that the their theirs them"
    " themselves then there these they this those through to too under until up very was we were what when where which"
    " while who whom why will with would you your yours yourself yourselves s t ll re ve m d"
)
"""Words that say nothing by themselves. Named here because the list that comes with the ICU tokenizer is one for many
languages at once: it leaves out dog, cat, minutes and care."""


def full_text() -> Any:
    """The make of the index. ICU finds words where no spaces are, as in Japanese; ``split`` also cuts ``os.path`` in
    two, so that every phrase is made of whole words. Positions are for phrases.
    """
    from lancedb.index import FTS

    return FTS(
        base_tokenizer="icu/split",
        with_position=True,
        stem=True,
        remove_stop_words=True,
        custom_stop_words=FILLERS.split(),
        ascii_folding=True,
    )
