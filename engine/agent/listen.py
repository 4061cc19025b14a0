"""Shows the model a view and turns what comes back into events."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace

from engine.clean import clean
from engine.context.segments import View
from engine.context.view import body_text, header_text
from engine.model.base import Finished, LanguageModel, Prefilled, Progress, Sampling, Telling, Text
from engine.protocol import CacheEdited, Event, Observation, PromptProgress, Timings, ViewBuilt


@dataclass(frozen=True)
class Heard:
    """A whole reply, made safe, and where the time went. ``finish`` is ``stop``, ``length`` or ``aborted``."""

    text: str
    finish: str
    timings: Timings


@dataclass(frozen=True)
class Listener:
    """A model, how to draw from it and how to interrupt it: what stays the same through a run."""

    model: LanguageModel
    sampling: Sampling = field(default_factory=Sampling)
    cancelled: Callable[[], bool] = lambda: False
    texts: dict[str, int] = field(default_factory=dict)
    """What was recorded already, and as which."""

    def built(self, view: View) -> ViewBuilt:
        """The exact size of a view and the room it must fit in."""
        segments = self.model.measure(view)
        total = sum(segment.tokens for segment in segments)
        return ViewBuilt(segments, total, self.model.info.context, self.sampling.max_tokens)

    def recorded(self, built: ViewBuilt, view: View, observations: Iterable[Observation] = ()) -> ViewBuilt:
        """The same with its texts, as far as neither ``observations`` nor what was recorded before has them."""
        own: dict[tuple[str, int], str] = {}
        for each in observations:
            own["header", each.number], own["body", each.number] = header_text(each), body_text(each)
        texts: Iterator[str | None]
        if isinstance(self.model, Telling):
            texts = iter([piece.text for piece in self.model.pieces(view)])
        else:
            told = (segment.text for segment in view.segments() if segment.kind != "template")
            texts = (None if segment.kind == "template" else next(told, None) for segment in built.segments)
        before, places = len(self.texts), []
        for segment, text in zip(built.segments, texts, strict=False):
            if text is None:
                places.append(-2)
            elif own.get((segment.kind, segment.observation)) == text:
                places.append(-1)
            else:
                places.append(self.texts.setdefault(text, len(self.texts)))
        return replace(built, texts=tuple(self.texts)[before:], places=tuple(places))

    def hear(
        self,
        view: View,
        *,
        grammar: str = "",
        tell: Callable[[str], Iterable[Event]] = lambda _: (),
        sampling: Sampling | None = None,
    ) -> Generator[Event, None, Heard]:
        """Generate one reply, drawn as usual or by ``sampling``. ``tell`` is given the reply so far whenever it grows,
        and says what to tell of it.
        """
        sampling = sampling or self.sampling
        so_far = view.opening
        timings = Timings()
        for part in self.model.generate(view, sampling=sampling, grammar=grammar, cancelled=self.cancelled):
            match part:
                case Progress(done, total):
                    yield PromptProgress(done, total)
                case Prefilled(reused, decoded, removed, seconds, mode, repaired):
                    timings = Timings(prompt_tokens=reused + decoded, reused_tokens=reused, prefill_seconds=seconds)
                    yield CacheEdited(reused, decoded, removed, seconds, mode, repaired)
                case Text(text):
                    so_far += text
                    yield from tell(clean(so_far))
                case Finished(text, tokens, reason, seconds):
                    return Heard(clean(text), reason, _with_reply(timings, tokens, seconds))
        return Heard(clean(so_far), "aborted", timings)


def _with_reply(timings: Timings, tokens: int, seconds: float) -> Timings:
    return Timings(
        prompt_tokens=timings.prompt_tokens,
        reused_tokens=timings.reused_tokens,
        generated_tokens=tokens,
        prefill_seconds=timings.prefill_seconds,
        decode_seconds=seconds,
    )


def growing(
    make: Callable[[str], Event], read: Callable[[str], str] = lambda text: text
) -> Callable[[str], Iterable[Event]]:
    """A ``tell`` for text that grows: makes an event of each new piece of ``read(reply so far)``."""
    told = ""

    def tell(so_far: str) -> Iterable[Event]:
        nonlocal told
        now = read(so_far)
        if len(now) > len(told) and now.startswith(told):
            piece, told = now[len(told) :], now
            return (make(piece),)
        return ()

    return tell
