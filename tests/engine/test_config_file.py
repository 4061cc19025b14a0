"""The settings file that is written, changed key by key, and read again."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import config_file
from engine.errors import SettingsError
from engine.settings import Settings, load_settings


def test_a_new_file_explains_every_setting_and_sets_none(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "config.toml"
    assert config_file.create(path, {"copy": "c"})
    text = path.read_text()
    assert tomllib.loads(text) == {}
    for name in config_file.names():
        assert name in text and config_file.help_of(name).split(".")[0][:40] in " ".join(text.replace("# ", "").split())
    assert not config_file.create(path) and path.read_text() == text


def test_every_line_of_it_can_be_taken_out_of_its_comment(tmp_path: Path) -> None:
    lines = config_file.commented({"copy": "c", "mask.pin": "x"}).splitlines()
    settings = [line for line in lines if " = " in line or line == "# [keys]"]
    path = tmp_path / "config.toml"
    path.write_text("\n".join(line.removeprefix("# ") for line in settings if not line.startswith("# An env")))
    assert set(config_file.read(path)) == set(config_file.names())
    changed = load_settings({"config_file": path}, {})
    assert changed.keys == {"copy": "c", "mask.pin": "x"} and changed.window == 4


MINE = """\
# mine, with a word to myself
window = 6   # two more than usual

cache = "strict"
[keys]
copy = "c"  # as in the other one
"""


def test_a_change_leaves_comments_order_and_the_other_lines(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(MINE)
    config_file.change(path, "window", "2")
    assert path.read_text() == MINE.replace("window = 6", "window = 2")
    config_file.change(path, "theme", "light")
    after = path.read_text()
    assert all(line in after for line in MINE.replace("window = 6", "window = 2").splitlines())
    assert config_file.read(path) == {"window": 2, "cache": "strict", "theme": "light", "keys": {"copy": "c"}}
    config_file.reset(path, "theme")
    config_file.reset(path, "theme")
    assert config_file.read(path) == {"window": 2, "cache": "strict", "keys": {"copy": "c"}}


def test_in_a_commented_file_the_value_goes_where_the_setting_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    config_file.change(path, "window", 7)
    lines = path.read_text().splitlines()
    assert "# Observations of this many" in lines[lines.index("window = 7") - 1]
    assert "# window = 4" not in lines


def test_a_commented_line_inside_a_text_or_a_table_is_no_place_for_a_value(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    for text in ('model = """\n# window = 4\n"""\n', "[keys]\n# window = 4\n"):
        path.write_text(text)
        before = config_file.read(path)
        config_file.change(path, "window", 7)
        assert config_file.read(path) == {**before, "window": 7}
        assert "# window = 4" in path.read_text()


VALUES = st.one_of(
    st.tuples(st.just("window"), st.integers(0, 99)),
    st.tuples(st.just("web"), st.sampled_from(["off", "ask", "on"])),
    st.tuples(st.just("model"), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)),
    st.tuples(st.just("temperature"), st.floats(0, 5)),
    st.tuples(st.just("notify"), st.booleans()),
)


@given(st.booleans(), st.lists(VALUES, max_size=6))
def test_any_changes_are_read_back(tmp_path_factory: pytest.TempPathFactory, fresh: bool, changes: Any) -> None:
    path = tmp_path_factory.mktemp("config") / "config.toml"
    path.write_text(config_file.commented() if fresh else MINE)
    wanted = config_file.read(path)
    for name, value in changes:
        config_file.change(path, name, value)
        wanted[name] = value
    assert config_file.read(path) == wanted


def test_what_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(MINE)
    for name, value, said in (("window", "many", "whole number"), ("windw", 1, "unknown"), ("web", "maybe", "one of")):
        with pytest.raises(SettingsError) as error:
            config_file.change(path, name, value)
        assert said in f"{error.value} {error.value.hint}"
    path.write_text("window =")
    with pytest.raises(SettingsError, match="cannot read"):
        config_file.change(path, "window", 1)
    assert path.read_text() == "window ="


def test_a_link_to_the_file_stays_a_link_and_its_mode_stays(tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles.toml", tmp_path / "config.toml"
    real.write_text(MINE)
    real.chmod(0o600)
    link.symlink_to(real)
    config_file.change(link, "window", 3)
    assert link.is_symlink() and config_file.read(real)["window"] == 3
    assert real.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in tmp_path.iterdir()) == ["config.toml", "dotfiles.toml"]


def test_it_is_told_where_a_setting_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("window = 6\ncontext = 4096\nseed = 5")
    env = {"DEEPSEARCH_CONTEXT": "2048", "DEEPSEARCH_CONFIG_FILE": str(path)}
    settings = load_settings({"threads": 3, "seed": 9}, env)
    found = config_file.origins(path, settings, env)
    wanted = {"window": "file", "context": "environment", "threads": "option", "seed": "option", "library": "default"}
    assert {name: found[name] for name in wanted} == wanted
    assert set(found) == set(config_file.names()) and "config_file" not in found


def test_tables_and_yes_or_no_travel(tmp_path: Path) -> None:
    env = {"DEEPSEARCH_KEYS": '{"copy": "c"}', "DEEPSEARCH_NOTIFY": "False"}
    settings = load_settings({"config_file": tmp_path / "none.toml"}, env)
    assert (settings.keys, settings.notify) == ({"copy": "c"}, False)
    for bad in ({"DEEPSEARCH_KEYS": "copy"}, {"DEEPSEARCH_KEYS": '{"a": 1}'}, {"DEEPSEARCH_NOTIFY": "maybe"}):
        with pytest.raises(SettingsError):
            load_settings({"config_file": tmp_path / "none.toml"}, bad)
    assert isinstance(hash(settings), int) and settings != Settings()
