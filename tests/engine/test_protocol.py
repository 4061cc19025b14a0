from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import wire
from engine.errors import ProtocolError
from engine.protocol import (
    Ask,
    CallStarted,
    Command,
    Decided,
    Decision,
    Event,
    Observation,
    Observed,
    Policy,
    RunEnded,
    Stop,
    ThoughtDelta,
    Timings,
    TurnEnded,
    Unknown,
    decode_command,
    decode_event,
    encode,
)

COMMANDS = sorted(Command.kinds)
EVENTS = sorted(set(Event.kinds) - {"Unknown"})

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
st.register_type_strategy(float, st.floats(allow_nan=False))
st.register_type_strategy(object, _JSON)


def _any_of(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Instances with every field drawn from its type, ``Any`` being what JSON can hold."""
    mappings = {
        field.name: st.dictionaries(st.text(max_size=4), st.integers() if field.type == "Mapping[str, int]" else _JSON)
        for field in dataclasses.fields(cls)
        if str(field.type).startswith("Mapping")
    }
    fields = {field.name: ... for field in dataclasses.fields(cls) if field.name not in mappings}
    return st.builds(cls, **fields, **mappings)


@pytest.mark.parametrize("kind", COMMANDS)
@given(data=st.data())
def test_commands_come_back_from_json(kind: str, data: st.DataObject) -> None:
    command = data.draw(_any_of(Command.kinds[kind]))
    line = encode(command)
    assert "\n" not in line
    assert decode_command(line) == command


@pytest.mark.parametrize("kind", EVENTS)
@given(data=st.data())
def test_events_come_back_from_json(kind: str, data: st.DataObject) -> None:
    event = data.draw(_any_of(Event.kinds[kind]))
    line = encode(event)
    assert "\n" not in line
    assert decode_event(line) == event


def test_all_kinds_are_covered() -> None:
    assert {"Ask", "Stop", "SetMasking"} <= set(COMMANDS)
    assert {"Decided", "Observed", "RunEnded"} <= set(EVENTS)


def test_events_of_a_newer_version_are_kept_whole_and_keep_their_place() -> None:
    line = json.dumps({"kind": "Dreamt", "session": "s", "run": 2, "turn": 3, "seq": 9, "at": 1.5, "of": ["sheep"]})
    event = decode_event(line)
    assert isinstance(event, Unknown)
    assert (event.name, event.session, event.run, event.turn, event.seq, event.at) == ("Dreamt", "s", 2, 3, 9, 1.5)
    assert json.loads(encode(event)) == json.loads(line)


def test_fields_of_a_newer_version_are_passed_over_at_every_depth() -> None:
    fields = json.loads(encode(Observed(Observation(1, "1.1", "search", "[0] x", "y"), seq=4)))
    fields["later"] = 1
    fields["observation"]["later"] = {"deep": True}
    assert decode_event(json.dumps(fields)) == Observed(Observation(1, "1.1", "search", "[0] x", "y"), seq=4)


def test_fields_of_an_older_version_that_are_missing_have_their_defaults() -> None:
    assert decode_command('{"kind":"Ask","question":"why?"}') == Ask("why?")
    assert decode_command('{"kind":"Ask","question":"why?","policy":{"window":2}}') == Ask("why?", policy=Policy(2))


@pytest.mark.parametrize("line", ["", "{", "[]", "1", '"Stop"', "null", "nonsense"])
def test_a_line_that_is_no_object_is_refused_both_ways(line: str) -> None:
    with pytest.raises(ProtocolError):
        decode_command(line)
    with pytest.raises(ProtocolError):
        decode_event(line)


@pytest.mark.parametrize(
    "line", ["{}", '{"kind":"Explode"}', '{"kind":"Observed"}', '{"kind":null}', '{"kind":["Stop"]}']
)
def test_what_is_no_command_is_refused(line: str) -> None:
    with pytest.raises(ProtocolError):
        decode_command(line)


@pytest.mark.parametrize(
    "line",
    ['{"kind":"Ask"}', '{"kind":"Ask","question":"x","policy":5}', '{"kind":"IndexPaths","paths":7}'],
)
def test_missing_or_misshapen_fields_are_refused(line: str) -> None:
    with pytest.raises(ProtocolError):
        decode_command(line)


@pytest.mark.parametrize(
    "line",
    ['{"kind":"RunStarted"}', '{"kind":"Observed","observation":[]}', '{"kind":"Decided","decisions":[1]}'],
)
def test_misshapen_events_are_refused(line: str) -> None:
    with pytest.raises(ProtocolError):
        decode_event(line)


def test_text_stays_readable_and_controls_are_escaped() -> None:
    line = encode(ThoughtDelta("naïve ␛ \x1b[31m 海\nx"))
    assert "naïve" in line and "海" in line
    assert "\x1b" not in line and "\n" not in line


def test_a_command_without_fields_is_its_kind() -> None:
    assert encode(Stop()) == '{"kind":"Stop"}'


def _slowly(message: Command | Event) -> str:
    """A message as the standard library writes it."""
    return json.dumps({"kind": type(message).__name__} | dataclasses.asdict(message), ensure_ascii=False)


@pytest.mark.parametrize("kind", EVENTS)
@settings(max_examples=20)
@given(data=st.data())
def test_the_fast_way_writes_and_reads_what_the_slow_one_does(kind: str, data: st.DataObject) -> None:
    event = data.draw(_any_of(Event.kinds[kind]))
    fast, slow = wire.written(event), _slowly(event)
    if fast is None:
        assert "null" in slow or "Infinity" in slow or any(sign in slow for sign in map(chr, range(0xD800, 0xE000)))
    else:
        assert json.loads(fast) == json.loads(slow)
    line = slow.replace('": ', '":', 1)  # so that its kind is told at a glance
    assert wire.kind_of(line) == kind
    assert wire.read(type(event), line) in (None, event)
    assert decode_event(slow) == event


def test_a_long_list_of_decisions_goes_the_fast_way_both_ways() -> None:
    event = Decided(tuple(Decision(number, "masked", "older than 4 turns") for number in range(1, 99)), Policy(), seq=7)
    line = wire.written(event)
    assert line is not None and line == encode(event)
    assert wire.read(Decided, line) == event == decode_event(line)


@pytest.mark.parametrize(
    "event",
    [
        TurnEnded("raw", "", "stop", Timings(1, prefill_seconds=float("inf"))),
        ThoughtDelta("a file called \udcff"),
        ThoughtDelta("null"),
        CallStarted("c", "open", {"id": 10**30, "deep": [None, {"null": 1.5}]}),
    ],
)
def test_what_the_fast_way_has_no_sign_for_goes_the_slow_one(event: Event) -> None:
    assert decode_event(encode(event)) == event


def test_a_number_that_is_none_is_told_and_read() -> None:
    told = decode_event(encode(RunEnded("answered", 1, float("nan"))))
    assert isinstance(told, RunEnded) and told.seconds != told.seconds


def test_a_value_of_another_version_is_read_as_it_is() -> None:
    line = encode(RunEnded("answered", 1, 2.0)).replace("answered", "given up").replace('"turns":1', '"turns":"one"')
    told = vars(decode_event(line))
    assert (told["why"], told["turns"]) == ("given up", "one")
