"""The agent as a library: ask a question, get events. Light to import; prints nothing."""

__version__ = "0.1.0"
