"""Takes commands, owns what a run needs, emits events. The same object serves a child process and tests in-process."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable

from engine import fork, loaded, replay
from engine.agent import formats
from engine.agent.loop import Controls, Run
from engine.at_hand import AtHand
from engine.browser.pages import PagePool
from engine.browser.tools import Browser
from engine.caches import Caches
from engine.clean import clean_line
from engine.errors import DeepSearchError, SessionError
from engine.indexing import Indexing
from engine.libraries import Libraries
from engine.loaded import Loaded
from engine.model.base import LanguageModel, Sampling
from engine.models import Shelf, is_for_shelf
from engine.online import Guard, MakeFetcher, Online
from engine.protocol import (
    AnswerNow,
    Approve,
    Ask,
    CancelIndex,
    Command,
    Continue,
    Event,
    Failed,
    Fork,
    IndexPaths,
    OpenPage,
    OpenSession,
    PageOpened,
    PauseIndex,
    Price,
    Redo,
    Reembed,
    RunEnded,
    RunStarted,
    Search,
    SearchResults,
    SessionOpened,
    SetMark,
    SetMasking,
    SetWeb,
    ShowPrompt,
    Shutdown,
    Stop,
    Undo,
    WebMode,
)
from engine.readings import Readings
from engine.recorder import Recorder
from engine.sessions import Journal
from engine.settings import Settings
from engine.sources.base import Source, is_web
from engine.sources.library import Library
from engine.sources.library.embed import Embedder
from engine.sources.library.embedders import embedder_of
from engine.sources.library.filters import Filters
from engine.sources.library.recall import Recall
from engine.sources.several import Several
from engine.sources.web.urls import mentioned
from engine.steering import Steering

Emit = Callable[[Event], None]

_BUSY = Failed("Busy", "A question is being answered.", "Stop it first.")


def _no_guard(mode: WebMode) -> None: ...


class Engine:
    """One user's engine: at most one run and one indexing at a time, searches beside them.

    ``emit`` is called from several threads. ``guard`` keeps this process off the network; who owns the process decides
    about it. ``load_model``, ``embedder`` and ``fetcher`` exist so that tests can be deterministic, and bring a web.
    """

    def __init__(
        self,
        settings: Settings,
        emit: Emit,
        *,
        load_model: Callable[[Settings], LanguageModel] | None = None,
        embedder: Embedder | None = None,
        fetcher: MakeFetcher | None = None,
        guard: Guard = _no_guard,
    ) -> None:
        self._settings = settings
        self._emit = emit
        self._at_hand = AtHand(emit)
        # One embedder for all libraries: it is loaded once.
        self._libraries = Libraries(
            settings, embedder or embedder_of(settings.embedder, settings.models_dir), self._at_hand.tell
        )
        self._opening = threading.Lock()  # guards the journal, which is opened once
        self._journal: Journal | None = None
        self._pages: dict[str, PagePool] = {}
        self._jobs: set[threading.Thread] = set()
        self._caches = Caches(settings)
        self._reading = threading.Lock()
        self._read_last: tuple[str, Readings] = ("", Readings())
        self._closing = threading.Event()
        self._online = Online(settings, emit, guard, fetcher)
        self._indexing = Indexing(self._libraries, emit, start=self._start)
        self._loaded = Loaded(settings, emit, load_model or (lambda chosen: loaded.load(chosen, self._online.record)))
        self._steering = Steering(
            self._at_hand,
            settings.policy,
            emit,
            readings=self._readings,
            model=lambda: self._loaded.model,
            batches=settings.cache == "auto",
        )
        self._shelf = Shelf(
            lambda: self._loaded.settings, emit, start=self._start, changed=self._choose_model, idle=self._free_model
        )

    # ── the door ─────────────────────────────────────────────────────────────────────────────────

    def warm(self) -> None:
        """Load what the first question will need, in the background, while the user still types."""
        self._start(self._warm)

    def handle(self, command: Command) -> None:
        """Take a command and return at once. What goes wrong later is told as a Failed event."""
        match command:
            case Ask() | Continue() | Fork():
                controls = self._at_hand.begin(self._steering.policy)
                if controls is None:
                    self._emit(_BUSY)
                else:
                    self._start(self._answer, command, controls)
            case Stop():
                self._stop_run()
            case AnswerNow():
                if (controls := self._at_hand.controls) is not None:
                    controls.answer_now.set()
            case SetMasking() | SetMark() | Undo() | Redo():
                self._steering.handle(command)
            case Price():
                self._start(self._steering.preview, command)
            case ShowPrompt():
                self._start(self._show_prompt, command)
            case SetWeb("off"):
                self._online.set("off")
            case SetWeb(mode):
                self._start(self._online.set, mode)
            case Approve(request, allowed):
                self._online.answer(request, allowed)
            case OpenSession(session):
                if self._at_hand.busy:
                    self._emit(_BUSY)
                else:
                    self._start(self._open_session, session)
            case IndexPaths() | Reembed() | CancelIndex() | PauseIndex():
                self._indexing.handle(command)
            case Search():
                self._start(self._search, command)
            case OpenPage(uri, library):
                self._start(self._open_page, uri, library)
            case Shutdown():
                self.close()
            case _ if is_for_shelf(command):
                self._shelf.handle(command)

    def _show_prompt(self, command: ShowPrompt) -> None:
        readings = self._readings(command.session)
        place = readings.place(command.for_run, command.for_turn) if command.place < 0 else command.place
        self._emit(readings.shown(place))

    def _readings(self, session: str) -> Readings:
        """What the model read in a session so far. That of the last one asked for is kept, and goes on."""
        with self._reading:
            if self._read_last[0] != session:
                self._read_last = (session, Readings())
            readings = self._read_last[1]
            readings.hear(self._open_journal().events(session, after=readings.seq))
            return readings

    def close(self) -> None:
        """Stop what runs, finish writing, free everything."""
        self._closing.set()
        self._stop_run()
        self._indexing.cancel()
        self._shelf.cancel()
        for job in list(self._jobs):
            job.join(timeout=20)
        self._online.close()
        self._libraries.close()
        self._loaded.free()
        with self._opening:
            if self._journal is not None:
                self._journal.close()
                self._journal = None

    def _stop_run(self) -> None:
        if (controls := self._at_hand.controls) is not None:
            controls.stop.set()
        self._online.wake()

    # ── jobs, each on a thread of its own ────────────────────────────────────────────────────────

    def _start(self, job: Callable[..., None], *args: object) -> None:
        def run() -> None:
            try:
                job(*args)
            except Exception as error:  # noqa: BLE001 - a bug in one job must not end the engine or stay silent
                self._emit(_failed(error))
            finally:
                self._jobs.discard(thread)

        thread = threading.Thread(target=run, name=job.__name__, daemon=True)
        self._jobs.add(thread)
        thread.start()

    def _warm(self) -> None:
        library = self._libraries.source(self._settings.library)
        before = library.status()
        self._emit(before)
        self._loaded.ready()
        library.warm()
        if (now := library.status()).note != before.note:
            self._emit(now)  # what did not work when it was first tried

    def _answer(self, command: Ask | Continue | Fork, controls: Controls) -> None:
        try:
            if isinstance(command, Fork):
                command = self._fork(command)
            run, recorder, started = self._prepare(command, controls)
            self._at_hand.take(recorder, run)
            self._online.begin(recorder.record, controls.stop.is_set)
            began = time.monotonic()
            try:
                recorder.record(started)
                for brought in self._caches.bring(run.model, recorder.session, resumed=started.resumed):
                    recorder.record(brought)
                for event in run.events():
                    if isinstance(event, RunEnded) and event.why == "stopped":
                        for kept in self._caches.keep(run.model, recorder.session):
                            recorder.record(kept)
                    recorder.record(event)
            except Exception as error:  # noqa: BLE001 - whatever it was: who was told of a run is told of its end
                recorder.record(_failed(error), anyway=True)
                ended = RunEnded("failed", len(run.transcript.turns), time.monotonic() - began)
                recorder.record(ended, anyway=True)
        finally:
            self._online.end()
            self._at_hand.end(controls)

    def _fork(self, command: Fork) -> Ask | Continue:
        """Begin the new session and tell all that it has from the old one. What is missing to go on leaves none."""
        journal = self._open_journal()
        self._loaded.ready()
        self._libraries.stocked(
            replay.past_of(journal.events(command.session)).library, alone=self._online.mode == "off"
        )
        policy = self._steering.batched(command.policy) if command.policy else None
        goes_on, events = fork.begin(journal, command, policy)
        for event in events:
            self._emit(event)
        return goes_on

    def _prepare(self, command: Ask | Continue, controls: Controls) -> tuple[Run, Recorder, RunStarted]:
        """Everything a run needs, from the session's journal and the settings."""
        settings, journal, model, web = self._settings, self._open_journal(), self._loaded.ready(), self._online.mode
        self._at_hand.catch_up(journal, command.session)
        if web != "off":
            self._online.open()  # what is wrong with it shows before there is a session, too
        if isinstance(command, Continue):
            session, past = command.session, replay.past_of(journal.events(command.session))
            if not past.unfinished:
                raise SessionError("There is nothing to continue: the last run of this session is finished.")
            library = self._libraries.stocked(past.library, alone=web == "off")
            transcript, run_number, max_turns = past.transcript, past.run, past.max_turns
            controls.policy = past.policy
        else:
            # Like the model before: what is missing leaves no empty session.
            library = self._libraries.stocked(command.library, alone=web == "off")
            session = command.session or journal.create(clean_line(command.question, 120))
            past = replay.past_of(journal.events(session))
            transcript, run_number = past.follow_up(clean_line(command.question, 4000)), past.run + 1
            max_turns = command.max_turns or settings.max_turns
            controls.policy = self._steering.batched(command.policy or self._steering.policy)
        controls.marks.update(past.marks)
        question = transcript.question
        format = formats.for_model(model)
        max_turns = max_turns or format.turns
        browser = Browser(
            library,
            self._pool(session, past, library),
            count=model.count,
            viewport_tokens=format.viewport(settings.viewport_tokens),
            results=settings.search_results,
            web=self._online.for_question(question, past.observations) if web != "off" else self._online.kept(),
            search_web=web != "off",
        )
        if web != "off" and isinstance(command, Ask):
            browser.offer(mentioned(question))
        measured = self._recall_of(library) if controls.policy.auto else library.recall
        run = Run(
            transcript,
            model=model,
            browser=browser,
            controls=controls,
            max_turns=max_turns,
            sampling=Sampling(
                temperature=settings.temperature,
                seed=settings.seed,
                max_tokens=format.reply_tokens(model.info.context),
            ),
            next_observation=past.next_observation,
            recall=lambda: known.share if (known := measured()) is not None else None,
        )
        started = RunStarted(
            question,
            controls.policy,
            library.name,
            model.info,
            max_turns,
            resumed=isinstance(command, Continue),
            web=web,
            system=run.system,
            advice=run.advice().text,
        )

        def tell(event: Event) -> None:
            if isinstance(event, RunEnded):
                self._at_hand.end(controls)  # first: who hears of the end may ask again at once
            self._emit(event)

        return run, Recorder(journal, session, run_number, tell, past.history), started

    def _recall_of(self, library: Library | Several) -> Callable[[], Recall | None]:
        """What is known of a library's recall, found out in the background if it is not. Cancelled when the engine closes."""
        known = [library.recall()]

        def measure() -> None:
            known[0] = library.measure_recall(self._closing.is_set)

        if known[0] is None and library.holds_any():
            self._start(measure)
        return lambda: known[0]

    def _pool(self, session: str, past: replay.Past, library: Source) -> PagePool:
        """The pages of a session, put back from its journal if this engine has not got them. Those of the web come back
        as they were read then: nothing is fetched.
        """
        pool = self._pages.get(session)
        if pool is None:
            pool = self._pages[session] = PagePool()
            for observation in past.observations:
                kept = self._online.kept(past.times[observation.number]) if is_web(observation.uri) else library
                pool.restore(observation, kept)
        return pool

    def _open_session(self, session: str) -> None:
        journal = self._open_journal()
        events = list(journal.events(session))
        for event in replay.without_pieces(events):
            self._emit(event)
        past = replay.past_of(events)
        self._at_hand.take(Recorder(journal, session, past.run, self._emit, past.history))
        self._emit(SessionOpened(journal.title(session), past.unfinished, session=session))

    def _search(self, command: Search) -> None:
        began = time.monotonic()
        filters = Filters(command.paths, command.types, command.since)
        found = self._libraries.known(command.library).find(command.query, command.limit, filters)
        self._emit(SearchResults(command.query, found.hits, time.monotonic() - began, found.note))

    def _open_page(self, uri: str, library: str) -> None:
        if is_web(uri):
            self._emit(self._page_of_session(uri))
            return
        document = self._libraries.source(library).open(uri)
        self._emit(PageOpened(document.uri, document.title, document.text))

    def _page_of_session(self, uri: str) -> PageOpened:
        """A page of the web as the session at hand has read it last, so that lines are those that were cited."""
        if self._at_hand.recorder is not None:
            past = replay.past_of(self._open_journal().events(self._at_hand.recorder.session))
            for observation in reversed(past.observations):
                if observation.uri == uri and observation.total_lines:
                    pool = PagePool()
                    pool.restore(observation, self._online.kept(past.times[observation.number]))
                    page = pool.get(observation.cursor)
                    return PageOpened(page.uri, page.title, page.text)
        document = self._online.kept().open(uri)
        return PageOpened(document.uri, document.title, document.text)

    # ── what is opened once and kept ─────────────────────────────────────────────────────────────

    def _open_journal(self) -> Journal:
        with self._opening:
            if self._journal is None:
                self._settings.prepare()
                self._journal = Journal(self._settings.journal)
                if self._journal.recovered_from is not None:
                    self._emit(
                        Failed(
                            "JournalCorrupt",
                            f"The journal could not be read and was set aside as {self._journal.recovered_from}.",
                            "What could be read of it is in the new journal.",
                        )
                    )
            return self._journal

    def _choose_model(self, model: str) -> None:
        """From the next question on; at once where none is being answered."""
        self._loaded.choose(model)
        if self._free_model():
            self._start(self._load)

    def _load(self) -> None:
        self._loaded.ready()

    def _free_model(self) -> bool:
        """Free the loaded model, to be loaded again when it is wanted; false while a question is answered."""
        return self._loaded.free(busy=lambda: self._at_hand.busy)


def _failed(error: Exception) -> Failed:
    """What is told of an error. One that nobody raised on purpose is a bug, and goes to the log whole."""
    if isinstance(error, DeepSearchError):
        return Failed(type(error).__name__, str(error), error.hint)
    traceback.print_exception(error)
    return Failed(type(error).__name__, clean_line(f"Unexpected: {error}"), "The engine's log has the details.")
