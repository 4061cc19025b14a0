"""Looks, keys, the clipboard, originals, help, the palette, the first steps, and a run that ends unseen."""

from __future__ import annotations

import dataclasses
import os
import stat
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.command import CommandPalette
from textual.pilot import Pilot

from engine.errors import SettingsError
from engine.protocol import Ask, IndexPaths, LibraryOpened, RunEnded, SetMark
from engine.settings import Settings
from tests.tui import fakes
from tests.tui.test_safe import drawn
from tui import clipboard, keymap, keys, opening, themes
from tui.app import DeepSearchApp
from tui.guide import EXAMPLES, GUIDE
from tui.palette import Keys
from tui.safe import Plain
from tui.screens.confirm import Confirm
from tui.screens.help import keys_here
from tui.screens.reader import Reader
from tui.screens.small import NEEDED, TooSmall
from tui.widgets.rows import RowList


def door_of(app: DeepSearchApp) -> fakes.ScriptedDoor:
    assert isinstance(app.door, fakes.ScriptedDoor)
    return app.door


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"mask.togle": "x"}, "Did you mean mask.toggle?"),
        ({"zzz": "x"}, "Known names"),
        ({"copy": "pagedwn"}, "Did you mean pagedown?"),
        ({"copy": "hyper+x"}, "A key is written as"),
        ({"copy": ""}, "A key is written as"),
        ({"copy": "ctrl+i"}, "A terminal sends it as tab"),
        ({"copy": "o"}, "Give source.open another key"),
        ({"mask.pin": "j"}, "Give move.down another key"),
        ({"run.send": "f9"}, "Did you mean"),
    ],
)
def test_a_keymap_that_cannot_be_used_says_why(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as error:
        keymap.checked(given)
    assert said in error.value.hint


def test_the_examples_and_swapped_keys_can_be_used() -> None:
    assert keymap.checked(keymap.EXAMPLES) == keymap.EXAMPLES
    assert keymap.checked({"copy": "o", "source.open": "y"}) == {"copy": "o", "source.open": "y"}
    assert keymap.checked({}) == {}
    everything = {id: key.keys for id, key in keys.every().items() if key not in keys.PROMPT}
    assert keymap.checked(everything) == everything, "what is usual is no clash"


async def test_another_key_does_it_and_the_usual_one_no_more(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, keys={"mask.toggle": "z, f9", "back": "f7"})
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUNNING, settings=settings)
    async with app.run_test(size=(160, 50)) as pilot:
        await fakes.settled(pilot, app, fakes.RUNNING)
        door = door_of(app)
        await pilot.press("2", "home", "m")
        assert door.commands == []
        await pilot.press("z")
        assert len(door.commands) == 1, "its price"
        await pilot.press("f9")
        assert isinstance(door.last(), SetMark)
        await pilot.press("escape")
        assert type(door.last()).__name__ == "Stop", "esc still stops, though its other meaning has another key"
        await pilot.press("question_mark")
        await fakes.until_true(pilot, lambda: app.screen.query("#help"))
        assert "z f9" in drawn(app.screen)


def test_keys_and_a_theme_that_are_none_end_the_start(tmp_path: Path) -> None:
    for wrong in ({"keys": {"copi": "c"}}, {"theme": "drak"}):
        with pytest.raises(SettingsError) as error:
            DeepSearchApp(fakes.ScriptedDoor, Settings(data_dir=tmp_path, **wrong))
        assert "Did you mean" in error.value.hint


# ── help and the palette ─────────────────────────────────────────────────────────────────────────


def test_help_knows_every_key_it_names() -> None:
    every = keys.every()
    assert all(id in every for _, ids in keys.HERE.values() for id in ids)


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (120, 40)])
async def test_no_line_of_the_help_is_folded_twice(size: tuple[int, int], tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(160, 50)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        await pilot.press("escape", "f1")
        await fakes.until_true(pilot, lambda: app.screen.query("#help Plain"))
        await pilot.resize_terminal(*size)
        await fakes.still(pilot, app)
        text = app.screen.query_one("#help Plain", Plain)
        assert max(each.cell_length for each in text.render().split("\n")) <= text.size.width


async def test_help_begins_with_where_one_is(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(160, 50)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        for key, here in (("1", "the turns"), ("2", "the context map"), ("3", "the sources"), ("4", "the answer")):
            await pilot.press("escape", key, "f1")
            await fakes.until_true(pilot, lambda: app.screen.query("#help"))
            first = drawn(app.screen).split("Panes")[0]
            assert f"Here: {here}" in first
            await pilot.press("escape")
        app.push_screen(Reader("Keys", "docs/keys.md", "one\ntwo"))
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Reader))
        assert [key.id for key in keys_here(app.screen)[1]] == [key.id for key in keys.READER]


