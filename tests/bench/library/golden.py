"""Questions with known answers, made by a rule from documents that nobody here wrote.

The rule. A document is an HTML page of at most 300 kB. Its headings become numbers (``s00042``), so that no heading is
left in what is searched; a section is what stands below one. From each section comes at most one query, and what the
query was made of is taken out of the section first:

``heading``     the section's own heading, if it has two words or more and no other section has the same;
``asked``       the same for headings that end with a question mark: questions that people wrote;
``sentence``    the first sentence of the section;
``what``        the first sentence turned into a question for its subject: *This module provides mechanisms to use signal
                handlers in Python.* becomes *What provides mechanisms to use signal handlers in Python?*;
``identifier``  a name like ``max_wal_size``, ``os.path.join`` or ``--no-verify`` that stands in one to three sections.
                Nothing is taken out: the question is whether they are found at all, and all of them are right.

A query asks for sections, and any chunk of a section will do. There may be other good answers, which count as misses.
Documents, sections and queries are chosen by hashes of their names. Half of the documents, again by a hash, are for
tuning; figures are given for the other half.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from engine.sources.library.extract.html import extract_html

VERSION = 4
"""Raised whenever the same packages would give other queries."""

SETS = ("heading", "asked", "sentence", "what", "identifier")
PER_SET = 250
CHARACTERS_A_CHUNK = 520
"""Roughly; to know how many documents make a corpus of so many chunks."""

_LARGEST = 300_000
_PASSED_OVER = re.compile(
    r"/(genindex\S*|py-modindex|bookindex|search|changelog|index|contents|sitemap|keyword\w*|chronology|quickreference)"
    r"\.html$|/releaselog/|/matrix/|/manual/(?!en/)\w"
)
_NUMBERING = re.compile(r"^(chapter\s+|appendix\s+)?[\dA-Z]{0,3}(\.\d+)*\.?\s+(?=\w)")
_SENTENCE = re.compile(r"[A-Z][^.!?]{30,220}[.](?=\s|$)")
_DEFINES = re.compile(
    r"^(?:[A-Z][\w./()-]*)(?: [\w./()-]+){0,5}? "
    r"(is|are|provides?|defines?|implements?|specifies|returns?|contains?|describes?|lets|allows?|displays?|creates?|"
    r"controls?|sets?|enables?|shows?|supports?|converts?|determines?) ([a-z].{25,})\.$"
)
_IDENTIFIER = re.compile(r"(?<![\w./-])(?:--)?[A-Za-z][A-Za-z0-9]*(?:[_.-][A-Za-z0-9]+)+(?![\w/])")

Split = Literal["tune", "test"]


@dataclass(frozen=True)
class Query:
    text: str
    kind: str
    targets: tuple[str, ...]
    split: Split


@dataclass
class Part:
    """One section on its way: its number, where it stands, its own heading and its text without headings."""

    name: str
    document: str
    heading: str
    text: str


def build(trees: Path, folder: Path, chunks: int) -> list[Query]:
    """Write about ``chunks`` chunks' worth of documents into ``folder``, and return what to ask of them."""
    parts = list(_parts(trees, chunks))
    queries = list(_queries(parts))
    documents: dict[str, list[Part]] = defaultdict(list)
    for part in parts:
        documents[part.document].append(part)
    for document, below in documents.items():
        path = folder / "documents" / (document.removesuffix(".html") + ".html")
        path.parent.mkdir(parents=True, exist_ok=True)
        body = "".join(f"<h2>{each.name}</h2>\n<pre>\n{html.escape(each.text)}\n</pre>\n" for each in below)
        title = html.escape(Path(document).stem)
        path.write_text(f"<!DOCTYPE html><meta charset=utf-8><title>{title}</title><body>{body}", encoding="utf-8")
    (folder / "queries.json").write_text(json.dumps([asdict(each) for each in queries], indent=0), encoding="utf-8")
    return queries


def load(folder: Path) -> list[Query]:
    """What :func:`build` returned when it made ``folder``."""
    told = json.loads((folder / "queries.json").read_text(encoding="utf-8"))
    return [Query(**{**each, "targets": tuple(each["targets"])}) for each in told]


