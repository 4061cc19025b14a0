from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config_file import write_setting
from engine.errors import SettingsError
from engine.settings import load_settings

OWN = """\
# how I like it
window = 6   # not four

model = 'old.gguf' # the one from work

# and the rest
temperature = 0.5
"""


def test_only_the_one_setting_changes(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(OWN)
    file.chmod(0o640)
    write_setting(file, "model", "new.gguf")
    assert file.read_text() == OWN.replace("'old.gguf'", '"new.gguf"')
    assert file.stat().st_mode & 0o777 == 0o640
    assert load_settings({"config_file": file}, env={}).model == "new.gguf"


def test_an_empty_value_takes_it_out(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(OWN)
    write_setting(file, "model", "")
    assert "model" not in tomllib.loads(file.read_text())
    assert "# how I like it" in file.read_text() and "temperature = 0.5" in file.read_text()


def test_a_file_that_is_not_there_is_made_and_nothing_is_made_for_nothing(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "config.toml"
    write_setting(file, "model", "")
    assert not file.exists()
    write_setting(file, "model", "a.gguf")
    assert tomllib.loads(file.read_text()) == {"model": "a.gguf"}
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_no_toml_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("model = [")
    with pytest.raises(SettingsError, match="cannot read"):
        write_setting(file, "model", "a.gguf")
    assert file.read_text() == "model = [" and list(tmp_path.iterdir()) == [file]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "config.toml"
    real.write_text(OWN)
    link.symlink_to(real)
    write_setting(link, "model", "a.gguf")
    assert link.is_symlink() and tomllib.loads(real.read_text())["model"] == "a.gguf"


@given(name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_name_of_a_file_comes_back(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("c") / "config.toml"
    file.write_text(OWN)
    write_setting(file, "model", name)
    assert tomllib.loads(file.read_text())["model"] == name
