"""What the engine is told (commands) and what it tells (events).

Every message is a frozen dataclass with a JSON form of one line: its fields plus ``kind``, the class
name. The same events feed the screen, the journal on disk, ``ask --json`` and replay, so this module
also holds the records that travel inside them. It loads nothing but the standard library until a
message is written or read.

All outside text in an event has been through :func:`engine.clean.clean` before it got here.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar

from engine import wire
from engine.errors import ProtocolError

VERSION = 1
"""Raised whenever a reader of older messages would misread newer ones."""

# ── records ──────────────────────────────────────────────────────────────────────────────────────

State = Literal["live", "masked", "pinned", "kept"]
"""What the model sees of an observation. ``pinned``: live because the user said so.
``kept``: live because the rule never masks it (an error)."""

Mark = Literal["pin", "mask", "unmask", "none"]
"""What the user said about one observation; ``none`` takes an earlier word back."""

Change = Literal["said", "undone", "redone", "advised"]
"""How a mark or policy came about: said by the user, by taking a change back or making it again, or by following advice."""

Role = Literal["system", "user", "assistant", "tool"]

SegmentKind = Literal["template", "system", "question", "thought", "call", "header", "body", "answer", "note"]

CitationState = Literal["verified", "weak", "missing"]

EndReason = Literal["answered", "not_told", "stopped", "failed"]

Expectation = Literal["help", "nothing", "hurt", "unknown"]
"""What masking is expected to do to the answers."""

WebMode = Literal["off", "ask", "on"]
"""``off``: nothing is sent. ``ask``: each query and each new host waits for the user's word. ``on``: no questions."""


@dataclass(frozen=True)
class Policy:
    """How stale observations are masked.

    ``window``: observations of the last ``window`` effective turns stay; 0 masks nothing.
    ``stub``: what stays of a masked one: its own ``header`` line, or the ``paper``'s placeholder.
    Stale observations are masked once those of ``batch_turns`` turns, or ``batch_tokens`` tokens of them, can go
    together: one edit of the model's cache instead of many. 0 is no such limit, and 0 for both is at once.
    ``auto``: the window follows the advice (:mod:`engine.context.advisor`); each change is told with ``Advised``.
    """

    window: int = 4
    stub: Literal["header", "paper"] = "header"
    batch_turns: int = 0
    batch_tokens: int = 0
    auto: bool = False


@dataclass(frozen=True)
class Decision:
    """One observation's state at one turn, and why, in words for a person."""

    observation: int
    state: State
    reason: str


@dataclass(frozen=True)
class Link:
    """A place an observation lets the agent open: ``open(id=..)`` on the page that shows it.

    ``first``/``last``: 1-based lines of the target that matched; 0 where there are none.
    """

    id: int
    title: str
    uri: str
    first: int = 0
    last: int = 0


@dataclass(frozen=True)
class Observation:
    """What one call returned: a header line that reads alone, and a body that masking can take away.

    ``number`` counts observations in the session from 1, errors too. ``cursor`` is the page in the page pool, -1 for an
    error. ``first``/``last`` are the 1-based lines of the page shown in the body; 0 where none are. ``path`` is what a
    person is shown of ``uri``. ``header_tokens`` and ``body_tokens`` are exact counts by the model in use.
    """

    number: int
    call: str
    tool: str
    header: str
    body: str
    error: bool = False
    cursor: int = -1
    title: str = ""
    uri: str = ""
    first: int = 0
    last: int = 0
    total_lines: int = 0
    links: tuple[Link, ...] = ()
    header_tokens: int = 0
    body_tokens: int = 0
    path: str = ""


@dataclass(frozen=True)
class SegmentTokens:
    """The exact size of one piece of the view. ``observation`` is 0 where it belongs to none."""

    kind: SegmentKind
    tokens: int
    observation: int = 0


@dataclass(frozen=True)
class PromptSegment:
    """A piece of what the model read at one turn, with its text. ``turn`` is the one it came from, 0 for none.

    ``masked``: left out of the view; ``tokens`` is what it would have taken, and its text is not told.
    """

    kind: SegmentKind
    text: str
    tokens: int
    observation: int = 0
    turn: int = 0
    masked: bool = False


