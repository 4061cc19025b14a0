"""One question, turn by turn: decide what the model sees, let it act, run its calls, until an answer or a limit.

The loop yields events and shows nothing itself: whoever iterates stamps them, writes them down and passes them on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from engine.agent import actions, answering, formats, prompts
from engine.agent.actions import Action, Answer, Find, Malformed, Open, Reply, Search
from engine.agent.formats import Format
from engine.agent.formats.base import Reader
from engine.agent.listen import Heard, Listener
from engine.agent.moves import moves
from engine.browser.tools import Browser
from engine.context import masking, view
from engine.context.advisor import Advice, advise, reopened
from engine.context.segments import View
from engine.context.transcript import Call, Transcript, Turn
from engine.errors import ContextOverflow
from engine.model.base import LanguageModel, Sampling
from engine.protocol import (
    Advised,
    AnswerDelta,
    CallStarted,
    Decided,
    Decision,
    EndReason,
    Event,
    Mark,
    Observation,
    Observed,
    Policy,
    PolicySet,
    RunEnded,
    ThoughtDelta,
    TurnEnded,
    TurnStarted,
    ViewBuilt,
)

_TRIES = 2
"""A reply that is no action, or the same call as just before, gets one more try; then it becomes an observation."""

_REPEATED = "this call was made just now and would return the same"


@dataclass(frozen=True)
class Bill:
    """What a change to the masking costs: ``frees`` tokens of the view, ``reads`` more tokens, in ``seconds``."""

    frees: int
    reads: int
    seconds: float


@dataclass
class Controls:
    """The user's hand in a run. Written from any thread, read by the loop when a turn begins."""

    policy: Policy = field(default_factory=Policy)
    marks: dict[int, Mark] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    answer_now: threading.Event = field(default_factory=threading.Event)


def bill(
    model: LanguageModel, show: Callable[[Controls], View], before: Controls, after: Controls, speed: float
) -> Bill:
    """What it takes to read a view under ``after`` rather than under ``before``, at ``speed`` seconds a token."""
    was, now = model.price(show(before)), model.price(show(after))
    reads = now.decoded - was.decoded
    return Bill(was.reused + was.decoded - now.reused - now.decoded, reads, max(0, reads) * speed)


