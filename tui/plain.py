"""The front end without a screen: the same events as lines of text, or as JSON."""

from __future__ import annotations

import json
import queue
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import IO

from engine import errors, protocol
from engine.protocol import (
    AnswerReady,
    ApprovalGiven,
    ApprovalNeeded,
    Approve,
    Ask,
    CallStarted,
    CancelIndex,
    CitationChecked,
    Command,
    Continue,
    EngineStopped,
    Event,
    Failed,
    Fork,
    Forked,
    IndexEnded,
    IndexPaths,
    IndexProgress,
    LibraryOpened,
    ModelLoaded,
    Network,
    Observed,
    Reembed,
    ReembedCost,
    RunEnded,
    Search,
    SearchResults,
    Stop,
    TurnStarted,
)
from tui.bridge import Door
from tui.fold import fold
from tui.state import AppState

OK, ERROR, USAGE, NOT_TOLD, SOME_FAILED, INTERRUPTED = 0, 1, 2, 3, 4, 130
"""Exit codes: done; an error; a bad command line; the documents do not tell; some files failed; ctrl+c."""

MakeDoor = Callable[[Callable[[Event], None]], Door]
_SIGN = {"verified": "✓", "weak": "~", "missing": "✗"}


@dataclass
class Conversation:
    """One door and the events that come out of it, to be waited for in turn."""

    make_door: MakeDoor
    out: IO[str] = field(default_factory=lambda: sys.stdout)
    err: IO[str] = field(default_factory=lambda: sys.stderr)
    keyboard: IO[str] = field(default_factory=lambda: sys.stdin)
    json: bool = False
    session: str = ""
    """Of the last question that was asked."""

    def __post_init__(self) -> None:
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()  # None: ctrl+c was pressed
        self._door = self.make_door(self._events.put)

    def close(self) -> None:
        self._door.close()

    def ask(self, command: Ask | Continue | Fork, *, turns: IO[str] | None = None) -> int:
        """Answer one question. Turns go to ``turns``, stderr by default; the answer goes to stdout."""
        past = isinstance(command, Fork)  # what a fork begins with is told first, and is no news
        state, turns = AppState(), turns or self.err
        for event in self._until(command, RunEnded):
            before, state = state, fold(state, event)
            if isinstance(event, AnswerReady):
                answer = event
            self.session = state.session
            past = past and not isinstance(event, Forked)
            if not self.json and not past:
                _tell(before, state, event, turns)
            if isinstance(event, ApprovalNeeded):
                self._approve(event)
            if isinstance(event, Failed) and not event.session:
                return self._failed(event)
        run = state.run
        if run is None or run.ended in ("failed", ""):
            return ERROR
        if not self.json and run.answer_final:
            print(answer.text, file=self.out)
            for citation in run.citations:
                lines = f"L{citation.first}-L{citation.last}"
                mark = f"{_SIGN[citation.state]} {citation.state}"
                print(f"\n{mark}  {citation.marker} {citation.path or citation.uri} {lines}", file=self.out)
                for line in citation.quote.splitlines():
                    print(f"    │ {line}", file=self.out)
        return OK if run.ended == "answered" else NOT_TOLD if run.ended == "not_told" else INTERRUPTED

    def _approve(self, needed: ApprovalNeeded) -> None:
        """Ask the person at the terminal; where there is none, the word is no."""
        what = "query" if needed.what == "query" else "page"
        print(f"  web  {what} for {needed.host}: {needed.text}", file=self.err)
        if not (self.keyboard.isatty() and self.err.isatty()):
            print("       not sent: there is no terminal to ask at. --web on sends without asking.", file=self.err)
            self._door.send(Approve(needed.request, False))
            return
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            print("       send it? [y/N] ", end="", file=self.err, flush=True)
            said = self.keyboard.readline()
            self._door.send(Approve(needed.request, said.strip().lower() in ("y", "yes")))
        except KeyboardInterrupt:
            print(file=self.err)
            self._door.send(Stop())
        finally:
            signal.signal(signal.SIGINT, before)

    def reembed(self, command: Reembed, *, yes: bool) -> int:
        """Tell what it would take, ask unless ``yes``, and do it."""
        for event in self._until(command, ReembedCost, quiet=True):
            if isinstance(event, Failed):
                return self._failed(event)
            if isinstance(event, ReembedCost):
                print(_cost(event), file=self.err)
        if not yes and not self._agreed("make them anew? [y/N] "):
            print("Nothing was changed. --yes does it without asking.", file=self.err)
            return INTERRUPTED
        return self.index(replace(command, go=True))

    def _agreed(self, question: str) -> bool:
        """Whether the person at the terminal says yes; where there is none, the word is no."""
        if not (self.keyboard.isatty() and self.err.isatty()):
            return False
        print(question, end="", file=self.err, flush=True)
        return self.keyboard.readline().strip().lower() in ("y", "yes")

    def index(self, command: IndexPaths | Reembed) -> int:
        """Index, with progress on stderr and the report on stdout."""
        shown = 0.0
        for event in self._until(command, IndexEnded):
            if isinstance(event, IndexProgress) and not self.json and time.monotonic() - shown > 0.5:
                shown = time.monotonic()
                print(_progress(event), file=self.err)
            if isinstance(event, IndexEnded):
                if not self.json:
                    _report(event, self.out)
                if event.watching:
                    continue
                if isinstance(command, IndexPaths) and command.watch:
                    return OK  # ctrl+c is how watching ends
                return INTERRUPTED if event.cancelled else SOME_FAILED if event.failures else OK
            if isinstance(event, Failed):
                return self._failed(event)
        return ERROR

    def search(self, command: Search) -> int:
        """Print ranked hits; as JSON one hit a line, and nothing else."""
        for event in self._until(command, SearchResults, quiet=True):
            if isinstance(event, SearchResults):
                (_hits_as_json if self.json else _hits)(event, self.out)
                if not event.hits:
                    print("Nothing was found.", file=self.err)
                if event.note:
                    print(f"{'note' if event.hits else 'hint'}: {event.note}", file=self.err)
                return OK if event.hits else NOT_TOLD
            if isinstance(event, Failed):
                code = self._failed(event)
                return USAGE if event.error == errors.FilterError.__name__ else code
        return ERROR

    def _until(self, command: Command, last: type[Event], *, quiet: bool = False) -> Iterator[Event]:
        """Send a command and yield what is told, up to an event of the kind ``last``. ``quiet``: do not print it as JSON.

        The first ctrl+c stops the work and lets it end in order, whatever this process was just doing; the second one,
        or the first where there is nothing to stop, is raised.
        """
        stoppable = not isinstance(command, Search)

        def interrupt(*_: object) -> None:
            nonlocal stoppable
            if not stoppable:
                raise KeyboardInterrupt
            stoppable = False
            self._events.put(None)

        before = signal.signal(signal.SIGINT, interrupt)
        try:
            yield from self._told(command, last, quiet)
        finally:
            signal.signal(signal.SIGINT, before)

    def _told(self, command: Command, last: type[Event], quiet: bool) -> Iterator[Event]:
        self._door.send(command)
        past = isinstance(command, Fork)
        while True:
            try:
                event = self._events.get(timeout=0.5)  # a wait without an end cannot be interrupted everywhere
            except queue.Empty:
                continue
            if event is None:
                for stop in (Stop(), CancelIndex()):
                    self._door.send(stop)
                continue
            if self.json and not quiet:
                print(protocol.encode(event), file=self.out, flush=True)
            if isinstance(event, EngineStopped):
                event = Failed("EngineStopped", event.reason, "Every finished turn is in the journal.")
            if isinstance(event, Failed) and _beside(command, event):
                continue
            yield event
            past = past and not isinstance(event, Forked)
            if past and isinstance(event, RunEnded):
                continue  # of a question before
            more = isinstance(event, IndexEnded) and event.watching
            if (isinstance(event, last) and not more) or (isinstance(event, Failed) and not event.session):
                return

    def _failed(self, event: Failed) -> int:
        print(f"error: {event.message}", file=self.err)
        if event.hint:
            print(f"hint: {event.hint}", file=self.err)
        return ERROR