@dataclass(frozen=True)
class ModelInfo:
    """The loaded model. ``context`` is the number of tokens in use, ``trained`` the model's own limit. ``cache``: how its
    cache follows a mask: ``strict``, ``carry`` or ``carry+repair``; ``cache_note`` says in words what that was found to mean.

    A model at a server has its host and port as ``endpoint``, and the cache ``server``. ``estimated``: token counts are
    estimates, because nobody here knows its tokens. ``note`` is what a user should know of it, if anything: why the
    context is no larger, say. ``memory`` is the bytes that all of it was estimated to take, 0
    where nobody did, ``gpu`` what of it is computed on a graphics card, in words; empty for nothing.
    """

    name: str
    path: str = ""
    format: str = "guided"
    parameters: int = 0
    context: int = 0
    trained: int = 0
    bytes: int = 0
    cache: str = "strict"
    cache_note: str = ""
    endpoint: str = ""
    estimated: bool = False
    note: str = ""
    memory: int = 0
    gpu: str = ""


@dataclass(frozen=True)
class Citation:
    """A claim of the answer and the lines said to support it.

    ``marker`` is the text as it stands in the answer, ``[cursor:Lx-Ly]``. ``score`` is the share of the
    sentence's content words found in the lines, 0 to 1. ``quote`` holds the cited lines, ``path`` is what a person is
    shown of ``uri``.
    """

    marker: str
    sentence: str
    cursor: int
    first: int
    last: int
    uri: str = ""
    title: str = ""
    quote: str = ""
    state: CitationState = "missing"
    score: float = 0.0
    path: str = ""


@dataclass(frozen=True)
class Timings:
    """Where one turn's time went. Tokens are exact; ``reused`` were already in the model's cache."""

    prompt_tokens: int = 0
    reused_tokens: int = 0
    generated_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_seconds: float = 0.0
    tool_seconds: float = 0.0


@dataclass(frozen=True)
class Hit:
    """One search result: lines ``first``..``last`` (1-based) of a document, best first.

    ``score`` is the fused rank score; ``text_rank`` and ``vector_rank`` are 1-based places in the two
    result lists, 0 where the part did not return it. ``similarity`` is the cosine to the query, or 0.
    ``text_score`` is by BM25, or 0. ``exact_rank`` is the place among what holds the query's names as they are written,
    or 0. ``path`` is what a person is shown of ``uri``. Where ``chunks`` neighbours are joined in one hit, ranks and
    scores are those of the best. ``rerank`` is the reranker's score on its own scale, None where it did not look at the
    hit: it decides the order, and ``score`` stays as it was fused. ``library`` is told where several were searched:
    ``score`` is fused from the places in their lists, the ranks are those in its own.
    """

    uri: str
    title: str
    heading: str
    first: int
    last: int
    text: str
    score: float
    text_rank: int = 0
    vector_rank: int = 0
    similarity: float = 0.0
    text_score: float = 0.0
    exact_rank: int = 0
    path: str = ""
    chunks: int = 1
    library: str = ""
    rerank: float | None = None


@dataclass(frozen=True)
class FileFailure:
    """A file that could not be indexed, why, and what would help."""

    path: str
    reason: str
    hint: str = ""


@dataclass(frozen=True)
class NetworkEntry:
    """One request that left this machine, or that was held back on its way.

    ``began`` is Unix time. ``address`` is the one that was connected to, empty where there was no connection or where a
    library made it by itself. ``bytes`` came back, -1 where that is not known. ``status`` is HTTP's, 0 without an
    answer. ``result`` says in words how it ended.
    """

    began: float
    purpose: str
    method: str
    url: str
    host: str
    address: str = ""
    status: int = 0
    bytes: int = 0
    seconds: float = 0.0
    result: str = ""


@dataclass(frozen=True)
class ModelRow:
    """One language model: one that is here, or one of the catalogue that could be fetched.

    ``name`` is what to call it by; ``kind`` ``starter``, ``file`` (in the models folder), ``path`` (elsewhere),
    ``endpoint`` or ``catalogue``. ``part`` are the bytes that an unfinished download of it has. ``context`` and
    ``memory`` (bytes, an estimate) are what it would get and take now; ``fits`` whether there is that much, ``note`` why
    not. ``attention`` is ``full``, ``window``, ``hybrid`` or empty where nobody has looked. ``checked`` says what a
    download is checked by. ``why`` is there for the one that is ``recommended``.
    """

    name: str
    kind: Literal["starter", "file", "path", "endpoint", "catalogue"]
    path: str = ""
    bytes: int = 0
    here: bool = True
    in_use: bool = False
    part: int = 0
    context: int = 0
    trained: int = 0
    memory: int = 0
    fits: bool = True
    note: str = ""
    licence: str = ""
    attention: str = ""
    format: str = ""
    good_at: str = ""
    checked: str = ""
    recommended: bool = False
    why: str = ""


