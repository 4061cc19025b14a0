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

from engine.errors import SettingsError

APP = "deepsearch-tui"
ENV_PREFIX = "DEEPSEARCH_"


def _help(text: str, default: Any = dataclasses.MISSING, factory: Any = dataclasses.MISSING) -> Any:
    if factory is not dataclasses.MISSING:
        return field(default_factory=factory, metadata={"help": text})
    return field(default=default, metadata={"help": text})


def _default_data_dir() -> Path:
    from platformdirs import user_data_path

    return user_data_path(APP)


def _default_config_file() -> Path:
    from platformdirs import user_config_path

    return user_config_path(APP) / "config.toml"


@dataclass(frozen=True)
class Settings:
    """Every setting. ``metadata["help"]`` of each field is its documentation."""

    data_dir: Path = _help("Where libraries, sessions and logs are kept.", factory=_default_data_dir)
    config_file: Path = _help("The TOML file that settings are read from.", factory=_default_config_file)
    model: str = _help("A .gguf file, or the name of one in the models folder. Empty: the starter model.", "")
    library: str = _help("The library that questions are asked of.", "default")
    window: int = _help("Observations of this many effective turns stay; 0 masks nothing.", 4)
    max_turns: int = _help("The turn at which a run must answer.", 12)
    context: int = _help("Tokens the model can see at once, at most what it was trained for.", 8192)
    threads: int = _help("Threads for the model; 0 chooses by the number of cores.", 0)
    temperature: float = _help("0 always takes the likeliest token; higher values vary more.", 0.0)
    seed: int = _help("Where random choices start, so that a run can be repeated.", 0)
    viewport_tokens: int = _help("How much of a page one open shows, in tokens.", 400)
    search_results: int = _help("How many results one search shows.", 5)

    def __post_init__(self) -> None:
        for name, low, high in (
            ("window", 0, 10_000),
            ("max_turns", 1, 1_000),
            ("context", 512, 1 << 21),
            ("threads", 0, 1024),
            ("temperature", 0.0, 5.0),
            ("viewport_tokens", 50, 100_000),
            ("search_results", 1, 50),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"{name} is {value}", f"It must be between {low} and {high:,}.")

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

    def prepare(self) -> None:
        """Make the folders, readable by their owner alone. Raises SettingsError where that is not possible."""
        try:
            for folder in (self.data_dir, self.libraries_dir, self.log_dir, self.models_dir):
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
    return _settings(json.loads(text), "the settings given")


def load_settings(overrides: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Defaults < config file < environment (``DEEPSEARCH_WINDOW=2``) < ``overrides``.

    Raises SettingsError for an unknown name or a value that cannot be used.
    """
    env = os.environ if env is None else env
    given = {name[len(ENV_PREFIX) :].lower(): value for name, value in env.items() if name.startswith(ENV_PREFIX)}
    given |= {name: value for name, value in (overrides or {}).items() if value is not None}
    file = Path(given.get("config_file") or _default_config_file()).expanduser()
    values: dict[str, Any] = {}
    if file.is_file():
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"cannot read {file}: {error}", "Mend the file or move it away.") from error
        _settings(values, str(file))
    return _settings(values | given, "the settings")


def _settings(values: Mapping[str, Any], where: str) -> Settings:
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    converted = {}
    for name, value in values.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            hint = f"Did you mean {near[0]}?" if near else f"Known settings: {', '.join(fields)}."
            raise SettingsError(f"unknown setting {name!r} in {where}", hint)
        try:
            converted[name] = _convert(str(fields[name].type), value)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"{name} = {value!r} in {where} is not a {fields[name].type}") from error
    return Settings(**converted)


def _convert(kind: str, value: Any) -> Any:
    if kind == "Path":
        return Path(value).expanduser().absolute()
    if kind == "int":
        if isinstance(value, (bool, float)):
            raise ValueError(value)
        return int(value)
    if kind == "float":
        return float(value)
    if not isinstance(value, str):
        raise TypeError(value)
    return value
