"""``make bench``: ratios, each measured side by side in this one run."""

from __future__ import annotations

from tests.bench import lag, startup

print("Start-up")
startup.measure()
print("\nEvent loop while the starter model answers")
lag.measure()