def _beside(command: Command, failed: Failed) -> bool:
    """Whether a failure is no concern of ``command``: the engine tells of what went wrong while it warmed up, too."""
    kind = getattr(errors, failed.error, errors.DeepSearchError)
    if isinstance(command, IndexPaths) and command.rebuild and issubclass(kind, errors.LibraryCorrupt):
        return True  # this is what the rebuilding mends
    return isinstance(command, IndexPaths | Reembed | Search) and issubclass(
        kind, errors.ModelError | errors.SessionError
    )


def _tell(before: AppState, state: AppState, event: Event, out: IO[str]) -> None:
    """What one event means, for somebody who watches the run go by."""
    match event:
        case ModelLoaded(model, seconds):
            at = f" at {model.endpoint}" if model.endpoint else ""
            print(f"model  {model.name}{at}, context {model.context:,} tokens, loaded in {seconds:.1f} s", file=out)
            for note in (model.cache_note, event.note, model.gpu):
                if note:
                    print(f"       {note}", file=out)
        case LibraryOpened(library, documents, chunks):
            print(f"library  {library}: {documents:,} documents, {chunks:,} chunks", file=out)
            if event.note:
                print(f"       {event.note}", file=out)
        case protocol.RunStarted(question, policy):
            stays = "the last turn stays" if policy.window == 1 else f"the last {policy.window} turns stay"
            window = stays if policy.window else "off"
            window += ", as advised" if policy.auto else ""
            print(f"\nquestion  {question}\nmasking  {window}\nweb  {event.web}", file=out)
            if event.advice and not policy.auto:
                print(f"advice  {event.advice}", file=out)
        case protocol.Advised(text):
            print(f"advice  {text}", file=out)
        case TurnStarted(must_answer):
            print(f"turn {event.turn}{'  must answer' if must_answer else ''}", file=out)
        case protocol.Decided(decisions):
            old = {row.number: row.state for row in before.run.observations} if before.run else {}
            counts = {name: sum(d.state == name for d in decisions) for name in ("live", "pinned", "kept", "masked")}
            summary = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
            print(f"  sees  {summary or 'the question alone'}", file=out)
            for decision in decisions:
                row = state.run.row(decision.observation) if state.run else None
                if row is not None and decision.state == "masked" and old.get(decision.observation) != "masked":
                    print(f"  masked  {row.observation.header}", file=out)
                    print(f"          {row.before} → {row.after} tokens, {decision.reason}", file=out)
        case CallStarted(_, tool, arguments):
            shown = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
            print(f"  call  {tool}({shown})", file=out)
        case Network(entry):
            size = f", {entry.bytes:,} bytes" if entry.bytes >= 0 else ""
            where = "server" if entry.purpose == "model" else "web"
            print(f"  {where}  {entry.method} {entry.url}  {entry.result}{size}", file=out)
        case ApprovalGiven(_, _, text, host, False):
            print(f"  web  not allowed: {text} to {host}", file=out)
        case Observed(observation):
            about = "~" if state.run is not None and state.run.model.estimated else ""
            print(f"  read  {observation.header}  ({about}{observation.body_tokens} tokens)", file=out)
        case protocol.EvidenceChosen(evidence):
            for chosen in evidence:
                print(f"  evidence  {chosen.marker} {chosen.path}", file=out)
        case CitationChecked(citation):
            print(f"  checked  {citation.marker} {citation.state} ({citation.score:.0%} of the words)", file=out)
        case protocol.CacheEdited(_, _, removed, _, mode, repaired) if removed or repaired:
            print(f"  cache  {mode}: {removed:,} tokens taken out, {repaired:,} read again in place", file=out)
        case protocol.CacheKept(action, tokens, size, seconds):
            print(f"  cache  {tokens:,} tokens {action} ({size / 2**20:,.0f} MB, {seconds:.1f} s)", file=out)
        case protocol.TurnEnded(_, _, _, timings):
            read = f"{timings.prompt_tokens:,} prompt tokens, {timings.reused_tokens:,} of them from the cache"
            print(f"  took  {timings.prefill_seconds + timings.decode_seconds:.1f} s: {read}", file=out)
        case Forked(parent, turn):
            print(f"forked from {parent} after turn {turn} as {event.session}", file=out)
        case RunEnded(why, turns, seconds):
            print(f"ended  {why.replace('_', ' ')} after {turns} turns, {seconds:.1f} s\n", file=out)
        case Failed(_, message, hint) if event.session:
            print(f"failed  {message} {hint}", file=out)
    out.flush()