async def test_the_palette_offers_what_can_be_done_here_and_now(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(160, 50)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        assert "mask.wider" not in {key.id for key in Keys(app.screen)._commands()}, "in the prompt + is text"
        await pilot.press("escape")
        offered = [key.id for key in Keys(app.screen)._commands()]
        running_only, without_a_row = {"run.stop", "run.answer", "run.continue"}, {"mask.toggle", "mask.pin"}
        wanted = {key.id for key in (*keys.SCREEN, *keys.APP) if key.palette} - running_only - without_a_row
        assert set(offered) == wanted
        app.push_screen(Reader("Keys", "docs/keys.md", "one\ntwo"))
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Reader))
        offered = [key.id for key in Keys(app.screen)._commands()]
        assert offered == [key.id for key in (*keys.READER, *keys.APP) if key.palette]


async def test_a_command_of_the_palette_does_what_its_key_does(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(160, 50)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        await pilot.press("ctrl+p")
        await fakes.until_true(pilot, lambda: isinstance(app.screen, CommandPalette))
        await pilot.press(*"Every request")
        rows = app.screen.query_one("CommandList")
        await fakes.until_true(pilot, lambda: getattr(rows, "option_count", 0))
        await pilot.press("enter")
        await fakes.until_true(pilot, lambda: app.screen.query("#network-list"))


# ── the clipboard ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("env", "platform", "there", "wanted"),
    [
        ({"TMUX": "/tmp/x"}, "linux", {"tmux"}, "tmux"),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", {"wl-copy", "xclip"}, "wl-copy"),
        ({"DISPLAY": ":0"}, "linux", {"xsel"}, "xsel"),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "a b"}, "linux", {"xclip"}, ""),
        ({}, "linux", {"xclip", "wl-copy"}, ""),
        ({}, "darwin", {"pbcopy"}, "pbcopy"),
        ({}, "win32", {"clip"}, "clip"),
    ],
)
def test_the_tool_that_fills_the_clipboard(env: dict[str, str], platform: str, there: set[str], wanted: str) -> None:
    command = clipboard.tool(env, platform, lambda name: name if name in there else None)
    assert (command or [""])[0] == wanted


def test_what_is_copied_is_never_lost_and_where_it_went_is_said(tmp_path: Path) -> None:
    file, taken = tmp_path / "exports" / "copied.txt", tmp_path / "taken"
    take = [sys.executable, "-c", f"import sys; open({str(taken)!r}, 'wb').write(sys.stdin.buffer.read())"]
    assert "by" in clipboard.keep("ü lamp", take, file)
    assert taken.read_text(encoding="utf-8") == "ü lamp" and not file.exists()
    for command in ([], ["no-such-tool-at-all"], [sys.executable, "-c", "raise SystemExit(1)"]):
        assert str(file) in clipboard.keep("oil \udcff", command, file)
        assert file.read_text() == "oil ?"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "Too much for a terminal" in clipboard.keep("x" * 80_000, [], file)
    assert "could not be written" in clipboard.keep("x", [], taken / "no" / "folder")


async def test_selected_text_and_answers_go_the_same_way(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(160, 50), notifications=True) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        await pilot.press("escape", "4", "y")
        file = tmp_path / "exports" / "copied.txt"
        await fakes.until_true(pilot, lambda: file.exists() and file.read_text() == fakes.ANSWER)
        await fakes.until_true(pilot, lambda: "copied.txt" in drawn(app.screen).replace("\n", ""))
        text = app.screen.query_one("#status")
        await pilot.mouse_down(text, offset=(3, 0))
        await pilot.hover(text, offset=(14, 0))
        await pilot.mouse_up(text, offset=(14, 0))
        await pilot.press("ctrl+c")
        await fakes.until_true(pilot, lambda: "answered" in app.clipboard and len(app.clipboard) < 20)


# ── originals ────────────────────────────────────────────────────────────────────────────────────


def test_only_documents_that_are_there_are_opened(tmp_path: Path) -> None:
    good = tmp_path / "a report.PDF"
    good.write_bytes(b"%PDF")
    assert opening.why_not(good) == ""
    assert "not there any more" in opening.why_not(tmp_path / "gone.pdf")
    assert "no file of this computer" in opening.why_not(Path("docs/keys.md"))
    assert "not there" in opening.why_not(tmp_path), "a folder is no document"
    for name in ("run.sh", "x.desktop", "x.py", "x.exe", "x.bat", "x.js", "x.jar", "x.command", "plain", "x.pdf.exe"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        assert "could be run" in opening.why_not(tmp_path / name)
    hidden = tmp_path / "looks.pdf"
    hidden.symlink_to(tmp_path / "run.sh")
    assert "could be run" in opening.why_not(hidden)


def test_addresses_that_are_opened() -> None:
    assert opening.is_web("https://site.test/a?b=c#d") and opening.is_web("http://127.0.0.1:8/")
    for bad in (
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https://a@b.test/",
        "http://x\n.test/",
        "http://[",
        "",
    ):
        assert not opening.is_web(bad)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda name: "\0" not in name))
