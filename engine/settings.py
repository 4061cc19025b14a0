"""All settings in one frozen record: defaults, then the config file, then the environment, then flags."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine import endpoints
from engine.errors import SettingsError
from engine.model.families import FORMATS
from engine.protocol import Policy

APP = "deepsearch-tui"
ENV_PREFIX = "DEEPSEARCH_"


CACHES = ("auto", "strict", "carry", "carry+repair")
MASKINGS = ("window", "auto")
WEB_MODES = ("off", "ask", "on")


def _help(text: str) -> dict[str, str]:
    return {"help": text}


def _default_data_dir() -> Path:
    from platformdirs import user_data_path

    return user_data_path(APP)


def _default_config_file() -> Path:
    from platformdirs import user_config_path

    return user_config_path(APP) / "config.toml"


@dataclass(frozen=True)
class Settings:
    """Every setting. ``metadata["help"]`` of each field is its documentation."""

    data_dir: Path = field(
        default_factory=_default_data_dir, metadata=_help("Where libraries, sessions and logs are kept.")
    )
    config_file: Path = field(
        default_factory=_default_config_file, metadata=_help("The TOML file that settings are read from.")
    )
    model: str = field(
        default="", metadata=_help("A .gguf file, or the name of one in the models folder. Empty: the starter model.")
    )
    format: str = field(
        default="auto",
        metadata=_help(
            "How the model is spoken to: auto, or one of " + ", ".join(FORMATS) + ". auto goes by its chat template."
        ),
    )
    endpoint: str = field(
        default="",
        metadata=_help(
            "A server to use instead of a model file: the address of a llama-server, vLLM, Ollama, LM Studio or any other"
            " that speaks OpenAI's API. Its key is read from the variable DEEPSEARCH_ENDPOINT_KEY alone."
        ),
    )
    endpoint_model: str = field(
        default="", metadata=_help("The model to use at the endpoint. Empty: the one it has, or its first.")
    )
    library: str = field(
        default="default", metadata=_help("The library that questions are asked of, or several: work,home.")
    )
    embedder: str = field(
        default="",
        metadata=_help(
            "What makes vectors: a folder of sentence-transformers, the name of one in the models folder, or an installed"
            " package that carries one. Empty: all-MiniLM-L6-v2."
        ),
    )
    reranker: str = field(
        default="",
        metadata=_help(
            "A folder with a cross-encoder of sentence-transformers, or the name of one in the models folder: it puts the"
            " best hits of a search in its own order, which takes seconds. Empty: none."
        ),
    )
    window: int = field(default=4, metadata=_help("Observations of this many effective turns stay; 0 masks nothing."))
    masking: str = field(
        default="window",
        metadata=_help(
            "window: the window above. auto: it follows what the model's size, the library's own recall and the run so far"
            " let expect, and each change is told with its reason."
        ),
    )
    max_turns: int = field(
        default=0,
        metadata=_help("The turn at which a run must answer; 0: 12, or 6 for models below a billion parameters."),
    )
    cache: str = field(
        default="auto",
        metadata=_help(
            "How the model's cache follows a mask: strict reads the rest again, carry keeps it, carry+repair keeps it"
            " and reads again what was written upon the masked text. auto: what was found to work for the model."
        ),
    )
    resync: int = field(
        default=0, metadata=_help("Read all again after so many edits of a carried cache; 0 never does.")
    )
    batch_turns: int = field(
        default=0,
        metadata=_help(
            "Mask only when stale observations of this many turns can go together; 0: 1, or 4 where auto chose strict."
        ),
    )
    batch_tokens: int = field(
        default=0, metadata=_help("Mask also when stale observations have this many tokens together; 0: no such limit.")
    )
    saved_cache_mb: int = field(
        default=512,
        metadata=_help(
            "Disk space in MB for the caches of stopped runs, so that going on reads nothing again; 0 saves none."
        ),
    )
    context: int = field(
        default=0,
        metadata=_help(
            "Tokens the model can see at once, at most what it was trained for; 0: as many as memory allows, up to 32,768."
        ),
    )
    threads: int = field(default=0, metadata=_help("Threads for the model; 0 chooses by the number of cores."))
    temperature: float = field(
        default=0.0, metadata=_help("0 always takes the likeliest token; higher values vary more.")
    )
    seed: int = field(default=0, metadata=_help("Where random choices start, so that a run can be repeated."))
    viewport_tokens: int = field(default=400, metadata=_help("How much of a page one open shows, in tokens."))
    search_results: int = field(default=5, metadata=_help("How many results one search shows."))
    preview: bool = field(
        default=True,
        metadata=_help("Whether the first press of m, p, + or - tells what it costs and the second does it."),
    )
    web: str = field(
        default="off",
        metadata=_help(
            "Whether the live web may be used. off: nothing opens a socket; ask: each query and each new host waits for"
            " your word; on: without asking."
        ),
    )
    search_engine: str = field(default="duckduckgo", metadata=_help("The one search engine that web queries go to."))
    searxng: str = field(
        default="", metadata=_help("The address of a SearXNG that web queries go to instead of the search engine.")
    )

    theme: str = field(
        default="",
        metadata=_help(
            "How the app looks: dark, light, ansi (the terminal's own colours), high-contrast, or another of Textual's"
            " themes. Empty: dark."
        ),
    )
    notify: bool = field(
        default=True,
        metadata=_help("Ring the bell and set the terminal's title when a run ends while you look elsewhere."),
    )
    keys: Mapping[str, str] = field(
        default_factory=dict,
        hash=False,
        metadata=_help("Other keys for what the app does: a table of names and keys, as the help lists them."),
    )

    def __post_init__(self) -> None:
        for name, low, high in (
            ("window", 0, 10_000),
            ("max_turns", 0, 1_000),
            ("context", 512 if self.context else 0, 1 << 21),
            ("threads", 0, 1024),
            ("resync", 0, 10_000),
            ("batch_turns", 0, 1_000),
            ("batch_tokens", 0, 1 << 21),
            ("saved_cache_mb", 0, 1 << 20),
            ("temperature", 0.0, 5.0),
            ("viewport_tokens", 50, 100_000),
            ("search_results", 1, 50),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"{name} is {value}", f"It must be between {low} and {high:,}.")
        if self.cache not in CACHES:
            raise SettingsError(f"cache is {self.cache!r}", f"It must be one of {', '.join(CACHES)}.")
        if self.format != "auto" and self.format not in FORMATS:
            raise SettingsError(f"format is {self.format!r}", f"It must be auto or one of {', '.join(FORMATS)}.")
        if self.masking not in MASKINGS:
            raise SettingsError(f"masking is {self.masking!r}", f"It must be one of {', '.join(MASKINGS)}.")
        if self.web not in WEB_MODES:
            raise SettingsError(f"web is {self.web!r}", f"It must be one of {', '.join(WEB_MODES)}.")
        _ = self.server  # an address that is none is told of now

    @property
    def server(self) -> endpoints.Address | None:
        """Where the endpoint is; None where the model is a file."""
        return endpoints.read(self.endpoint) if self.endpoint else None

    @property
    def libraries_dir(self) -> Path:
        return self.data_dir / "libraries"

    @property
    def journal(self) -> Path:
        return self.data_dir / "sessions.db"

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def models_dir(self) -> Path:
        return self.data_dir / "models"

    @property
    def policy(self) -> Policy:
        """How runs are masked where nothing else is said."""
        auto = self.masking == "auto"
        return Policy(self.window, batch_turns=self.batch_turns, batch_tokens=self.batch_tokens, auto=auto)

    @property
    def web_pages(self) -> Path:
        """The pages that were read on the web."""
        return self.data_dir / "pages.db"

    @property
    def caches_dir(self) -> Path:
        return self.data_dir / "caches"

    @property
    def known_models(self) -> Path:
        return self.data_dir / "models.json"

    def prepare(self) -> None:
        """Make the folders, readable by their owner alone. Raises SettingsError where that is not possible."""
        try:
            for folder in (self.data_dir, self.libraries_dir, self.log_dir, self.models_dir, self.caches_dir):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise SettingsError(
                f"cannot use {self.data_dir}: {error.strerror}", "Choose another folder with --data-dir."
            ) from error

    def to_json(self) -> str:
        """All settings as one JSON object; :func:`settings_from_json` reads it back."""
        return json.dumps(dataclasses.asdict(self), default=str)


def settings_from_json(text: str) -> Settings:
    """Settings exactly as :meth:`Settings.to_json` wrote them; no file and no environment is read."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise SettingsError(f"the settings given are not JSON: {error}") from error
    if not isinstance(values, dict):
        raise SettingsError("the settings given are not a JSON object")
    return _settings(values, "the settings given")


