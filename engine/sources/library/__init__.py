"""Documents on disk, indexed in LanceDB, searched by words and by meaning."""

from engine.sources.library.library import Library

__all__ = ["Library"]