def test_a_document_s_path_comes_back_from_its_uri(name: str) -> None:
    from engine.sources.library.roots import uri_of

    path = Path("/library") / name.lstrip("/")
    assert opening.path_of(uri_of(path)) == path


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has a call for it, and no program")
def test_a_file_is_handed_over_as_one_argument_and_trouble_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool, seen = tmp_path / "bin" / opening.command("")[0], tmp_path / "seen"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nprintf "%s\\n" "$#" "$1" > "{seen}"\n')
    tool.chmod(0o700)
    document = tmp_path / "a; touch x $(y).md"
    document.write_text("# A")
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    assert opening.open_file(document) == ""
    assert seen.read_text().splitlines() == ["1", str(document)]
    tool.write_text("#!/bin/sh\nexit 3\n")
    assert "could not open it" in opening.open_file(document)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert "no program" in opening.open_file(document)


async def test_a_page_of_the_web_is_opened_only_after_its_address_was_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(DeepSearchApp, "open_url", lambda self, url, **_: opened.append(url))
    app = fakes.make_app(tmp_path, fakes.READY)
    address = "https://site.test/lamps?[b]=1"
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await fakes.settled(pilot, app, ())
        for key, wanted in (("n", []), ("y", [address])):
            app.open_original(address)
            await fakes.until_true(
                pilot, lambda: isinstance(app.screen, Confirm) and app.screen.query("#confirm-about")
            )
            assert address in drawn(app.screen)
            await pilot.press(key)
            await fakes.until_true(pilot, lambda: not isinstance(app.screen, Confirm))
            assert opened == wanted
        app.open_original("https://user:word@site.test/")
        await fakes.until_true(pilot, lambda: "no plain address" in drawn(app.screen))
        app.open_original(address)
        await fakes.until_true(pilot, lambda: isinstance(app.screen, Confirm) and app.screen.query("#confirm-about"))
        await pilot.click(app.screen.query("Plain").last(), offset=(1, 0))
        await fakes.until_true(pilot, lambda: opened == [address, address]), "the mouse answers too"


# ── a run ends unseen ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("notify", [True, False])
async def test_a_run_that_ends_unseen_rings_and_says_so_in_the_title(
    notify: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(DeepSearchApp, "write_terminal", lambda self, text: written.append(text))
    settings = Settings(data_dir=tmp_path, notify=notify)
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUNNING, settings=settings)
    async with app.run_test(size=(100, 30)) as pilot:
        await fakes.settled(pilot, app, fakes.RUNNING)
        app.post_message(events.AppBlur())
        await fakes.until_true(pilot, lambda: not app.app_focus)
        door_of(app).tell([RunEnded("answered", 6, 1.0, session=fakes.SESSION, run=1)])
        await fakes.until_true(pilot, lambda: app.state.run is not None and not app.state.run.running)
        app.post_message(events.AppFocus())
        await fakes.until_true(pilot, lambda: app.app_focus)
        await pilot.pause()
        if notify:
            first, back = written
            assert first.startswith("\x1b[22;0t\x1b]0;✓ answered: What happens") and first.endswith("\x07")
            assert back == "\x1b[23;0t"
        else:
            assert written == []


async def test_a_run_that_ends_in_sight_is_quiet_and_no_question_reaches_the_terminal_raw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(DeepSearchApp, "write_terminal", lambda self, text: written.append(text))
    hostile = dataclasses.replace(fakes.RUNNING[0], question="\x1b]0;pwned\x07")
    app = fakes.make_app(tmp_path, fakes.READY, (hostile, *fakes.RUNNING[1:]))
    async with app.run_test(size=(100, 30)) as pilot:
        await fakes.until_true(pilot, lambda: app.state.run is not None)
        ended = dataclasses.replace(app.state, run=dataclasses.replace(app.state.run, running=False, ended="stopped"))
        app.tell_of_end(app.state, ended)
        assert written == []
        app.app_focus = False
        app.tell_of_end(app.state, ended)
        assert written[0].count("\x1b]0;") == 1 and "␛]0;pwned␇" in written[0]


# ── first steps ──────────────────────────────────────────────────────────────────────────────────