# ── commands ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class Command:
    """Told to the engine. Subclasses register themselves under their class name."""

    kinds: ClassVar[dict[str, type[Command]]] = {}

    def __init_subclass__(cls) -> None:
        Command.kinds[cls.__name__] = cls


@dataclass(frozen=True)
class Ask(Command):
    """Start a run. An empty ``session`` begins a new one; otherwise the question follows up in it.

    ``library``, here and in ``Search`` and ``OpenPage``: one name, or several with commas between.
    """

    question: str
    session: str = ""
    library: str = ""
    policy: Policy | None = None
    max_turns: int = 0


@dataclass(frozen=True)
class Continue(Command):
    """Go on with the last run of a session, from its last finished turn."""

    session: str


@dataclass(frozen=True)
class Fork(Command):
    """Go on from turn ``turn`` of a saved session as a new one; the old one stays as it is.

    ``run`` is the question meant, the last one if 0. ``question`` takes the place of the one that was asked, ``policy``
    of the one in force; empty or None keeps it. At the turn that answered, ``question`` is a follow-up.
    """

    session: str
    turn: int
    run: int = 0
    question: str = ""
    policy: Policy | None = None


@dataclass(frozen=True)
class Stop(Command):
    """End the run now; every finished turn is kept."""


@dataclass(frozen=True)
class AnswerNow(Command):
    """Stop searching: the next turn must answer from what was read."""


@dataclass(frozen=True)
class SetMasking(Command):
    """Use this policy from the next turn on."""

    policy: Policy


@dataclass(frozen=True)
class SetMark(Command):
    """Pin, mask or unmask one observation by hand, and those in ``also`` with it, from the next turn on."""

    observation: int
    mark: Mark
    also: tuple[int, ...] = ()


@dataclass(frozen=True)
class Price(Command):
    """Tell what a change would cost, without making it: a mark as :class:`SetMark` has it, or else a policy."""

    observation: int = 0
    mark: Mark = "none"
    also: tuple[int, ...] = ()
    policy: Policy | None = None


@dataclass(frozen=True)
class Undo(Command):
    """Take the last change of marks or policy in this run back."""


@dataclass(frozen=True)
class Redo(Command):
    """Make the change again that was taken back last."""


@dataclass(frozen=True)
class ShowPrompt(Command):
    """Tell what the model read. ``place`` counts the session's readings from 0; -1: the last one of this run and turn,
    0 for the last of each.
    """

    session: str
    for_run: int = 0
    for_turn: int = 0
    place: int = -1


@dataclass(frozen=True)
class OpenSession(Command):
    """Tell a saved session again: its events follow in order, but for pieces whose whole follows, then ``SessionOpened``."""

    session: str


@dataclass(frozen=True)
class IndexPaths(Command):
    """Index files and folders. An empty ``paths`` indexes again what the library already holds.

    ``rebuild`` throws the index away first: the way out where it cannot be read. No file is touched.
    ``watch`` goes on after that and takes in every change, until it is cancelled.
    """

    paths: tuple[str, ...]
    library: str = ""
    rebuild: bool = False
    watch: bool = False


@dataclass(frozen=True)
class CancelIndex(Command):
    """Stop indexing; what is written stays searchable."""


@dataclass(frozen=True)
class PauseIndex(Command):
    """Let the indexing under way rest, or go on. It stays the only one that may write meanwhile."""

    paused: bool = True


@dataclass(frozen=True)
class Reembed(Command):
    """Make the vectors of a library anew with the embedder of the settings. Without ``go`` only its cost is told, as
    ``ReembedCost``; with it, it is an indexing: words are found all the while, meaning as the vectors come.
    """

    library: str = ""
    go: bool = False