def _progress(event: IndexProgress) -> str:
    of = f" of {event.total:,}" if event.total else ""
    speed = f", {event.speed:,.0f} chunks/s" if event.speed else ""
    eta = f", about {event.eta:.0f} s left" if event.eta >= 0 else ""
    what = {"scan": "looking", "read": "reading files", "embed": "embedding chunks"}[event.phase]
    found = f"; found by words: {event.chunks:,} chunks of {event.files:,} files, by meaning too: {event.embedded:,}"
    return f"{what}: {event.done:,}{of}{speed}{eta}{found if event.chunks else ''}"


def _cost(event: ReembedCost) -> str:
    vectors = f"{event.library}: {event.chunks:,} chunks were embedded with {event.old}, the embedder is {event.new}"
    long = f"{event.seconds / 60:,.0f} minutes" if event.seconds >= 120 else f"{event.seconds:.1f} s"
    took = f"about {long}" if event.chunks else "nothing to do"
    return (
        f"{vectors}\nto make all vectors anew: {took}, at the speed measured here just now; words are found meanwhile"
    )


def _hits(event: SearchResults, out: IO[str]) -> None:
    """Where, how well in each part, and the lines that show why."""
    from engine.sources.library.snippet import snippet

    for place, hit in enumerate(event.hits, start=1):
        print(
            f"{place}. {f'[{hit.library}] ' if hit.library else ''}{hit.uri}:{hit.first}-{hit.last}  {hit.heading or hit.title}",
            file=out,
        )
        text = f"text #{hit.text_rank} {hit.text_score:.1f}" if hit.text_rank else "text -"
        meaning = f"meaning #{hit.vector_rank} {hit.similarity:.2f}" if hit.vector_rank else "meaning -"
        exact = f" · as written #{hit.exact_rank}" if hit.exact_rank else ""
        rerank = f" · rerank {hit.rerank:.2f}" if hit.rerank is not None else ""
        print(f"   {hit.score:.3f} = {text} · {meaning}{exact}{rerank}", file=out)
        shown = snippet(hit.text, hit.first, event.query)
        print(f"   L{shown.line}: {shown.text}\n", file=out)


def _hits_as_json(event: SearchResults, out: IO[str]) -> None:
    from engine.sources.library.snippet import snippet

    for place, hit in enumerate(event.hits, start=1):
        shown = snippet(hit.text, hit.first, event.query)
        told = {"place": place, **asdict(hit), "snippet": shown.text, "snippet_line": shown.line}
        print(json.dumps(told, ensure_ascii=False), file=out, flush=True)


def _report(event: IndexEnded, out: IO[str]) -> None:
    print(
        f"{event.library}: {event.added} added, {event.changed} changed, {event.unchanged} unchanged,"
        f" {event.removed} removed; {event.chunks:,} chunks, {event.embedded:,} with vectors, {event.seconds:.1f} s",
        file=out,
    )
    for reason, count in event.skipped.items():
        print(f"skipped {count}: {reason}", file=out)
    if event.note:
        print(f"note: {event.note}", file=out)
    for failure in event.failures:
        print(f"failed {failure.path}: {failure.reason}{' — ' + failure.hint if failure.hint else ''}", file=out)
    if event.watching:
        print("watching; ctrl+c ends it", file=out)
    out.flush()