def _parts(trees: Path, chunks: int) -> Iterator[Part]:
    pages = [path for path in trees.rglob("*.html") if path.is_file() and not path.is_symlink()]
    names = {str(path.relative_to(trees)): path for path in pages if path.stat().st_size <= _LARGEST}
    names = {name: path for name, path in names.items() if not _PASSED_OVER.search(f"/{name}")}
    left, number, seen = chunks * CHARACTERS_A_CHUNK, 0, set()
    # Pages of questions come first, since there are few of them.
    for name in sorted(names, key=lambda each: ("faq" not in each.lower(), _hash(each))):
        if left <= 0:
            return
        data = names[name].read_bytes()
        if (digest := hashlib.blake2b(data).digest()) in seen:
            continue
        seen.add(digest)
        page = extract_html(data)
        ends = [each.start for each in page.sections[1:]] + [len(page.text)]
        for section, end in zip(page.sections, ends, strict=True):
            text = _without(page.text[section.start : end], section.trail)
            if text:
                number += 1
                left -= len(text)
                yield Part(f"s{number:05}", name, _plain(section.trail[-1]) if section.trail else "", text)


def _without(text: str, trail: Iterable[str]) -> str:
    """A section's text without the lines that are its headings."""
    headings = set(trail)
    lines = [line for line in text.split("\n") if line.lstrip("#").strip() not in headings]
    return "\n".join(lines).strip("\n")


def _plain(heading: str) -> str:
    """A heading without its number and without the sign that links to it."""
    return _NUMBERING.sub("", heading.replace("¶", "").replace("\xa0", " ").strip()).strip()


def _queries(parts: list[Part]) -> Iterator[Query]:
    """At most PER_SET of each kind, chosen by hash. Takes out of ``parts`` what they are made of."""
    made: dict[str, list[Query]] = {kind: [] for kind in SETS}
    headings: dict[str, int] = defaultdict(int)
    for part in parts:
        headings[part.heading.casefold()] += 1
    for part in sorted(parts, key=lambda each: _hash(each.document + each.heading + each.text[:200])):
        if len(part.text) < 200:
            continue
        query = _query(part, alone=headings[part.heading.casefold()] == 1)
        if query is not None and len(made[query.kind]) < PER_SET:
            made[query.kind].append(query)
    made["identifier"] = _identifiers(parts)[:PER_SET]
    for kind in SETS:
        yield from made[kind]


def _query(part: Part, *, alone: bool) -> Query | None:
    words = re.findall(r"[A-Za-z]{2,}", part.heading)
    query = Query(part.heading, "heading", (part.name,), _split(part.document))
    if alone and part.heading.endswith("?") and len(words) >= 3:
        return replace(query, kind="asked")
    if _hash(part.name + part.heading)[0] < "8":
        return query if alone and len(words) >= 2 else None
    flat = part.text[:1500].replace("\n", " ")
    first = _SENTENCE.search(flat)
    if first is None or first.start() > 200 or flat.count(first[0]) > 1:
        return None
    sentence = " ".join(first[0].split())
    defines = _DEFINES.match(sentence)
    part.text = (part.text[: first.start()] + part.text[first.end() :]).strip("\n")
    if len(part.text) < 120:
        return None
    if defines:
        return replace(query, text=f"What {defines[1]} {defines[2]}?", kind="what")
    return replace(query, text=sentence, kind="sentence")


def _identifiers(parts: list[Part]) -> list[Query]:
    where: dict[str, list[Part]] = defaultdict(list)
    for part in parts:
        for name in set(_IDENTIFIER.findall(part.text)):
            if len(name) >= 6 and not re.fullmatch(r"[\d.]+|[a-z]+-[a-z]+|\w\.\w\.?|.*\.(html|org|com|net|edu)", name):
                where[name].append(part)
    rare = [name for name, found in where.items() if len(found) <= 3]
    queries = []
    for name in sorted(rare, key=_hash):
        # A longer name may hold it (``wal_size`` in ``max_wal_size``): then that section is right as well.
        holding = [part for part in parts if name.lower() in part.text.lower()]
        if len(holding) <= 3:
            queries.append(Query(name, "identifier", tuple(each.name for each in holding), _split(holding[0].document)))
        if len(queries) == PER_SET:
            break
    return queries


def _split(document: str) -> Split:
    return "tune" if _hash("split" + document)[0] < "8" else "test"


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