@dataclass(frozen=True)
class Search(Command):
    """Search the library once, without a model.

    ``paths``, ``types`` and ``since`` narrow it down, as :class:`engine.sources.library.filters.Filters` says.
    """

    query: str
    library: str = ""
    limit: int = 10
    paths: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    since: float = 0.0


@dataclass(frozen=True)
class OpenPage(Command):
    """Send a document's whole text, for the reader screen."""

    uri: str
    library: str = ""


@dataclass(frozen=True)
class SetWeb(Command):
    """Allow the live web, or forbid it. To turn it off holds at once, to turn it on from the next question on."""

    mode: WebMode


@dataclass(frozen=True)
class Approve(Command):
    """The user's word on an ``ApprovalNeeded``, by its ``request``."""

    request: str
    allowed: bool


@dataclass(frozen=True)
class ListModels(Command):
    """Tell which models there are: ``ModelsListed``."""


@dataclass(frozen=True)
class PullModel(Command):
    """Fetch a model of the catalogue by its name, or a file by its address. One at a time."""

    name: str


@dataclass(frozen=True)
class CancelPull(Command):
    """Stop fetching; what has come is kept."""


@dataclass(frozen=True)
class UseModel(Command):
    """Use this model from the next question on. ``keep`` also writes it into the settings file."""

    name: str
    keep: bool = True


@dataclass(frozen=True)
class CheckModel(Command):
    """Try a model out: load it, let it write a call, edit its cache. Not while a question is being answered."""

    name: str


@dataclass(frozen=True)
class RemoveModel(Command):
    """Delete a model's file from the models folder, or what has come of one."""

    name: str


@dataclass(frozen=True)
class Shutdown(Command):
    """Finish writing and exit."""


# ── events ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class Event:
    """Told by the engine. ``seq`` grows by one within a session; ``at`` is Unix time in seconds.

    Events outside any session (indexing, model loading) have an empty ``session`` and ``seq`` 0.
    """

    kinds: ClassVar[dict[str, type[Event]]] = {}

    session: str = ""
    run: int = 0
    turn: int = 0
    seq: int = 0
    at: float = 0.0

    def __init_subclass__(cls) -> None:
        Event.kinds[cls.__name__] = cls


@dataclass(frozen=True)
class EngineReady(Event):
    """The engine listens. ``log`` is the file that native output goes to."""

    protocol: int
    version: str
    pid: int
    log: str = ""


@dataclass(frozen=True)
class EngineStopped(Event):
    """Told by the bridge: the engine process has ended by itself."""

    reason: str
    restarting: bool = False


@dataclass(frozen=True)
class ModelLoading(Event):
    name: str


@dataclass(frozen=True)
class ModelLoaded(Event):
    """``note``: what a user should know about it, if anything: a smaller context than was asked for, say."""

    model: ModelInfo
    seconds: float
    note: str = ""


@dataclass(frozen=True)
class ModelsListed(Event):
    """The models there are. ``free`` and ``total`` are bytes of memory, ``gpu`` what else can compute, in words."""

    models: tuple[ModelRow, ...]
    free: int = 0
    total: int = 0
    gpu: str = ""


@dataclass(frozen=True)
class PullProgress(Event):
    """``total`` is 0 and ``eta`` (seconds) -1 where that is not known. ``speed`` in bytes a second. ``phase``:
    ``download``, then ``check``. ``note`` is something that happened, in words; mostly empty.
    """

    name: str
    phase: Literal["download", "check"]
    done: int
    total: int
    speed: float = 0.0
    eta: float = -1.0
    note: str = ""


@dataclass(frozen=True)
class PullEnded(Event):
    """``why`` is ``done``, ``cancelled`` or ``failed``; ``message`` and ``hint`` say it in words."""

    name: str
    why: Literal["done", "cancelled", "failed"]
    message: str
    hint: str = ""


@dataclass(frozen=True)
class ModelChosen(Event):
    """``model`` is the setting from now on: a path, a name in the models folder, or empty for the starter model."""

    model: str
    message: str


@dataclass(frozen=True)
class ModelChecked(Event):
    """What trying a model out has shown, in lines for a person."""

    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class ModelRemoved(Event):
    name: str
    message: str


