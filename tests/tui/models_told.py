"""What an engine tells of models: a starter, a file, a larger one that does not fit, and one that could be fetched."""

from __future__ import annotations

from engine.protocol import ModelRow, ModelsListed, PullProgress

GB = 1 << 30

MODELS = (
    ModelRow(
        "starter",
        "starter",
        "/models/starter.gguf",
        98_000_000,
        in_use=True,
        context=8192,
        trained=8192,
        memory=433_000_000,
        attention="full",
    ),
    ModelRow(
        "own.gguf",
        "file",
        "/data/models/own.gguf",
        4 * GB,
        context=12_288,
        trained=131_072,
        memory=6 * GB,
        note="12,288 tokens of context: no more fits the memory that is free (8.0 GB)",
        attention="window",
    ),
    ModelRow(
        "granite-4.1-3b",
        "catalogue",
        "/data/models/granite-4.1-3b-Q4_K_M.gguf",
        2_099_501_664,
        here=False,
        part=700_000_000,
        context=8192,
        trained=131_072,
        memory=3 * GB,
        licence="Apache-2.0",
        attention="full",
        good_at="calling tools with little memory",
        checked="SHA-256",
        recommended=True,
        why="for 8 GB and more: its cache can be edited after a mask",
    ),
    ModelRow(
        "gpt-oss-20b",
        "catalogue",
        "/data/models/gpt-oss-20b-mxfp4.gguf",
        12_109_566_560,
        here=False,
        context=8192,
        trained=131_072,
        memory=13 * GB,
        fits=False,
        note="needs about 13.0 GB, and 8.0 GB are free",
        licence="Apache-2.0",
        attention="window",
        good_at="fast for its size",
        checked="its size and its GGUF header only: no checksum is known",
    ),
)
LISTED = ModelsListed(MODELS, 8 * GB, 16 * GB)
PULLING = PullProgress("granite-4.1-3b", "download", 944_775_748, 2_099_501_664, 12_700_000.0, 91.0)
