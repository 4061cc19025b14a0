"""``make bench``: ratios, each measured side by side in this one run."""

from __future__ import annotations

from tests.bench import inspector, lag, startup, whatif

print("Start-up")
startup.measure()
print("\nEvent loop while the starter model answers")
lag.measure()
print("\nThe inspector under load")
inspector.measure()
print("\nA run of 200 turns under other windows, and its report")
whatif.measure()