EMPTY = (*fakes.READY[:2], LibraryOpened(library="default", documents=0, chunks=0, embedded=0))


async def begin(pilot: Pilot[None], app: DeepSearchApp, row: str) -> None:
    rows = app.screen.query_one("#examples", RowList)
    await fakes.until_true(pilot, lambda: any(each.id == f"start:{row}" for each in rows.rows))
    for each in rows.rows:
        await pilot.press("down")
        if rows.row == f"start:{row}":
            break
        assert each.id.startswith("start:")
    await pilot.press("enter")


async def test_who_has_no_documents_yet_is_led_to_the_demo(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, EMPTY, questions=())
    async with app.run_test(size=(80, 24)) as pilot:
        await fakes.until_true(pilot, lambda: app.state.library is not None)
        await begin(pilot, app, "demo")
        await fakes.until_true(pilot, lambda: door_of(app).commands == [IndexPaths((str(GUIDE),), "guide")])
        door_of(app).tell([LibraryOpened(library="guide", documents=9, chunks=9, embedded=9)])
        await fakes.until_true(pilot, lambda: EXAMPLES[0] in drawn(app.screen))
        await pilot.press("down", "enter")
        await fakes.until_true(pilot, lambda: door_of(app).last() == Ask(EXAMPLES[0], library="guide"))


async def test_a_folder_is_indexed_from_inside_the_app(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, EMPTY, questions=())
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await fakes.until_true(pilot, lambda: app.state.library is not None)
        await begin(pilot, app, "index")
        await fakes.until_true(pilot, lambda: app.screen.query("#index-path"))
        await pilot.press(*"/no/such", "enter")
        await fakes.until_true(pilot, lambda: "no file or folder" in drawn(app.screen))
        app.screen.query_one("#index-path").value = str(tmp_path)
        await pilot.press("enter")
        await fakes.until_true(pilot, lambda: door_of(app).commands == [IndexPaths((str(tmp_path),), "")])


async def test_indexing_is_seen_beside_a_question_and_an_answer(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY, fakes.RUN)
    async with app.run_test(size=(120, 40)) as pilot:
        await fakes.settled(pilot, app, fakes.RUN)
        door_of(app).tell([fakes.INDEXING])
        await fakes.until_true(pilot, lambda: "index 120/480 chunks" in drawn(app.screen))
        await pilot.press(*"meanwhile", "enter")
        assert door_of(app).last() == Ask("meanwhile", session=fakes.SESSION), "one can ask while it goes on"
        door_of(app).tell([fakes.INDEXED])
        await fakes.until_true(pilot, lambda: "index 120" not in drawn(app.screen))


# ── room and looks ───────────────────────────────────────────────────────────────────────────────


async def test_a_screen_in_front_says_too_when_there_is_no_room(tmp_path: Path) -> None:
    app = fakes.make_app(tmp_path, fakes.READY)
    async with app.run_test(size=(80, 24)) as pilot:
        await fakes.settled(pilot, app, ())
        await pilot.press("f2")
        await pilot.resize_terminal(50, 10)
        await fakes.until_true(pilot, lambda: isinstance(app.screen, TooSmall))
        assert " ".join(drawn(app.screen).split()) == NEEDED
        await pilot.resize_terminal(80, 24)
        await fakes.until_true(pilot, lambda: app.screen.query("#settings-list"))


async def test_new_turns_below_are_said_while_one_looks_at_an_earlier_one(tmp_path: Path) -> None:
    half = fakes.until(type(fakes.RUNNING[-1]), 5)
    app = fakes.make_app(tmp_path, fakes.READY, half)
    async with app.run_test(size=(120, 40)) as pilot:
        await fakes.settled(pilot, app, half)
        await pilot.press("1", "home")
        assert "new below" not in drawn(app.screen)
        door_of(app).tell(fakes.RUNNING[len(half) :])
        await fakes.until_true(pilot, lambda: "↓ new below · G follows" in drawn(app.screen))
        await pilot.press("G")
        await fakes.until_true(pilot, lambda: "new below" not in drawn(app.screen))


def test_themes_have_names_of_our_own_and_of_textual() -> None:
    assert [themes.resolve(name) for name in ("", "light", "nord")] == ["", "textual-light", "nord"]
    assert {themes.resolve(name) for name in themes.CHOICES} >= {"high-contrast", "ansi-dark"}


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_high_contrast_is_what_it_says() -> None:
    theme = themes.HIGH_CONTRAST
    for colour in (theme.primary, theme.secondary, theme.warning, theme.error, theme.success, theme.foreground):
        assert (luminance(str(colour)) + 0.05) / 0.05 >= 7
