from __future__ import annotations

import copy

from hypothesis import assume, given
from hypothesis import strategies as st

from engine.context.masking import decide
from engine.context.segments import Message, Segment, View
from engine.context.transcript import Call, Exchange, Transcript, Turn
from engine.context.view import NOTHING, build
from engine.protocol import Mark, Observation, Policy
from tests.engine.context.strategies import POLICIES, marks_on, observation, run_of, transcripts, turn, turns

SYSTEM = "You search."


OFF = Policy(0)


def shown(
    transcript: Transcript,
    policy: Policy = OFF,
    marks: dict[int, Mark] | None = None,
    *,
    note: str = "",
    opening: str = "",
) -> View:
    decisions = decide(transcript.turns, policy, marks or {})
    return build(transcript, decisions, policy, system=SYSTEM, note=note, opening=opening)


def flat(view: View) -> list[tuple[int, str, Segment]]:
    """Every segment with the place and role of the message it is in."""
    return [(place, m.role, segment) for place, m in enumerate(view.messages) for segment in m.segments]


def without_body(view: View, number: int) -> View:
    gone = {"kind": "body", "observation": number}
    return View(
        tuple(
            Message(m.role, tuple(s for s in m.segments if {"kind": s.kind, "observation": s.observation} != gone))
            for m in view.messages
        ),
        view.opening,
    )


# ── what stands where ────────────────────────────────────────────────────────────────────────────


def test_the_whole_of_a_small_view() -> None:
    transcript = Transcript(
        "Who?",
        (
            turn(1, observation(1), observation(2, body=""), raw="search!"),
            turn(2, observation(3, error=True), raw="open!"),
        ),
        (Exchange("Where?", "Here."),),
    )
    assert shown(transcript, opening="{").messages == (
        Message("system", (Segment("system", SYSTEM),)),
        Message("user", (Segment("question", "Where?"),)),
        Message("assistant", (Segment("answer", "Here."),)),
        Message("user", (Segment("question", "Who?"),)),
        Message("assistant", (Segment("call", "search!"),)),
        Message(
            "user",
            (Segment("header", "[1] page\n", 1), Segment("body", "some text\n", 1), Segment("header", "[2] page\n", 2)),
        ),
        Message("assistant", (Segment("call", "open!"),)),
        Message("user", (Segment("header", "[3] page\n", 3), Segment("body", "some text\n", 3))),
    )
    assert shown(transcript, opening="{").opening == "{"


def test_a_masked_observation_keeps_its_header() -> None:
    view = shown(Transcript("Who?", run_of(2)), Policy(1))
    assert view.messages[3] == Message("user", (Segment("header", "[1] page\n", 1),))
    assert [segment.kind for segment in view.messages[5].segments] == ["header", "body"]


def test_the_papers_placeholder_stands_for_the_whole_observation() -> None:
    view = shown(Transcript("Who?", run_of(2)), Policy(1, stub="paper"))
    stub = "[Auto-archived browser result] tool=browser.search | args: query='q1'\n"
    assert view.messages[3] == Message("user", (Segment("header", stub, 1),))
    assert [segment.kind for segment in view.messages[5].segments] == ["header", "body"]


def test_of_parallel_calls_each_has_its_own_placeholder() -> None:
    calls = (Call("1.1", "search", {"query": "a"}), Call("1.2", "open", {"id": 2}))
    returned = (Observation(1, "1.1", "search", "h", "b"), Observation(2, "1.2", "open", "h", "b"))
    transcript = Transcript("Who?", (Turn(1, "?", "", calls, returned), *run_of(4)[2:]))
    view = shown(transcript, Policy(2, stub="paper"))
    assert [segment.text.partition("tool=")[2] for segment in view.messages[3].segments] == [
        "browser.search | args: query='a'\n",
        "browser.open | args: id=2\n",
    ]


def test_a_placeholder_for_an_observation_that_no_call_brought() -> None:
    transcript = Transcript("Who?", (Turn(1, "?", observations=(observation(1, error=True),)),))
    view = shown(transcript, Policy(4, stub="paper"), {1: "mask"})
    assert view.messages[-1].text == "[Auto-archived browser result] tool=browser.search | args: no args\n"


def test_an_observation_without_a_decision_is_shown() -> None:
    transcript = Transcript("Who?", run_of(1))
    assert build(transcript, (), Policy(), system=SYSTEM) == shown(transcript)