@dataclass(frozen=True)
class LibraryOpened(Event):
    """What a library holds now. ``embedded`` chunks have a vector; the others are found by text alone.

    ``note``: what a user should know about it, if anything: that its vectors are of another embedder, say.
    """

    library: str
    documents: int
    chunks: int
    embedded: int
    failures: int = 0
    note: str = ""


@dataclass(frozen=True)
class RunStarted(Event):
    """``system`` is the system message that the model is given in this run, word for word. ``advice``: what masking is
    expected to do in it, in a sentence.
    """

    question: str
    policy: Policy
    library: str
    model: ModelInfo
    max_turns: int
    resumed: bool = False
    web: WebMode = "off"
    advice: str = ""
    system: str = ""


@dataclass(frozen=True)
class TurnStarted(Event):
    """``must_answer``: the budget is used up, or the user asked for an answer now."""

    must_answer: bool = False


@dataclass(frozen=True)
class Decided(Event):
    """The whole of the masking at this turn: one decision an observation, oldest first, and the policy they came from.

    Told again within a turn where a second try needed more room.
    """

    decisions: tuple[Decision, ...]
    policy: Policy | None = None


@dataclass(frozen=True)
class ViewBuilt(Event):
    """What the model is about to read. ``limit`` is its context, ``reserved`` the room for its reply.

    ``purpose``: the ``turn`` itself, or a narrow view of ``evidence`` alone, beside it.

    ``texts`` are those that the run has not told before, in the order of its views, and ``places`` says for each segment
    which of all of them it is: -1 the observation's own header or body, -2 not known, as a model behind a server does
    not tell its template.
    """

    segments: tuple[SegmentTokens, ...]
    tokens: int
    limit: int
    reserved: int
    purpose: Literal["turn", "evidence"] = "turn"
    texts: tuple[str, ...] = ()
    places: tuple[int, ...] = ()


@dataclass(frozen=True)
class PromptProgress(Event):
    done: int
    total: int


@dataclass(frozen=True)
class CacheEdited(Event):
    """How the model's cache was made to hold the view, in tokens. ``repaired`` of those decoded were read again because
    something before them went or came back.
    """

    reused: int
    decoded: int
    removed: int
    seconds: float
    mode: str = "strict"
    repaired: int = 0


@dataclass(frozen=True)
class Priced(Event):
    """What a mark on an observation will cost at the next turn: ``frees`` tokens of the view (negative: it takes
    them), ``reads`` tokens more than without it, in about ``seconds`` at this run's speed (0: not measured yet).

    ``preview``: it was only asked about, with ``also`` and ``policy`` as asked. ``exact`` is false where nothing is
    loaded that knows what its cache holds: then ``reads`` and ``seconds`` are not known, and 0.
    """

    observation: int
    mark: Mark
    frees: int
    reads: int
    seconds: float = 0.0
    preview: bool = False
    exact: bool = True
    also: tuple[int, ...] = ()
    policy: Policy | None = None


@dataclass(frozen=True)
class CacheKept(Event):
    """The model's cache of a session was ``saved`` to disk, or ``restored`` from it, so that nothing is read again."""

    action: Literal["saved", "restored"]
    tokens: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class ThoughtDelta(Event):
    text: str


@dataclass(frozen=True)
class CallStarted(Event):
    call: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Observed(Event):
    observation: Observation


@dataclass(frozen=True)
class EvidenceChosen(Event):
    """The lines the answer will be written from, chosen by the model among what it has read."""

    evidence: tuple[Citation, ...]


@dataclass(frozen=True)
class AnswerDelta(Event):
    text: str


@dataclass(frozen=True)
class AnswerReady(Event):
    """The whole answer; it replaces what the deltas built up. ``told`` is false where nothing verified."""

    text: str
    told: bool = True


@dataclass(frozen=True)
class CitationChecked(Event):
    citation: Citation


@dataclass(frozen=True)
class TurnEnded(Event):
    """A finished turn: from here on it survives a crash. ``raw`` is the model's text as written."""

    raw: str
    thought: str
    finish: str
    timings: Timings


@dataclass(frozen=True)
class RunEnded(Event):
    why: EndReason
    turns: int
    seconds: float


@dataclass(frozen=True)
class PolicySet(Event):
    """``step`` and ``how`` as in :class:`Marked`."""

    policy: Policy
    step: int = 0
    how: Change = "said"


