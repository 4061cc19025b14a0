"""Changes one setting in the user's file and leaves everything else in it as it stands, comments and all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from engine.errors import SettingsError


def write_setting(file: Path, name: str, value: str) -> None:
    """Set ``name`` in the TOML file, which is made if it is not there; an empty value takes the setting out.

    The file is replaced whole or not at all. Raises SettingsError where it cannot be read or written.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    file = file.resolve()  # a link stays a link: what it leads to is changed
    try:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        document = tomlkit.parse(text)
    except (OSError, UnicodeDecodeError, TOMLKitError) as error:
        raise SettingsError(f"cannot read {file}: {error}", "Mend the file or move it away.") from error
    if value:
        document[name] = value
    elif name in document:
        del document[name]
    else:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _replace(file, tomlkit.dumps(document))
    except OSError as error:
        raise SettingsError(f"cannot write {file}: {error.strerror or error}", "See who may write there.") from error


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