def load_settings(overrides: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Defaults < config file < environment (``DEEPSEARCH_WINDOW=2``) < ``overrides``.

    An empty variable and an override that is None count as not given. Raises SettingsError for an unknown name or a
    value that cannot be used.
    """
    given = from_environment(env)
    given |= {name: value for name, value in (overrides or {}).items() if value is not None}
    file = config_path(given)
    values: dict[str, Any] = {}
    try:
        if file.is_file():
            values = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot read {file}: {error}", "Mend the file or move it away.") from error
    _settings(values, str(file))  # on its own, so that a mistake is blamed on the file it is in
    return _settings(values | given, "the settings")


def config_path(given: Mapping[str, Any] | None = None) -> Path:
    """The settings file: the one that is given, by the environment where nothing is said, or the usual place."""
    given = from_environment() if given is None else given
    return Path(given.get("config_file") or _default_config_file()).expanduser()


def from_environment(env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The settings that the environment gives, as text, by name."""
    env = os.environ if env is None else env
    return {
        name[len(ENV_PREFIX) :].lower(): value
        for name, value in env.items()
        if name.startswith(ENV_PREFIX) and value and name != endpoints.KEY
    }


def checked(values: Mapping[str, Any], where: str) -> Settings:
    """Settings with these values, as ``where`` gives them. Raises SettingsError for what cannot be used."""
    return _settings(values, where)


def _settings(values: Mapping[str, Any], where: str) -> Settings:
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    converted = {}
    for name, value in values.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            hint = f"Did you mean {near[0]}?" if near else f"Known settings: {', '.join(fields)}."
            if name == "endpoint_key":
                hint = f"A key is no setting: put it into the environment variable {endpoints.KEY}."
            raise SettingsError(f"unknown setting {name!r} in {where}", hint)
        try:
            converted[name] = _convert(str(fields[name].type), value)
        except (KeyError, TypeError, ValueError) as error:
            kind = _KINDS[str(fields[name].type)]
            raise SettingsError(
                f"{name} = {value!r} in {where} is not {kind}", f"{name}: {fields[name].metadata['help']}"
            ) from error
    return Settings(**converted)


_KINDS = {
    "Path": "a path",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "Mapping[str, str]": 'a table of text, as in [keys] with copy = "c" below it',
}
_TRUTH = {"true": True, "false": False, "yes": True, "no": False, "on": True, "off": False, "1": True, "0": False}


def _truth(value: Any) -> bool:
    """True or false, as TOML and JSON have them or as an environment variable spells them."""
    if isinstance(value, bool):
        return value
    if str(value).lower() not in _TRUTH:
        raise ValueError(value)
    return _TRUTH[str(value).lower()]


def _convert(kind: str, value: Any) -> Any:
    """``value``, from TOML, JSON or an environment variable, as the ``kind`` of its field."""
    if kind == "bool":
        return _truth(value)
    if kind == "Mapping[str, str]":
        table = json.loads(value) if isinstance(value, str) else value  # a variable holds a table as JSON
        if not isinstance(table, Mapping) or not all(isinstance(each, str) for each in table.values()):
            raise TypeError(value)
        return dict(table)
    if isinstance(value, bool) or (kind == "Path" and not str(value).strip()):
        raise ValueError(value)  # True would pass for 1, and an empty path for the folder one happens to be in
    if kind == "Path":
        return Path(value).expanduser().absolute()
    if kind == "int":
        if isinstance(value, float):
            raise ValueError(value)
        return int(value)
    if kind == "float":
        return float(value)
    if not isinstance(value, str):
        raise TypeError(value)
    return value
