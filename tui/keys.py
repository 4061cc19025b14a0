"""Every key of the app, once. Bindings, the key bar, the help screen and the command palette are made from this."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from textual.binding import Binding, BindingType

GROUPS = ("Panes", "Moving", "Context", "Answer and sources", "Run", "App")


@dataclass(frozen=True)
class Key:
    """One key and what it does.

    ``id`` names it in a keymap. ``keys`` is Textual's spelling, alternatives joined by commas. ``shown`` puts it in the
    key bar, under ``label`` where the keys' own names will not do. ``palette`` is false where the palette has no use
    for it.
    """

    id: str
    keys: str
    action: str
    description: str
    tooltip: str
    group: str
    shown: bool = False
    palette: bool = True
    priority: bool = False
    label: str = ""

    def binding(self) -> Binding:
        return Binding(
            self.keys,
            self.action,
            self.description,
            show=self.shown,
            key_display=self.label or None,
            priority=self.priority,
            tooltip=self.tooltip,
            id=self.id,
        )

    @property
    def display(self) -> str:
        """The key as a person reads it."""
        names = (_NAMES.get(key, key) for key in self.keys.split(","))
        return " ".join(names)


_NAMES = {
    "question_mark": "?",
    "slash": "/",
    "plus": "+",
    "equals_sign": "=",
    "minus": "-",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "down": "↓",
    "up": "↑",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "left": "←",
    "right": "→",
}

SCREEN: tuple[Key, ...] = (
    Key(
        "mask.toggle",
        "m",
        "mask",
        "Mask",
        "Mask or unmask the selected observation, from the next turn on. The first press tells what it costs.",
        "Context",
        shown=True,
    ),
    Key(
        "mask.pin",
        "p",
        "pin",
        "Pin",
        "Keep the selected observation live whatever its age, or let it go again.",
        "Context",
        shown=True,
    ),
    Key(
        "mask.wider",
        "plus,equals_sign",
        "window(1)",
        "Window",
        "A wider window: the observations of one more turn stay live.",
        "Context",
        shown=True,
        label="+ -",
    ),
    Key(
        "mask.narrower",
        "minus",
        "window(-1)",
        "Narrower window",
        "A narrower window: the observations of one turn less stay live. 0 masks nothing.",
        "Context",
    ),
    Key(
        "mask.all",
        "U",
        "unmask_all",
        "Unmask all",
        "Show the model everything again that is masked now.",
        "Context",
    ),
    Key("mask.undo", "u", "undo", "Undo", "Take the last mark or window of this run back.", "Context", shown=True),
    Key("mask.redo", "ctrl+r", "redo", "Redo", "Make the change again that was taken back last.", "Context"),
    Key(
        "prompt.view",
        "v",
        "view",
        "View",
        "The exact prompt of the selected turn, and what changed since another.",
        "Context",
        shown=True,
    ),
    Key(
        "source.open",
        "o",
        "open",
        "Open",
        "Open the selected source, citation or observation in the reader, at its line.",
        "Answer and sources",
        shown=True,
    ),
    Key(
        "copy",
        "y",
        "copy",
        "Copy",
        "Copy the answer, or the selected citation or observation.",
        "Answer and sources",
        shown=True,
    ),
    Key(
        "export",
        "e",
        "app.export",
        "Export",
        "Write the question, the turns and the answer to a Markdown file.",
        "Answer and sources",
    ),
    Key(
        "source.original",
        "O",
        "original",
        "Original",
        "Open the selected source itself: a file in the system's program for it, a web page in the browser.",
        "Answer and sources",
    ),
    Key("find", "slash", "find", "Find", "Go to the next row that has the words you type.", "Moving", label="/"),
    Key(
        "run.stop",
        "escape",
        "stop",
        "Stop",
        "Stop the run, or the indexing; everything finished is kept.",
        "Run",
        shown=True,
    ),
    Key(
        "back",
        "escape",
        "back",
        "Back",
        "Leave the prompt, or the detail of a row. Never quits.",
        "Moving",
        shown=True,
        palette=False,
    ),
    Key(
        "run.answer",
        "a",
        "answer_now",
        "Answer",
        "Stop searching: the next turn must answer from what was read.",
        "Run",
        shown=True,
    ),
    Key(
        "run.continue",
        "c",
        "continue",
        "Continue",
        "Go on with a run that was stopped or lost, from its last finished turn.",
        "Run",
    ),
    Key(
        "web.mode",
        "w",
        "app.web",
        "Web",
        "The live web: off, ask before each query and new host, on. Off holds at once.",
        "Run",
    ),
    Key(
        "web.network",
        "n",
        "app.network",
        "Network",
        "Every request that this session sent, to whom, and what came of it.",
        "Answer and sources",
    ),
    Key(
        "run.fork",
        "f",
        "fork",
        "Fork",
        "Go on from the selected turn as a new session, under another window or question.",
        "Run",
    ),
    Key(
        "run.whatif",
        "x",
        "app.what_if",
        "What if",
        "This run under other windows: what would have been masked when. No model is asked.",
        "Context",
    ),
    Key(
        "run.again",
        "r",
        "app.again",
        "Ask again",
        "Ask again under another window or policy, as a session of its own, and compare.",
        "Run",
    ),
    Key("run.compare", "b", "app.compare", "Compare", "This session and another one side by side.", "Run"),
    Key("prompt", "i", "prompt", "Ask", "Go to the prompt.", "Run", shown=True),
    Key("pane.turns", "1", "pane('turns')", "Show the turns", "What the model did, turn by turn.", "Panes"),
    Key(
        "pane.context",
        "2",
        "pane('context')",
        "Show the context",
        "What the model sees: one bar for each observation.",
        "Panes",
    ),
    Key(
        "pane.sources", "3", "pane('sources')", "Show the sources", "The documents that were opened or cited.", "Panes"
    ),
    Key("pane.answer", "4", "pane('answer')", "Show the answer", "The answer and its citations.", "Panes"),
    Key("pane.next", "tab", "cycle(1)", "Next pane", "Go to the next pane.", "Panes", palette=False),
    Key("pane.previous", "shift+tab", "cycle(-1)", "Previous pane", "Go to the pane before.", "Panes", palette=False),
)
"""The keys of the research screen, in the order of the key bar."""

PROMPT: tuple[Key, ...] = (
    Key("run.send", "enter", "send", "Send", "In the prompt: send the question.", "Run"),
    Key("run.newline", "ctrl+j", "newline", "New line", "In the prompt: a new line.", "Run"),
)
"""What the prompt does with keys of its own."""

MOVES: tuple[Key, ...] = (
    Key("move.down", "j,down", "cursor_down", "Down", "The next row.", "Moving"),
    Key("move.up", "k,up", "cursor_up", "Up", "The row before.", "Moving"),
    Key("move.first", "g,home", "first", "First", "The first row.", "Moving"),
    Key("move.last", "G,end", "last", "Last", "The last row; during a run, follow it.", "Moving"),
    Key("move.page_down", "pagedown", "page_down", "Page down", "One page down.", "Moving"),
    Key("move.page_up", "pageup", "page_up", "Page up", "One page up.", "Moving"),
    Key("move.select", "enter", "select", "Detail", "Show the selected row whole.", "Moving"),
)
"""The keys of every list."""

SCROLLS: tuple[Key, ...] = (
    Key("scroll.down", "j,down", "scroll_down", "Down", "One line down.", "Moving"),
    Key("scroll.up", "k,up", "scroll_up", "Up", "One line up.", "Moving"),
    Key("scroll.first", "g,home", "scroll_home", "Top", "The top.", "Moving"),
    Key("scroll.last", "G,end", "scroll_end", "End", "The end.", "Moving"),
)
"""The same keys where there is text and not rows."""

APP: tuple[Key, ...] = (
    Key("session.new", "ctrl+n", "new", "New", "Begin a new session.", "App"),
    Key(
        "session.list",
        "ctrl+s",
        "sessions",
        "Sessions",
        "Saved sessions: search, open, name, tag, export, delete.",
        "App",
    ),
    Key("models", "ctrl+o", "models", "Models", "Language models: use, fetch, try out, remove.", "App"),
    Key("index.add", "ctrl+l", "index", "Index", "Index a file or folder, while questions go on.", "App"),
    Key(
        "index.pause",
        "ctrl+t",
        "pause_index",
        "Pause indexing",
        "Let the indexing rest, or go on. What is written stays searchable.",
        "App",
    ),
    Key(
        "app.help",
        "f1,question_mark",
        "help",
        "Help",
        "All keys and what the signs mean.",
        "App",
        shown=True,
        label="?",
    ),
    Key("app.settings", "f2,ctrl+g", "settings", "Settings", "All settings: look at them, change them.", "App"),
    Key("app.doctor", "f3", "doctor", "Doctor", "Look at everything a question needs, and what to do about it.", "App"),
    Key(
        "app.palette",
        "ctrl+p",
        "command_palette",
        "More",
        "Find any command by its name.",
        "App",
        shown=True,
        palette=False,
        label="^p",
    ),
    Key("app.interrupt", "ctrl+c", "interrupt", "Quit", "Copy what is selected; twice: quit.", "App", palette=False),
    Key("app.quit", "ctrl+q", "quit", "Quit", "Leave. Everything that is finished is saved.", "App", priority=True),
)

READER: tuple[Key, ...] = (
    Key("reader.back", "escape,q", "back", "Back", "Back to where you were.", "App", shown=True, label="esc"),
    Key("reader.find", "slash", "find", "Find", "Find words in this document.", "Moving", shown=True, label="/"),
    Key("reader.next", "n", "next(1)", "Next", "The next place found, or the next cited lines.", "Moving", shown=True),
    Key("reader.previous", "N", "next(-1)", "Previous", "The place before.", "Moving"),
    Key(
        "reader.copy",
        "y",
        "copy",
        "Copy",
        "Copy the cited lines with their place, or the whole document.",
        "Answer and sources",
        shown=True,
    ),
    Key(
        "reader.original",
        "O",
        "original",
        "Original",
        "Open the document itself: a file in the system's program for it, a web page in the browser.",
        "Answer and sources",
        shown=True,
    ),
)

SESSIONS: tuple[Key, ...] = (
    Key("sessions.back", "escape", "back", "Back", "Back to where you were.", "App", shown=True, label="esc"),
    Key(
        "sessions.find",
        "slash",
        "search",
        "Search",
        "Search questions, answers and observations.",
        "Moving",
        shown=True,
        label="/",
    ),
    Key("sessions.compare", "b", "compare", "Compare", "The selected session and another one.", "App", shown=True),
    Key(
        "sessions.delete",
        "d,delete",
        "delete",
        "Delete",
        "Delete the selected session; asks first.",
        "App",
        shown=True,
        label="d",
    ),
    Key("sessions.rename", "r", "rename", "Rename", "Give the selected session another title.", "App", shown=True),
    Key("sessions.tag", "t", "tag", "Tag", "Tag the selected session; #tag in the search finds it.", "App", shown=True),
    Key(
        "sessions.continue",
        "c",
        "resume",
        "Continue",
        "Open the selected session and go on with its run, where that was not finished.",
        "Run",
        shown=True,
    ),
    Key(
        "sessions.export",
        "e",
        "export",
        "Export",
        "Write the selected session to a file, in a format you choose.",
        "Answer and sources",
        shown=True,
    ),
)

SETTINGS: tuple[Key, ...] = (
    Key("settings.back", "escape,q", "back", "Back", "Back to where you were.", "App", shown=True, label="esc"),
    Key("settings.next", "right,space", "turn(1)", "Next", "The next of the choices.", "App", shown=True, label="← →"),
    Key("settings.previous", "left", "turn(-1)", "Previous", "The choice before.", "App"),
    Key("settings.reset", "r", "reset", "Default", "Take it out of the file: the default holds.", "App", shown=True),
    Key("settings.copy", "y", "copy", "Copy", "Copy the place of the settings file.", "App", shown=True),
)

DOCTOR: tuple[Key, ...] = (
    Key("doctor.back", "escape,q", "back", "Back", "Back to where you were.", "App", shown=True, label="esc"),
    Key("doctor.again", "r", "again", "Again", "Look at everything again.", "App", shown=True),
    Key("doctor.copy", "y", "copy", "Copy", "Copy what was found, for a report.", "App", shown=True),
)

WHATIF: tuple[Key, ...] = (
    Key("whatif.back", "escape,q,x", "back", "Back", "Back to where you were.", "App", shown=True, label="esc"),
    Key(
        "whatif.wider",
        "right,l",
        "scrub(1)",
        "Window",
        "A wider window; the widest is off.",
        "Context",
        shown=True,
        label="← →",
    ),
    Key("whatif.narrower", "left,h", "scrub(-1)", "Narrower", "A narrower window.", "Context"),
)

COMPARE: tuple[Key, ...] = (
    Key("compare.back", "escape,q", "back", "Back", "Back to where you were.", "App", shown=True, label="esc"),
)

APPROVAL: tuple[Key, ...] = (
    Key("approval.yes", "y", "answer(True)", "Allow", "Send it.", "Run", shown=True),
    Key("approval.no", "n", "answer(False)", "Do not", "Do not send it; the run goes on without.", "Run", shown=True),
    Key("approval.stop", "escape", "stop", "Stop", "Do not send it, and stop the run.", "Run", shown=True, label="esc"),
)

INDEXING: tuple[Key, ...] = (
    Key("indexing.back", "escape", "back", "Back", "Index nothing.", "App", shown=True),
    Key("indexing.complete", "tab", "complete", "Complete", "Take the path that is offered.", "App", shown=True),
)

AGREE: tuple[Key, ...] = (
    Key("agree.yes", "y", "answer(True)", "Yes", "Do it.", "App", shown=True),
    Key("agree.no", "n,escape", "answer(False)", "No", "Leave everything as it is.", "App", shown=True, label="n"),
)

NETWORK: tuple[Key, ...] = (
    Key("network.back", "escape,q", "back", "Back", "Back to where you were.", "App", shown=True, label="esc"),
)

VIEW: tuple[Key, ...] = (
    Key("view.back", "escape,q,v", "back", "Back", "Back to where you were.", "App", shown=True, label="esc"),
    Key("view.fold", "enter,space", "fold", "Fold", "Fold or unfold this piece.", "Moving", shown=True),
    Key("view.fold_all", "z", "fold_all", "All", "Unfold all pieces, or fold all.", "Moving", shown=True),
    Key("view.next", "right_square_bracket", "turn(1)", "Turn", "The next turn.", "Panes", shown=True, label="[ ]"),
    Key("view.previous", "left_square_bracket", "turn(-1)", "Turn before", "The turn before.", "Panes"),
    Key(
        "view.later",
        "right_curly_bracket",
        "against(1)",
        "Against",
        "Compare with a later turn.",
        "Panes",
        shown=True,
        label="{ }",
    ),
    Key(
        "view.earlier", "left_curly_bracket", "against(-1)", "Against earlier", "Compare with an earlier turn.", "Panes"
    ),
    Key(
        "view.change",
        "n",
        "change(1)",
        "Change",
        "The next piece that changed, or has the words.",
        "Moving",
        shown=True,
    ),
    Key("view.change_before", "N", "change(-1)", "Change before", "The one before.", "Moving"),
    Key("view.find", "slash", "find", "Find", "Find words in the prompt.", "Moving", shown=True, label="/"),
    Key("view.copy", "y", "copy", "Copy", "Copy this piece.", "Answer and sources", shown=True),
    Key(
        "view.copy_all",
        "Y",
        "copy_all",
        "Copy all",
        "Copy the whole prompt as the model read it.",
        "Answer and sources",
    ),
    Key(
        "view.template",
        "t",
        "template",
        "Template",
        "Show the model's own template between the pieces.",
        "Panes",
        shown=True,
    ),
)

MODELS: tuple[Key, ...] = (
    Key("models.back", "escape,q", "back", "Back", "Back to where you were.", "App", shown=True, label="esc"),
    Key("models.use", "u", "use", "Use", "Use the selected model from the next question on.", "App", shown=True),
    Key("models.pull", "p", "pull", "Fetch", "Fetch the selected model; asks first.", "App", shown=True),
    Key("models.cancel", "x", "cancel", "Stop", "Stop fetching; what has come is kept.", "App", shown=True),
    Key("models.check", "c", "check", "Check", "Load it, let it write a call, edit its cache.", "App", shown=True),
    Key(
        "models.remove",
        "d,delete",
        "remove",
        "Remove",
        "Delete the selected model's file; asks first.",
        "App",
        shown=True,
        label="d",
    ),
)

COMMANDS: tuple[Key, ...] = tuple(key for key in SCREEN + APP if key.palette)
"""What the command palette offers."""

ALL: tuple[Key, ...] = PROMPT + SCREEN + MOVES + APP


HERE: dict[str, tuple[str, tuple[str, ...]]] = {
    "turns": ("the turns", ("move.select", "source.open", "copy", "mask.toggle", "mask.pin")),
    "context": (
        "the context map",
        ("mask.toggle", "mask.pin", "mask.wider", "mask.narrower", "move.select", "source.open", "copy"),
    ),
    "sources": ("the sources", ("source.open", "source.original")),
    "answer-scroll": ("the answer", ("copy", "export")),
    "citations": ("the citations", ("source.open", "source.original", "copy")),
    "detail": ("one turn", ("back", "mask.toggle", "mask.pin", "source.open", "copy")),
    "prompt": ("the prompt", ("run.send", "run.newline", "back")),
}
"""For each pane, by the id of the widget that has the focus: what it is called, and the keys that matter in it."""

FIRST = ("app.help", "app.palette", "run.stop", "run.answer", "prompt", "prompt.view")
"""What the key bar shows before anything else: the way to more, and out. Then what ``HERE`` says, then the others."""


def groups() -> dict[str, tuple[Key, ...]]:
    """Every tuple of keys in this module, by its name: what is bound together in one place."""
    return {
        name: keys
        for name, keys in globals().items()
        if isinstance(keys, tuple) and keys and all(isinstance(key, Key) for key in keys)
    }


def every() -> dict[str, Key]:
    """Every key there is, by its id."""
    return {key.id: key for keys in groups().values() for key in keys}


def bindings(keys: Iterable[Key]) -> list[BindingType]:
    """Textual's bindings for some of the keys."""
    return [key.binding() for key in keys]
