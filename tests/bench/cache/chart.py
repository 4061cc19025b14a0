"""A line chart as SVG, readable on light and dark grounds, without a library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from tests.bench.cache.race import Race

WIDTH, HEIGHT = 960, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 300, 76, 52
LINE = 17
"""Height of a line of text."""

ALIKE = 0.02
"""Series that nowhere lie further apart than this share of the highest value are drawn as one line with all names."""

COLOURS = (
    ("#c2410c", "#fb923c"),
    ("#1d4ed8", "#7aa8ff"),
    ("#047857", "#4ade80"),
    ("#7e22ce", "#d8a1ff"),
    ("#57534e", "#c7c2bd"),
)
"""On light and on dark ground. Lines also differ in their dashes."""

DASHES = ("", "7 4", "2 3", "10 3 2 3", "1 5")

_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: var(--ink); }
  .title { font-size: 17px; font-weight: 600; }
  .quiet { fill: var(--quiet); }
  .grid { stroke: var(--grid); stroke-width: 1; }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round; }
  .leader { fill: none; stroke-width: 1; opacity: 0.6; }
"""


def tokens(race: Race) -> str:
    """Prompt tokens decoded at each turn, by each method that was measured."""
    series = {
        result.name.replace("`", ""): [step.decoded for step in result.steps]
        for result in race.results.values()
        if result.steps
    }
    return line_chart(
        "Prompt tokens decoded at each turn",
        f"the same {race.turns} turns for every method, masking window 4",
        series,
        across="turn",
    )


def line_chart(title: str, subtitle: str, series: Mapping[str, Sequence[float]], *, across: str) -> str:
    """Lines over places counted from 1, each named at its end. Raises ValueError if there is nothing to draw."""
    length = max((len(values) for values in series.values()), default=0)
    if not length:
        raise ValueError("there is nothing to draw")
    step = _step(max(max(values) for values in series.values()))
    highest = step * -(-max(max(values) for values in series.values()) // step) or step
    groups = _grouped(series, highest * ALIKE)

    def x(place: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (place / max(1, length - 1))

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / highest

    parts = [f'<text class="title" x="{LEFT}" y="30">{escape(title)}</text>']
    parts.append(f'<text class="quiet" x="{LEFT}" y="52">{escape(subtitle)}</text>')
    for tick in range(int(highest // step) + 1):
        at = y(tick * step)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="quiet" x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{tick * step:,.0f}</text>')
    every = max(1, round(length / 10))
    for place in [0, *range(every - 1 if every > 1 else 1, length, every)]:
        parts.append(
            f'<text class="quiet" x="{x(place):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{place + 1}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="quiet" x="{middle:.0f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>')
    for number, (names, values) in enumerate(groups):
        points = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in enumerate(values))
        dash = f' stroke-dasharray="{DASHES[number % len(DASHES)]}"' if number % len(DASHES) else ""
        parts.append(
            f'<polyline class="line" stroke="{_colour(number)}" points="{points}"{dash}>'
            f"<title>{escape(', '.join(names))}</title></polyline>"
        )
    parts += _labels([(names, x(len(values) - 1), y(values[-1])) for names, values in groups])
    body = "\n  ".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">\n'
        f"<style>{_variables()}{_STYLE}</style>\n"
        f'  <rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="var(--ground)"/>\n  {body}\n</svg>\n'
    )


def _labels(ends: Sequence[tuple[Sequence[str], float, float]]) -> list[str]:
    """Names beside the ends of their lines, moved apart as far as they would overlap."""
    parts = []
    left = WIDTH - RIGHT + 34
    heights = {number: LINE * len(names) + 8 for number, (names, _, _) in enumerate(ends)}
    tops: dict[int, float] = {}
    free = float(TOP - 20)
    for number in sorted(heights, key=lambda number: ends[number][2]):
        tops[number] = max(free, ends[number][2] - heights[number] / 2)
        free = tops[number] + heights[number]
    excess = free - (HEIGHT - 16)
    for number in sorted(heights, key=lambda number: -tops[number]):  # pushed back up from the bottom where need be
        if excess <= 0:
            break
        below = min((tops[other] for other in tops if tops[other] > tops[number]), default=float(HEIGHT - 16))
        tops[number] = min(tops[number], below - heights[number])
    for number, (names, x, y) in enumerate(ends):
        middle = tops[number] + heights[number] / 2
        colour = _colour(number)
        parts.append(
            f'<polyline class="leader" stroke="{colour}" points="{x + 4:.1f},{y:.1f} {left - 12:.1f},{middle:.1f} {left - 4:.1f},{middle:.1f}"/>'
        )
        for line, name in enumerate(names):
            at = tops[number] + 4 + LINE * (line + 0.75)
            parts.append(f'<text x="{left}" y="{at:.1f}" style="fill:{colour}">{escape(name)}</text>')
    return parts


def _grouped(series: Mapping[str, Sequence[float]], apart: float) -> list[tuple[list[str], Sequence[float]]]:
    """Series that can hardly be told apart, together under the first one's values."""
    groups: list[tuple[list[str], Sequence[float]]] = []
    for name, values in series.items():
        for names, first in groups:
            if len(first) == len(values) and all(abs(a - b) <= apart for a, b in zip(first, values, strict=True)):
                names.append(name)
                break
        else:
            groups.append(([name], values))
    return groups


def _step(highest: float) -> float:
    """A round distance between grid lines that gives four to eight of them."""
    step = 1.0
    while True:
        for factor in (1.0, 2.0, 2.5, 5.0):
            if highest / (step * factor) <= 8:
                return step * factor
        step *= 10


def _colour(number: int) -> str:
    return f"var(--line{number % len(COLOURS)})"


def _variables() -> str:
    def declared(ground: str, ink: str, quiet: str, grid: str, which: int) -> str:
        lines = "".join(f" --line{number}: {pair[which]};" for number, pair in enumerate(COLOURS))
        return f":root {{ --ground: {ground}; --ink: {ink}; --quiet: {quiet}; --grid: {grid};{lines} }}"

    light = declared("#ffffff", "#1c1917", "#57534e", "#e7e5e4", 0)
    dark = declared("#1c1b1a", "#f5f5f4", "#b8b2ac", "#3a3836", 1)
    return f"\n  {light}\n  @media (prefers-color-scheme: dark) {{ {dark} }}"