@dataclass(frozen=True)
class Advised(Event):
    """What masking is expected to do, in a sentence, and the ``window`` to try. ``changed``: the policy is auto, and this
    window is in force from now on; a ``PolicySet`` follows.
    """

    text: str
    expects: Expectation
    window: int
    changed: bool = False


@dataclass(frozen=True)
class Marked(Event):
    """Changes made by one command have the same ``step``, which counts them in the session from 1 (0: not counted).

    ``how``: the user said so, or took step ``step`` back, or made it again.
    """

    observation: int
    mark: Mark
    step: int = 0
    how: Change = "said"


@dataclass(frozen=True)
class PromptShown(Event):
    """What the model read at the event's run and turn, piece by piece: reading ``place`` of ``count`` in the session.

    ``attempt`` counts the tries at one turn from 1. ``tokens``, ``limit`` and ``reserved`` are those of ``ViewBuilt``.
    ``exact`` is false where not all of its text is known, and ``note`` says what is missing.
    """

    segments: tuple[PromptSegment, ...]
    place: int
    count: int
    tokens: int
    limit: int
    reserved: int
    purpose: Literal["turn", "evidence"] = "turn"
    attempt: int = 1
    exact: bool = True
    note: str = ""


@dataclass(frozen=True)
class Forked(Event):
    """The session begins as a copy of ``parent`` up to the end of turn ``kept``, and goes on by itself from here.

    ``question`` is what is asked from here on; empty where the answer stands, and a follow-up comes.
    """

    parent: str
    kept: int
    question: str
    policy: Policy


@dataclass(frozen=True)
class SessionOpened(Event):
    """The end of a session told again. ``unfinished``: its last run can be continued."""

    title: str
    unfinished: bool


@dataclass(frozen=True)
class IndexProgress(Event):
    """``phase``: ``scan`` (total unknown), ``read`` (files) or ``embed`` (chunks). ``eta`` in seconds, -1 unknown.

    ``files`` and ``chunks`` of the library are found by their words now, ``embedded`` of the chunks by meaning too.
    ``speed``: chunks a second in this phase, read or embedded; 0 while unknown.
    """

    library: str
    phase: Literal["scan", "read", "embed"]
    done: int
    total: int
    path: str = ""
    eta: float = -1.0
    files: int = 0
    chunks: int = 0
    embedded: int = 0
    speed: float = 0.0


@dataclass(frozen=True)
class IndexPaused(Event):
    """The indexing under way rests, or goes on."""

    paused: bool


@dataclass(frozen=True)
class ReembedCost(Event):
    """What it would take to make all vectors of a library anew: so many ``chunks``, in about ``seconds`` at the speed
    that was measured now on some of them. ``old`` and ``new`` name the embedders; equal where only this was asked for.
    """

    library: str
    old: str
    new: str
    chunks: int
    seconds: float


@dataclass(frozen=True)
class IndexEnded(Event):
    """What one indexing did. ``embedded`` of the ``chunks`` have a vector. ``watching``: more will follow by itself.

    ``note``: what else is to be known, such as why no vectors were made.
    """

    library: str
    added: int
    changed: int
    unchanged: int
    removed: int
    skipped: Mapping[str, int]
    failures: tuple[FileFailure, ...]
    chunks: int
    seconds: float
    cancelled: bool = False
    embedded: int = 0
    watching: bool = False
    note: str = ""


@dataclass(frozen=True)
class SearchResults(Event):
    """``note``: where nothing was found, why, and what to try; else what the search had to do without."""

    query: str
    hits: tuple[Hit, ...]
    seconds: float
    note: str = ""


@dataclass(frozen=True)
class PageOpened(Event):
    uri: str
    title: str
    text: str


@dataclass(frozen=True)
class ApprovalNeeded(Event):
    """The run waits, without limit, for ``Approve``: may ``text`` (a query, or an address) be sent to ``host``?"""

    request: str
    what: Literal["query", "host"]
    text: str
    host: str


@dataclass(frozen=True)
class ApprovalGiven(Event):
    """An ``ApprovalNeeded`` is over: the user has said yes or no, or the run was stopped, which is a no."""

    request: str
    what: Literal["query", "host"]
    text: str
    host: str
    allowed: bool


@dataclass(frozen=True)
class WebSet(Event):
    """The web is in this mode now."""

    mode: WebMode


