"""The guide of this very program, which is also the library to try it on."""

from __future__ import annotations

from pathlib import Path

GUIDE = Path(__file__).parent.parent / "docs"
"""The demo library: the guide of this very program."""

EXAMPLES = (
    "What happens to errors when old observations are masked?",
    "What is the size limit for a file in the library?",
    "In which file are sessions stored?",
)
"""Questions the guide answers, to pick from and for the demo without a terminal."""
