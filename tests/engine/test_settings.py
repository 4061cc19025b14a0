from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import SettingsError
from engine.settings import Settings, load_settings, settings_from_json


def load(tmp_path: Path, toml: str = "", env: dict[str, str] | None = None, **overrides: object) -> Settings:
    file = tmp_path / "config.toml"
    file.write_text(toml, encoding="utf-8")
    return load_settings(overrides, {"DEEPSEARCH_CONFIG_FILE": str(file), **(env or {})})


def test_defaults_file_environment_flags_in_that_order(tmp_path: Path) -> None:
    toml = "window = 1\nmax_turns = 7\ncontext = 4096\n"
    settings = load(tmp_path, toml, {"DEEPSEARCH_WINDOW": "2", "DEEPSEARCH_MAX_TURNS": "8"}, window=3)
    assert (settings.window, settings.max_turns, settings.context, settings.library) == (3, 8, 4096, "default")


def test_what_was_not_given_does_not_count(tmp_path: Path) -> None:
    settings = load(
        tmp_path, "window = 1", {"DEEPSEARCH_WINDOW": "", "DEEPSEARCH_DATA_DIR": "", "OTHER": "x"}, window=None
    )
    assert settings.window == 1
    assert settings.data_dir == Settings().data_dir


def test_a_missing_file_means_defaults(tmp_path: Path) -> None:
    file = tmp_path / "none.toml"
    assert load_settings({"config_file": file}, {}) == Settings(config_file=file)


def test_places_hang_on_the_data_directory(tmp_path: Path) -> None:
    settings = load(tmp_path, f"data_dir = '{tmp_path / 'here'}'")
    places = (settings.libraries_dir, settings.journal, settings.log_dir, settings.models_dir)
    assert [place.relative_to(tmp_path / "here").as_posix() for place in places] == [
        "libraries",
        "sessions.db",
        "logs",
        "models",
    ]


def test_paths_are_absolute_and_know_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings({"data_dir": "~/search"}, {}).data_dir == tmp_path / "search"
    assert load_settings({"data_dir": "search"}, {}).data_dir.is_absolute()


@pytest.mark.parametrize(("name", "nearest"), [("windw", "window"), ("maxturns", "max_turns"), ("contxt", "context")])
def test_an_unknown_name_is_told_with_the_nearest(tmp_path: Path, name: str, nearest: str) -> None:
    with pytest.raises(SettingsError, match=name) as in_file:
        load(tmp_path, f"{name} = 1")
    assert nearest in in_file.value.hint and "config.toml" in str(in_file.value)
    with pytest.raises(SettingsError, match=name) as in_env:
        load(tmp_path, env={f"DEEPSEARCH_{name.upper()}": "1"})
    assert nearest in in_env.value.hint


def test_a_name_near_to_nothing_is_told_with_all(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as unknown:
        load(tmp_path, "zzz = 1")
    assert all(field.name in unknown.value.hint for field in dataclasses.fields(Settings))


BAD = """
window = -1
window = 1.5
window = true
window = 'two'
max_turns = -1
context = 511
threads = -1
temperature = nan
temperature = -0.1
temperature = true
temperature = 'warm'
viewport_tokens = 0
search_results = 0
model = 3
data_dir = ''
data_dir = 5
"""


@pytest.mark.parametrize("toml", BAD.split("\n")[1:-1])
def test_a_bad_value_is_told_with_what_is_allowed(tmp_path: Path, toml: str) -> None:
    with pytest.raises(SettingsError, match=toml.split(" ")[0]) as bad:
        load(tmp_path, toml)
    assert bad.value.hint


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    for content in (b"window = ", b"\xff\xfe"):
        (tmp_path / "config.toml").write_bytes(content)
        with pytest.raises(SettingsError, match=r"config\.toml"):
            load_settings({"config_file": tmp_path / "config.toml"}, {})


def test_folders_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    settings = load(tmp_path, data_dir=tmp_path / "new" / "data")
    settings.prepare()
    settings.prepare()
    for folder in (settings.data_dir, settings.libraries_dir, settings.log_dir, settings.models_dir):
        assert folder.is_dir() and folder.stat().st_mode & 0o077 == 0


def test_a_place_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, data_dir=tmp_path / "file").prepare()
    assert "--data-dir" in refused.value.hint


@given(
    st.builds(
        Settings,
        data_dir=st.just(Path("/data")),
        config_file=st.just(Path("/config.toml")),
        model=st.text(),
        library=st.text(),
        window=st.integers(0, 100),
        temperature=st.floats(0, 5),
        seed=st.integers(),
    )
)
def test_all_settings_travel_as_json(settings: Settings) -> None:
    assert settings_from_json(settings.to_json()) == settings


def test_json_that_is_no_settings_is_told() -> None:
    for text in ("{", "[]", '{"wndow": 1}'):
        with pytest.raises(SettingsError):
            settings_from_json(text)


def test_every_field_says_what_it_is_for() -> None:
    assert all(field.metadata["help"].endswith(".") for field in dataclasses.fields(Settings))