@dataclass(frozen=True)
class Network(Event):
    """A request to the network has ended."""

    entry: NetworkEntry


@dataclass(frozen=True)
class Failed(Event):
    """Something asked for did not happen. ``error`` is the class name in :mod:`engine.errors`."""

    error: str
    message: str
    hint: str = ""


@dataclass(frozen=True)
class Unknown(Event):
    """An event this version does not know, kept as it came so that it is shown, not dropped."""

    name: str
    data: Mapping[str, Any] = field(default_factory=dict)


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────

M = TypeVar("M", Command, Event)


def encode(message: Command | Event) -> str:
    """One line of JSON, without the newline. Non-ASCII stays readable; control characters are escaped."""
    if isinstance(message, Unknown):
        return json.dumps(dict(message.data) | {"kind": message.name}, ensure_ascii=False)
    if (line := wire.written(message)) is not None:
        return line
    fields = {"kind": type(message).__name__} | _plain(message)
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def decode_command(line: str) -> Command:
    """The command on a line. Raises ProtocolError for anything else."""
    known = Command.kinds.get(wire.kind_of(line))
    if known is not None and (read := wire.read(known, line)) is not None:
        return typing.cast(Command, read)
    data = _object(line)
    cls = Command.kinds.get(str(data.pop("kind", "")))
    if cls is None:
        raise ProtocolError(f"not a command: {line[:200]}")
    return _build(cls, data)


def decode_event(line: str) -> Event:
    """The event on a line; :class:`Unknown` for a kind of a newer version. Raises ProtocolError for bad JSON."""
    known = Event.kinds.get(wire.kind_of(line))
    if known is not None and known is not Unknown and (read := wire.read(known, line)) is not None:
        return typing.cast(Event, read)
    data = _object(line)
    name = str(data.pop("kind", ""))
    cls = Event.kinds.get(name)
    if cls is None or cls is Unknown:
        envelope = {f.name: data[f.name] for f in dataclasses.fields(Event) if f.name in data}
        return Unknown(name=name, data=data, **envelope)
    return _build(cls, data)


def _object(line: str) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except ValueError as error:
        raise ProtocolError(f"not JSON: {line[:200]}") from error
    if not isinstance(data, dict):
        raise ProtocolError(f"not an object: {line[:200]}")
    return data


def _build(cls: type[M], data: Mapping[str, Any]) -> M:
    try:
        return typing.cast(M, _value(cls, data))
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ProtocolError(f"bad fields for {cls.__name__}: {error}") from error


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return {name: hint for name, hint in typing.get_type_hints(cls).items() if typing.get_origin(hint) is not ClassVar}


def _value(hint: Any, data: Any) -> Any:
    """``data`` as JSON gave it, turned into what the type ``hint`` says. Fields unknown here are ignored."""
    return _reader(hint)(data)


def _same(data: Any) -> Any:
    return data


@functools.cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """How to read a type. Found out once: a long session has a hundred thousand records in it."""
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        return _record(typing.cast(type, hint))
    if origin is tuple:
        item = _reader(typing.get_args(hint)[0])
        return tuple if item is _same else lambda data: tuple([item(value) for value in data])
    if origin in (types.UnionType, typing.Union):
        inner = _reader(next(arg for arg in typing.get_args(hint) if arg is not type(None)))
        return lambda data: None if data is None else inner(data)
    return _same


def _record(cls: type) -> Callable[[Any], Any]:
    readers = {name: _reader(hint) for name, hint in _hints(cls).items()}
    nested = {name: reader for name, reader in readers.items() if reader is not _same}

    def read(data: Any) -> Any:
        known = data if data.keys() <= readers.keys() else {name: data[name] for name in data if name in readers}
        for name in nested.keys() & known.keys():
            known = {**known, name: nested[name](known[name])}
        return cls(**known)

    return read


@functools.cache
def _names(cls: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(cls))


_PLAIN = frozenset((str, int, float, bool, type(None)))


def _plain(value: Any) -> Any:
    """A record as JSON can hold it: what ``dataclasses.asdict`` makes, without its copies."""
    cls = type(value)
    if cls in _PLAIN:
        return value
    if dataclasses.is_dataclass(cls):
        return {name: _plain(getattr(value, name)) for name in _names(cls)}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return value
