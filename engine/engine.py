"""Takes commands, owns what a run needs, emits events. The same object serves a child process and tests in-process."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from engine import fork, replay, steering
from engine.agent import formats
from engine.agent.loop import Bill, Controls, Run
from engine.browser.pages import PagePool
from engine.browser.tools import Browser
from engine.caches import Caches
from engine.clean import clean_line
from engine.errors import DeepSearchError, SessionError
from engine.history import History
from engine.libraries import Libraries
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
    IndexEnded,
    IndexPaths,
    IndexPaused,
    Marked,
    ModelLoaded,
    ModelLoading,
    OpenPage,
    OpenSession,
    PageOpened,
    PauseIndex,
    Policy,
    PolicySet,
    Price,
    Priced,
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
from engine.reins import Reins
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

Emit = Callable[[Event], None]


def _no_guard(mode: WebMode) -> None: ...


_BATCH = 4
"""Turns whose observations are masked together where a mask means reading the rest again (measured: half the time)."""


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
        self._load_model = load_model or (self._at_server if settings.endpoint else _llama)
        # One embedder for all libraries: it is loaded once.
        self._libraries = Libraries(
            settings, embedder or embedder_of(settings.embedder, settings.models_dir), lambda event: self._tell(event)
        )
        self._lock = threading.Lock()  # guards the one run and the one indexing
        self._opening = threading.RLock()  # guards what is opened once: journal, model, libraries
        self._journal: Journal | None = None
        self._model: LanguageModel | None = None
        self._pages: dict[str, PagePool] = {}
        self._jobs: set[threading.Thread] = set()
        self._controls: Controls | None = None
        self._run: Run | None = None  # the one under way, once it is prepared
        self._recorder: Recorder | None = None  # of the session at hand
        self._said: list[Event] = []  # marks and policies set before there was one
        self._policy = settings.policy
        self._caches = Caches(settings)
        self._reading = threading.Lock()
        self._read_last: tuple[str, Readings] = ("", Readings())
        self._reins: Reins | None = None  # of the indexing under way
        self._closing = threading.Event()
        self._online = Online(settings, emit, guard, fetcher)
        self._loaded_from = settings.model  # what the loaded model was chosen by
        self._shelf = Shelf(
            lambda: self._settings, emit, start=self._start, changed=self._choose_model, idle=self._free_model
        )

    # ── the door ─────────────────────────────────────────────────────────────────────────────────

    def warm(self) -> None:
        """Load what the first question will need, in the background, while the user still types."""
        self._start(self._warm)

    def handle(self, command: Command) -> None:
        """Take a command and return at once. What goes wrong later is told as a Failed event."""
        match command:
            case Ask() | Continue() | Fork():
                with self._lock:
                    if self._controls is not None:
                        self._emit(Failed("Busy", "A question is being answered.", "Stop it first."))
                        return
                    self._controls = controls = Controls(policy=self._policy)
                self._start(self._answer, command, controls)
            case Stop():
                self._stop_run()
            case AnswerNow():
                if self._controls is not None:
                    self._controls.answer_now.set()
            case SetMasking() | SetMark() | Undo() | Redo():
                self._steer(command)
            case Price():
                self._start(self._preview, command)
            case ShowPrompt():
                self._start(self._show_prompt, command)
            case SetWeb("off"):
                self._online.set("off")
            case SetWeb(mode):
                self._start(self._online.set, mode)
            case Approve(request, allowed):
                self._online.answer(request, allowed)
            case OpenSession(session):
                if self._controls is not None:
                    self._emit(Failed("Busy", "A question is being answered.", "Stop it first."))
                    return
                self._start(self._open_session, session)
            case IndexPaths() | Reembed(go=True):
                with self._lock:
                    if self._reins is not None:
                        self._emit(Failed("Busy", "Indexing is under way.", "Wait for it or cancel it."))
                        return
                    self._reins = reins = Reins()
                self._start(self._index, command, reins)
            case Reembed(library):
                self._start(self._tell_cost, library)
            case CancelIndex():
                if self._reins is not None:
                    self._reins.cancel()
            case PauseIndex(paused):
                if self._reins is not None:
                    self._reins.pause(paused)
                    self._emit(IndexPaused(paused))
            case Search():
                self._start(self._search, command)
            case OpenPage(uri, library):
                self._start(self._open_page, uri, library)
            case Shutdown():
                self.close()
            case _ if is_for_shelf(command):
                self._shelf.handle(command)

    def _steer(self, command: steering.Steer) -> None:
        """Change marks or policy, write that down, and tell what it will cost if a run is there to pay for it."""
        run, controls, recorder = self._run, self._controls, self._recorder
        policy = self._policy
        if isinstance(command, SetMasking):
            self._policy = command.policy
            policy = self._batched(command.policy, self._model)
        events = steering.changes(command, recorder.history if recorder is not None else History(), policy)
        if not events:
            self._emit(Failed("NothingToUndo", f"There is nothing to {type(command).__name__.lower()}."))
            return
        before = steering.copy(controls) if controls is not None else None
        for event in events:
            if isinstance(event, PolicySet) and not isinstance(command, SetMasking):
                self._policy = event.policy
            if controls is not None:
                steering.apply(controls, event)
            self._tell(event)
        if run is not None and before is not None and controls is not None and run.controls is controls:
            bill = run.price(before, controls)
            first = events[0]
            what = (first.observation, first.mark) if isinstance(first, Marked) else (0, "none")
            also = tuple(each.observation for each in events[1:] if isinstance(each, Marked))
            self._tell(Priced(*what, bill.frees, bill.reads, bill.seconds, also=also))

    def _preview(self, command: Price) -> None:
        """Tell what a change would cost, to nobody but who asked: it is not part of the session."""
        run, recorder = self._run, self._recorder
        policy = self._batched(command.policy, self._model) if command.policy is not None else None
        exact = True
        if run is not None:
            before = steering.copy(run.controls)
            bill = run.price(before, steering.asked(command, before, policy))
        elif recorder is not None:
            readings = self._readings(recorder.session)
            before = Controls(readings.past.policy, dict(readings.past.marks))
            after = steering.asked(command, before, policy)
            bill, exact = steering.idle_bill(readings, self._model, before, after)
        else:
            bill, exact = Bill(0, 0, 0.0), False
        told = Priced(
            command.observation,
            command.mark,
            bill.frees,
            bill.reads,
            bill.seconds,
            preview=True,
            exact=exact,
            also=command.also,
            policy=command.policy,
        )
        self._emit(replace(told, session=recorder.session, run=recorder.run) if recorder is not None else told)

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
        if self._reins is not None:
            self._reins.cancel()
        self._shelf.cancel()
        for job in list(self._jobs):
            job.join(timeout=20)
        self._online.close()
        with self._opening:
            self._libraries.close()
            if self._model is not None:
                self._model.close()
                self._model = None
            if self._journal is not None:
                self._journal.close()
                self._journal = None

    def _stop_run(self) -> None:
        if self._controls is not None:
            self._controls.stop.set()
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
        self._ready_model()
        library.warm()
        if (now := library.status()).note != before.note:
            self._emit(now)  # what did not work when it was first tried

    def _answer(self, command: Ask | Continue | Fork, controls: Controls) -> None:
        try:
            if isinstance(command, Fork):
                command = self._fork(command)
            run, recorder, started = self._prepare(command, controls)
            self._at_hand(recorder)
            self._run = run
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
            self._free(controls)

    def _fork(self, command: Fork) -> Ask | Continue:
        """Begin the new session and tell all that it has from the old one. What is missing to go on leaves none."""
        journal, model = self._open_journal(), self._ready_model()
        self._libraries.stocked(
            replay.past_of(journal.events(command.session)).library, alone=self._online.mode == "off"
        )
        policy = self._batched(command.policy, model) if command.policy else None
        goes_on, events = fork.begin(journal, command, policy)
        for event in events:
            self._emit(event)
        return goes_on

    def _free(self, controls: Controls) -> None:
        with self._lock:
            if self._controls is controls:
                self._controls = self._run = None

    def _prepare(self, command: Ask | Continue, controls: Controls) -> tuple[Run, Recorder, RunStarted]:
        """Everything a run needs, from the session's journal and the settings."""
        settings, journal, model, web = self._settings, self._open_journal(), self._ready_model(), self._online.mode
        self._catch_up(journal, command.session)
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
            controls.policy = self._batched(command.policy or self._policy, model)
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
                self._free(controls)  # first: who hears of the end may ask again at once
            self._emit(event)

        return run, Recorder(journal, session, run_number, tell, past.history), started

    def _batched(self, policy: Policy, model: LanguageModel | None) -> Policy:
        """The policy with batches where each edit of the cache is dear, unless the user chose otherwise."""
        if self._settings.cache != "auto" or policy.batch_turns or model is None:
            return policy
        if model.info.cache not in ("strict", "server"):
            return policy
        return replace(policy, batch_turns=_BATCH)

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
        self._at_hand(Recorder(journal, session, past.run, self._emit, past.history))
        self._emit(SessionOpened(journal.title(session), past.unfinished, session=session))

    def _index(self, command: IndexPaths | Reembed, reins: Reins) -> None:
        try:
            library = self._libraries.one(command.library)
            ended = self._indexed(library, command, reins)
        finally:
            self._reins = None
        self._emit(ended)
        self._emit(library.status())

    def _indexed(self, library: Library, command: IndexPaths | Reembed, cancelled: Callable[[], bool]) -> IndexEnded:
        if isinstance(command, Reembed):
            return library.reembed(progress=self._emit, cancelled=cancelled)
        paths = [Path(path).expanduser() for path in command.paths]
        if command.rebuild:
            ended = library.rebuild(progress=self._emit, cancelled=cancelled)
        if command.watch and not cancelled():

            def tell(report: IndexEnded) -> None:
                self._emit(report)
                self._emit(library.status())

            ended = library.watch(paths, progress=self._emit, cancelled=cancelled, ended=tell)
        elif paths or not command.rebuild:
            ended = library.index(paths, progress=self._emit, cancelled=cancelled)
        return ended

    def _tell_cost(self, name: str) -> None:
        self._emit(self._libraries.one(name).reembed_cost())

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
        if self._recorder is not None:
            past = replay.past_of(self._open_journal().events(self._recorder.session))
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

    def _ready_model(self) -> LanguageModel:
        with self._opening:
            if self._model is not None and self._loaded_from != self._settings.model:
                self._model.close()
                self._model = None
            if self._model is None:
                began = time.monotonic()
                self._emit(ModelLoading(_named(self._settings)))
                self._loaded_from = self._settings.model
                self._model = self._load_model(self._settings)
                info = self._model.info
                note = info.note or (
                    f"{info.context:,} tokens of context, all it was trained for; {self._settings.context:,} were asked for"
                    if info.context < self._settings.context and not info.endpoint
                    else ""
                )
                self._emit(ModelLoaded(info, time.monotonic() - began, note))
            return self._model

    def _at_server(self, settings: Settings) -> LanguageModel:
        from engine.model.loading import load

        return load(settings, self._online.record)

    def _choose_model(self, model: str) -> None:
        """From the next question on; at once where none is being answered."""
        self._settings = replace(self._settings, model=model)
        if self._free_model():
            self._start(self._load_again)

    def _load_again(self) -> None:
        self._ready_model()

    def _free_model(self) -> bool:
        """Free the loaded model, to be loaded again when it is wanted; false while a question is answered."""
        with self._opening, self._lock:
            if self._controls is not None:
                return False
            if self._model is not None:
                self._model.close()
                self._model = None
            return True

    # ── the session at hand ──────────────────────────────────────────────────────────────────────

    def _at_hand(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._said.clear()

    def _tell(self, event: Event) -> None:
        """Record in the session at hand. Before there is one, just emit, and keep it for :meth:`_catch_up`."""
        if self._recorder is not None:
            self._recorder.record(event)
        else:
            self._said.append(event)
            self._emit(event)

    def _catch_up(self, journal: Journal, session: str) -> None:
        """Record what was said before any session was at hand. After a crash, that was about the one that goes on."""
        if session and self._recorder is None and self._said:
            recorder = Recorder(journal, session, replay.past_of(journal.events(session)).run, self._emit)
            for event in self._said:
                recorder.record(event)


def _llama(settings: Settings) -> LanguageModel:
    from engine.model.loading import load

    return load(settings)


def _named(settings: Settings) -> str:
    """What is being loaded, for a person."""
    if settings.server is not None:
        return f"{settings.endpoint_model or 'the model'} at {settings.server.label}"
    return Path(settings.model).name or "starter model"


def _failed(error: Exception) -> Failed:
    """What is told of an error. One that nobody raised on purpose is a bug, and goes to the log whole."""
    if isinstance(error, DeepSearchError):
        return Failed(type(error).__name__, str(error), error.hint)
    traceback.print_exception(error)
    return Failed(type(error).__name__, clean_line(f"Unexpected: {error}"), "The engine's log has the details.")