def test_a_note_is_the_last_word() -> None:
    fresh, later, bare = Transcript("Who?"), Transcript("Who?", run_of(1)), Transcript("Who?", (turn(1),))
    assert shown(fresh, note="Answer.").messages[-1] == Message(
        "user", (Segment("question", "Who?"), Segment("note", "\nAnswer."))
    )
    assert shown(later, note="Answer.").messages[-1].segments[-1] == Segment("note", "\nAnswer.")
    assert shown(bare, note="Answer.").messages[-1].text == f"{NOTHING}\n\nAnswer."


# ── for any run ──────────────────────────────────────────────────────────────────────────────────


@given(st.data(), transcripts(), POLICIES, st.sampled_from(["", "Answer."]))
def test_the_same_again_is_the_same(data: st.DataObject, transcript: Transcript, policy: Policy, note: str) -> None:
    marks = data.draw(marks_on(transcript))
    kept = copy.deepcopy(transcript)
    assert shown(transcript, policy, marks, note=note) == shown(
        copy.deepcopy(transcript), policy, dict(marks), note=note
    )
    assert transcript == kept, "and the transcript is untouched"


@given(st.data(), transcripts(), POLICIES)
def test_people_and_model_take_turns_and_the_model_is_next(
    data: st.DataObject, transcript: Transcript, policy: Policy
) -> None:
    roles = [message.role for message in shown(transcript, policy, data.draw(marks_on(transcript))).messages]
    assert roles[0] == "system"
    assert roles[1:] == [("user", "assistant")[place % 2] for place in range(len(roles) - 1)]
    assert roles[-1] == "user"


@given(st.data(), transcripts(), POLICIES)
def test_no_call_is_separated_from_its_observations(
    data: st.DataObject, transcript: Transcript, policy: Policy
) -> None:
    messages = shown(transcript, policy, data.draw(marks_on(transcript))).messages
    after_question = messages[-2 * len(transcript.turns) :] if transcript.turns else ()
    for number, each in enumerate(transcript.turns):
        call, results = after_question[2 * number : 2 * number + 2]
        assert call.segments == (Segment("call", each.raw),)
        headers = [segment.observation for segment in results.segments if segment.kind == "header"]
        assert headers == [observation.number for observation in each.observations]
        for header, body in zip(results.segments, results.segments[1:], strict=False):
            assert body.kind != "body" or (header.kind, header.observation) == ("header", body.observation)


@given(st.data(), transcripts())
def test_a_turn_that_masks_nothing_only_appends(data: st.DataObject, transcript: Transcript) -> None:
    before = shown(transcript)
    after = shown(transcript.add(data.draw(turns(len(transcript.turns) + 1, 1000))))
    assert after.messages[: len(before.messages)] == before.messages
    assert len(after.messages) == len(before.messages) + 2


@given(st.data(), transcripts(), st.integers(0, 4))
def test_masking_is_the_deletion_of_one_body(data: st.DataObject, transcript: Transcript, window: int) -> None:
    policy = Policy(window)
    marks = data.draw(marks_on(transcript))
    live = [d.observation for d in decide(transcript.turns, policy, marks) if d.state != "masked"]
    assume(live)
    number = data.draw(st.sampled_from(live))
    whole = shown(transcript, policy, marks)
    less = shown(transcript, policy, marks | {number: "mask"})
    assert less == without_body(whole, number)
    removed = len(flat(whole)) - len(flat(less))
    assert removed == bool({o.number: o.body for o in transcript.observations()}[number])
    assert shown(transcript, policy, marks) == whole, "undone, the exact earlier view is back"


@given(st.data(), transcripts(), POLICIES)
def test_all_before_the_first_changed_decision_is_the_same(
    data: st.DataObject, transcript: Transcript, policy: Policy
) -> None:
    one, other = (decide(transcript.turns, policy, data.draw(marks_on(transcript))) for _ in range(2))
    views = [flat(build(transcript, decisions, policy, system=SYSTEM)) for decisions in (one, other)]
    differ = (a.observation for a, b in zip(one, other, strict=True) if (a.state == "masked") != (b.state == "masked"))
    first = next(differ, None)
    if first is None:
        assert views[0] == views[1]
        return
    header = next(place for place, (_, _, segment) in enumerate(views[0]) if segment.observation == first)
    same = header + 1 if policy.stub == "header" else header
    assert views[0][:same] == views[1][:same]


@given(st.data(), transcripts(), POLICIES)
def test_a_note_changes_nothing_before_it(data: st.DataObject, transcript: Transcript, policy: Policy) -> None:
    marks = data.draw(marks_on(transcript))
    quiet, noted = (flat(shown(transcript, policy, marks, note=note)) for note in ("", "Answer now."))
    assert noted[:-1] == quiet
    assert noted[-1][2].kind == "note"
