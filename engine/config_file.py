"""The settings file: a commented one to begin with, and changes of one key that leave all the rest as it stands."""

from __future__ import annotations

import dataclasses
import os
import re
import tempfile
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from engine.errors import SettingsError
from engine.settings import Settings, checked, from_environment

Origin = Literal["default", "file", "environment", "option"]

_NOT_THERE = ("config_file",)
"""What a settings file cannot say: where it is itself."""

_HEAD = """\
# The settings of deepsearch-tui. Each stands below with its default: take away the # in front of one to change it.
# An environment variable (DEEPSEARCH_WINDOW=6) or an option on the command line wins over this file.
"""


def names() -> tuple[str, ...]:
    """The settings that a file may have, in order; the table last, because what follows it would belong to it."""
    found = [field.name for field in dataclasses.fields(Settings) if field.name not in _NOT_THERE]
    return tuple(sorted(found, key="keys".__eq__))


def help_of(name: str) -> str:
    """What a setting is for."""
    return str(next(field for field in dataclasses.fields(Settings) if field.name == name).metadata["help"])


def commented(example_keys: Mapping[str, str] | None = None) -> str:
    """A settings file in which every setting is explained and none is set.

    ``example_keys`` are shown, commented out too, below ``[keys]``.
    """
    defaults = Settings()
    blocks = [_HEAD]
    for name in names():
        said = "\n".join(textwrap.wrap(help_of(name), 110, initial_indent="# ", subsequent_indent="# "))
        if name == "keys":
            examples = "".join(f"# {_toml({id: key})}" for id, key in (example_keys or {}).items())
            blocks.append(f"{said}\n# [keys]\n{examples}")
        else:
            blocks.append(f"{said}\n# {_toml({name: getattr(defaults, name)})}")
    return "\n".join(blocks)


def create(path: Path, example_keys: Mapping[str, str] | None = None) -> bool:
    """Write a commented file where there is none; whether it did. Raises SettingsError where it cannot be written."""
    if path.exists():
        return False
    _write(path, commented(example_keys))
    return True


def read(path: Path) -> dict[str, Any]:
    """What the file sets; empty where there is none. Raises SettingsError where it cannot be read."""
    return tomllib.loads(_text(path))


def change(path: Path, name: str, value: Any) -> None:
    """Set one key in the file, made if there is none. Comments, order and all other lines stay.

    Raises SettingsError where the value cannot be used, or the file cannot be read or written; then nothing is changed.
    """
    before = _text(path) if path.exists() else commented()
    usable = getattr(checked({name: value}, str(path)), name)
    values = {**tomllib.loads(before), name: str(value) if isinstance(usable, Path) else usable}
    checked(values, str(path))
    _write(path, _uncommented(before, name, values) or _set(before, name, values[name]))


def reset(path: Path, name: str) -> None:
    """Take one key out of the file, so that the default holds. Raises SettingsError as :func:`change` does."""
    import tomlkit

    if name in read(path):
        document = tomlkit.parse(_text(path))
        document.remove(name)
        _write(path, tomlkit.dumps(document))


def write_setting(file: Path, name: str, value: str) -> None:
    """Set a text in the file, as :func:`change` does; an empty one takes the setting out, as :func:`reset` does."""
    if value:
        change(file, name, value)
    else:
        reset(file, name)


def origins(path: Path, settings: Settings, env: Mapping[str, str] | None = None) -> dict[str, Origin]:
    """Where each setting in force comes from. What is in neither file nor environment and no default is an option's."""
    file, variables = read(path), from_environment(env)

    def origin(name: str) -> Origin:
        now = getattr(settings, name)
        for where, values in (("environment", variables), ("file", file)):
            if name in values:
                given = getattr(checked({name: values[name]}, where), name)
                return ("environment" if where == "environment" else "file") if given == now else "option"
        return "default" if now == getattr(Settings(), name) else "option"

    return {name: origin(name) for name in names()}


def _uncommented(before: str, name: str, values: Mapping[str, Any]) -> str:
    """The text with the first line ``# name = …`` made to set it; empty where that does not say just what is wanted."""
    line = _toml({name: values[name]}).rstrip("\n") if not isinstance(values[name], Mapping) else ""
    after = re.sub(rf"(?m)^#\s*{re.escape(name)}\s*=.*$", lambda _: line, before, count=1)
    if not line or after == before:
        return ""
    try:
        return after if tomllib.loads(after) == values else ""  # the line may be part of a text, or below a table
    except tomllib.TOMLDecodeError:
        return ""


def _set(before: str, name: str, value: Any) -> str:
    import tomlkit

    document = tomlkit.parse(before)
    document[name] = value
    return tomlkit.dumps(document)


def _toml(values: Mapping[str, Any]) -> str:
    import tomlkit

    return tomlkit.dumps({name: str(value) if isinstance(value, Path) else value for name, value in values.items()})


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot read {path}: {error}", "Mend the file or move it away.") from error
    return text


def _write(path: Path, text: str) -> None:
    """All of it or nothing: a file that is cut short by a crash would lose what the user wrote."""
    real = path.resolve()  # a link stays a link, as people keep such files: what it leads to is changed
    try:
        real.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _replace(real, text)
    except OSError as error:
        raise SettingsError(
            f"cannot write {path}: {error.strerror or error}", "Name another file with DEEPSEARCH_CONFIG_FILE."
        ) from error


def _replace(file: Path, text: str) -> None:
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    new = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        new.chmod(mode)
        new.replace(file)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
