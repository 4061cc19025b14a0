"""Numbers and bars as a person reads them."""

from __future__ import annotations

_EIGHTHS = " ▏▎▍▌▋▊▉"


def count(tokens: int) -> str:
    """A number of tokens in at most five cells: 18, 980, 1.9k, 14k, 1.2M."""
    if tokens < 1000:
        return str(tokens)
    if tokens < 9950:
        return f"{tokens / 1000:.1f}k"
    if tokens < 999_500:
        return f"{tokens / 1000:.0f}k"
    return f"{tokens / 1_000_000:.1f}M"


def solid(amount: float, whole: float, width: int) -> str:
    """A bar of at most ``width`` cells for ``amount`` of ``whole``; never empty for something."""
    if amount <= 0 or whole <= 0 or width <= 0:
        return ""
    eighths = max(1, min(width * 8, round(amount / whole * width * 8)))
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")


def hollow(amount: float, whole: float, width: int) -> str:
    """The same length drawn as something that is not there any more."""
    if amount <= 0 or whole <= 0 or width <= 0:
        return ""
    return "░" * max(1, min(width, round(amount / whole * width)))


def meter(used: int, limit: int, width: int) -> str:
    """How full something is, in exactly ``width`` cells."""
    bar = solid(used, limit, width)
    return bar + "·" * (width - len(bar))


def duration(seconds: float) -> str:
    """3.2s, 48s, 2m14s, 1h05m."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