class Run:
    """One question being answered. ``transcript`` holds turns already where a run is continued."""

    def __init__(
        self,
        transcript: Transcript,
        *,
        model: LanguageModel,
        browser: Browser,
        controls: Controls,
        max_turns: int,
        sampling: Sampling,
        next_observation: int = 1,
        recall: Callable[[], float | None] = lambda: None,
    ) -> None:
        self.transcript = transcript
        self.model = model
        self.browser = browser
        self.controls = controls
        self.max_turns = max_turns
        self.next_observation = next_observation
        self._recall = recall
        self._advised = ""
        self.format: Format = formats.for_model(model)
        web = bool(browser.sources)
        self._calling = replace(sampling, lazy=self.format.lazy(web=web))
        self.listener = Listener(model, sampling, controls.stop.is_set)
        self.system = self.format.system(web=web, named=browser.named)
        self._tools = self.format.tools(web=web)
        self._read = 0  # prompt tokens read so far, and in how many seconds: the speed that prices are told at
        self._reading = 0.0

    def events(self) -> Generator[Event, None, None]:
        """Run to the end. Raises ModelError; all other trouble is an observation, which the model can act on."""
        started = time.monotonic()
        ended: EndReason | None = None
        while ended is None:
            number = len(self.transcript.turns) + 1
            yield from self._follow_advice()
            must_answer = self.controls.answer_now.is_set() or number >= self.max_turns
            yield TurnStarted(must_answer, turn=number)
            ended = yield from self._turn(number, must_answer)
        yield RunEnded(ended, len(self.transcript.turns), time.monotonic() - started)

    def advice(self) -> Advice:
        """What to expect of masking now; of the window of a policy that is auto, too."""
        policy = self.controls.policy
        if not policy.auto or not self.transcript.turns:
            return advise(self.model.info.parameters, self._recall())
        decisions = masking.decide(self.transcript.turns, policy, dict(self.controls.marks))
        again = reopened(self.transcript.turns, decisions, policy.window)
        return advise(self.model.info.parameters, self._recall(), reopened=again, window=policy.window)

    def _follow_advice(self) -> Iterator[Event]:
        """Where the policy is auto: take the window that is advised, and say so."""
        policy = self.controls.policy
        if not policy.auto:
            return
        advice = self.advice()
        changed = advice.window != policy.window
        if changed or advice.text != self._advised:
            self._advised = advice.text
            yield Advised(advice.text, advice.expects, advice.window, changed)
        if changed and self.controls.policy is policy:  # the user's own word, said meanwhile, counts more
            self.controls.policy = replace(policy, window=advice.window)
            yield PolicySet(self.controls.policy, how="advised")

    def price(self, before: Controls, after: Controls) -> Bill:
        """What the marks and policy of ``after`` cost at the next turn, more than those of ``before``. From any thread."""
        speed = self._reading / self._read if self._read else 0.0
        return bill(self.model, self._shown, before, after, speed)

    def _shown(self, controls: Controls) -> View:
        decisions = masking.decide(self.transcript.turns, controls.policy, dict(controls.marks))
        return self._view(decisions, controls.policy)

    def _view(self, decisions: Sequence[Decision], policy: Policy, note: str = "") -> View:
        return view.build(
            self.transcript,
            decisions,
            policy,
            system=self.system,
            note=note,
            manner=self.format,
            tools=self._tools,
        )

    def _turn(self, number: int, must_answer: bool) -> Generator[Event, None, EndReason | None]:
        heard, reply = yield from self._decide(must_answer)
        if heard.finish == "aborted":
            return "stopped"
        ended: EndReason | None = None
        calls: tuple[Call, ...] = ()
        observations: tuple[Observation, ...] = ()
        began = time.monotonic()
        if must_answer and not (isinstance(reply, Reply) and isinstance(reply.actions[0], Answer)):
            reply = Reply("", (Answer(),))  # the budget holds, whatever the model says: answer from the evidence
        if isinstance(reply, Malformed):
            observations = (self._complaint(str(reply)),)
            yield Observed(observations[0])
        elif any(isinstance(action, Answer) for action in reply.actions):
            text = next(action.text for action in reply.actions if isinstance(action, Answer))
            ended = yield from answering.answer(
                text, self.transcript.question, self.listener, self.browser, self.format.spoken
            )
            if ended == "stopped":
                return ended
        else:
            calls = tuple(
                Call(f"{number}.{place}", actions.tool(action), actions.arguments(action))
                for place, action in enumerate(reply.actions, start=1)
            )
            for call in calls:
                yield CallStarted(call.id, call.tool, call.arguments)
            observations = (
                *(self._numbered(observation) for observation in self._run(calls, reply.actions)),
                *map(self._complaint, reply.problems),
            )
            for observation in observations:
                yield Observed(observation)
        thought = reply.thought if isinstance(reply, Reply) else ""
        timings = replace(heard.timings, tool_seconds=time.monotonic() - began if calls else 0.0)
        yield TurnEnded(heard.text, thought, heard.finish, timings)
        self.transcript = self.transcript.add(Turn(number, heard.text, thought, calls, observations))
        return ended

    def _decide(self, must_answer: bool) -> Generator[Event, None, tuple[Heard, Reply | Malformed]]:
        """What the model wants to do, after at most ``_TRIES`` attempts to say it."""
        refused: list[Action] = []
        problem = Malformed("")
        note = prompts.MUST_ANSWER if must_answer and not self.format.led else ""
        told: Decided | None = None
        for attempt in range(_TRIES):
            decided, shown, built = self._look(note)
            if decided != told:
                yield decided
            told = decided
            yield built
            # A led model cannot tell where a link leads: it reads what was found, and sends nothing to further hosts.
            links = [link.id for _, link in self.browser.openable(follow=not self.format.led)]
            allowed = moves(
                self.transcript,
                links,
                must_answer=must_answer,
                led=self.format.led,
                refused=refused,
                sources=self.browser.sources,
            )
            reader = self.format.reader()
            heard = yield from self.listener.hear(
                shown, grammar=self.format.grammar(allowed), tell=_telling(reader), sampling=self._calling
            )
            self._read += heard.timings.prompt_tokens - heard.timings.reused_tokens
            self._reading += heard.timings.prefill_seconds
            try:
                reply = reader.finish()
                repeated = self._repeats(reply)
            except Malformed as error:
                problem = Malformed("the reply was cut off: be shorter") if heard.finish == "length" else error
            else:
                rest = tuple(action for action in reply.actions if action not in repeated)
                if not repeated and (attempt or not self._hasty(reply, must_answer)):
                    return heard, reply
                if repeated and rest:
                    return heard, replace(reply, actions=rest, problems=(*reply.problems, _REPEATED))
                refused += repeated
                problem = Malformed(_REPEATED if repeated else prompts.READ_FIRST)
            if heard.finish == "aborted":
                break
            note = prompts.malformed(str(problem), self.format.mend)
        return heard, problem

    def _look(self, note: str) -> tuple[Decided, View, ViewBuilt]:
        """Decisions and the view they make, with more masked, oldest first, if it would not fit the context."""
        policy, marks = self.controls.policy, dict(self.controls.marks)  # they may change any moment
        sizes: dict[int, int] | None = None
        room: int | None = None
        before: tuple[Decision, ...] | None = None
        while True:
            decisions = masking.decide(self.transcript.turns, policy, marks, sizes=sizes, room=room)
            shown = self._view(decisions, policy, note)
            built = self.listener.built(shown)
            excess = built.tokens + built.reserved - built.limit
            if excess <= 0:
                told = self.listener.recorded(built, shown, self.transcript.observations())
                return Decided(decisions, policy), shown, told
            if decisions == before:
                break  # all that may be masked is
            before = decisions
            live = {s.observation: s.tokens for s in built.segments if s.kind == "body"}
            sizes = live | (sizes or {})
            room = max(0, sum(live.values()) - excess)
        raise ContextOverflow(
            f"turn {len(self.transcript.turns) + 1} needs {built.tokens:,} tokens and {built.reserved:,} for the reply,"
            f" but the context holds {built.limit:,}",
            "Unpin observations, ask a new question, or use a model with a larger context.",
        )

    def _run(self, calls: Sequence[Call], wanted: Sequence[Action]) -> list[Observation]:
        if len(calls) == 1:
            return [self._call(calls[0], wanted[0])]
        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(self._call, calls, wanted))

    def _call(self, call: Call, action: Action) -> Observation:
        match action:
            case Search(query, source):
                return self.browser.search(call.id, query, source)
            case Open(id, cursor, line):
                return self.browser.open(call.id, id, cursor, line)
            case Find(pattern, cursor):
                return self.browser.find(call.id, pattern, cursor)
            case Answer():
                raise AssertionError("an answer is not a call")

    def _numbered(self, observation: Observation) -> Observation:
        number, self.next_observation = self.next_observation, self.next_observation + 1
        return replace(observation, number=number)

    def _complaint(self, problem: str) -> Observation:
        """What was wrong with a reply, as an observation the model can learn from."""
        header = prompts.malformed(problem, self.format.mend)
        return self._numbered(Observation(number=0, call="", tool="reply", header=header, body="", error=True))

    def _hasty(self, reply: Reply, must_answer: bool) -> bool:
        """Whether a model that may write what it likes answers before it has looked anywhere."""
        answers = any(isinstance(action, Answer) for action in reply.actions)
        return self.format.native and answers and not must_answer and not any(self.transcript.observations())

    def _repeats(self, reply: Reply) -> list[Action]:
        """The actions that were made, word for word, in the turn before. Asking again is no way on."""
        if not self.transcript.turns:
            return []
        before = [(call.tool, dict(call.arguments)) for call in self.transcript.turns[-1].calls]
        return [
            action
            for action in reply.actions
            if not isinstance(action, Answer) and (actions.tool(action), actions.arguments(action)) in before
        ]


def _telling(reader: Reader) -> Callable[[str], Iterator[Event]]:
    """Feeds a reader with a reply that grows, and tells what it makes of it."""
    read = 0

    def tell(so_far: str) -> Iterator[Event]:
        nonlocal read
        new = reader.feed(so_far[read:])
        read = len(so_far)
        if new.thought:
            yield ThoughtDelta(new.thought)
        if new.said:
            yield AnswerDelta(new.said)

    return tell
