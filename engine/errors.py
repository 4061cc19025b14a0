"""Every error the engine raises on purpose, as one tree.

::

    DeepSearchError
    ├── SettingsError             a setting is unknown or has a bad value
    ├── ProtocolError             a line on the pipe is not a command or event
    ├── FilterError               a filter of a search cannot be understood
    ├── SourceError               a source could not do what was asked; the agent reads it as an observation
    │   ├── NotFound              no such page, link or document
    │   └── Refused               a rule or the user forbids it; nothing was sent
    ├── NetworkForbidden          something reached for the network while it must not
    ├── LibraryError              the index on disk
    │   ├── LibraryCorrupt        it cannot be read; rebuilding it from the files helps
    │   ├── LibraryLocked         another process is writing to it
    │   ├── EmbedderMissing       no embedding model is installed
    │   └── RerankerFailed        the reranker cannot be loaded, or gives no scores
    ├── ModelError
    │   ├── ModelMissing          no model file where one was expected
    │   ├── ModelLoadFailed       llama.cpp refused the file
    │   ├── ModelTooLarge         it needs more memory than is free
    │   ├── DownloadFailed        a model file could not be fetched; what came of it is kept
    │   ├── ContextOverflow       what must be read does not fit the context
    │   ├── EndpointError         the server that the model is at: out of reach, refusing, or not understood
    │   └── GenerationFailed      decoding failed
    └── SessionError
        ├── SessionMissing        no session has this name
        └── JournalCorrupt        the journal cannot be read; it is moved aside, never deleted

``str(error)`` says what happened, ``error.hint`` what to do about it.
"""

from __future__ import annotations


class DeepSearchError(Exception):
    """Base of all errors a user may see. ``hint`` says what to do, and may be empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class SettingsError(DeepSearchError):
    """A setting is unknown or has a value that cannot be used."""


class ProtocolError(DeepSearchError):
    """A line on the pipe is not a known command, or not JSON at all."""


class FilterError(DeepSearchError):
    """A filter of a search cannot be understood, or nothing could ever pass it."""


class SourceError(DeepSearchError):
    """A source could not do what was asked. The agent reads the message and hint as an observation."""


class NotFound(SourceError):
    """No such page, link or document."""


class Refused(SourceError):
    """A rule, or the user, does not allow this request. Nothing was sent to the place it was meant for."""


class NetworkForbidden(DeepSearchError):
    """Something in this process reached for the network while it is not allowed to. Nothing was sent."""


class LibraryError(DeepSearchError):
    """The index on disk could not be used."""


class LibraryCorrupt(LibraryError):
    """The index cannot be read. It can be rebuilt from the files."""


class LibraryLocked(LibraryError):
    """Another process is writing to this library."""


class EmbedderMissing(LibraryError):
    """No embedding model is installed."""


class RerankerFailed(LibraryError):
    """The reranker cannot be loaded, or gives no scores. Lists stay as they were fused."""


class ModelError(DeepSearchError):
    """The language model could not be used."""


class ModelMissing(ModelError):
    """There is no model file where one was expected."""


class ModelLoadFailed(ModelError):
    """llama.cpp refused to load the file or to make a context for it."""


class ModelTooLarge(ModelError):
    """The model needs more memory than is free. Nothing was loaded."""


class DownloadFailed(ModelError):
    """A model file could not be fetched. What came of it is kept, unless it was found to be wrong."""


class ContextOverflow(ModelError):
    """What the model must read does not fit its context, even with everything masked that may be."""


class EndpointError(ModelError):
    """The server that the model is at is out of reach, refuses, or says what cannot be understood.

    ``status`` is HTTP's, 0 where no whole answer came. Finished turns are kept: the run can go on later.
    """

    def __init__(self, message: str, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint)
        self.status = status


class GenerationFailed(ModelError):
    """Decoding failed. The cache has been rebuilt or cleared; the next call starts clean."""


class SessionError(DeepSearchError):
    """A session could not be listed, opened or written."""


class SessionMissing(SessionError):
    """No session has this id."""


class JournalCorrupt(SessionError):
    """The journal file cannot be read. It is moved aside, never deleted."""
