"""Every error localsearch raises on purpose, as one tree.

    LocalSearchError                 anything below; str(error) is one plain line, .hint says what to do next
    ├── UsageError                   the call itself is wrong                      exit 2   400
    │   ├── QueryError               an empty, too long or unusable query
    │   ├── FilterError              a filter expression that has no meaning
    │   ├── PartError                lines or pages that mean nothing, or that a document has not
    │   └── SettingsError            a setting that does not parse
    ├── NotFoundError                no such document, version, job or model       exit 1   404
    ├── ConflictError                the state does not allow it                   exit 1   409
    ├── LockedError                  another process holds the index               exit 3   409
    ├── ReadOnlyError                the index cannot be written                   exit 1   409
    ├── UnavailableError             not now; try again later                      exit 1   503
    │   └── VectorsUnavailableError  an engine of vectors is away, or has a part
    ├── CancelledError               stopped on request                            exit 1   409
    ├── StorageError                 disk full, I/O error, damaged database        exit 1   507
    │   ├── DiskFullError
    │   ├── DamagedError             a file that fails its check
    │   └── FormatError              written by a newer release
    ├── ModelError                   an embedding or re-ranking model              exit 1   409
    │   ├── ModelMissingError        not in the model folder
    │   ├── ModelDamagedError        a file does not match its SHA-256
    │   ├── ModelFormatError         a folder that is no usable model
    │   └── ModelFetchError          a download that failed
    │       └── OfflineError         a download was needed while offline
    ├── ExtractionError              a file whose text could not be read           exit 1   422
    └── RootUnreadable               a folder to index is missing or not mounted   exit 1   409

Exit codes and HTTP statuses are mapped at the edge, in cli.py and server/, from the attributes below.
"""

from __future__ import annotations


class LocalSearchError(Exception):
    """Base of all deliberate errors: one line for the message, one for what to do next."""

    code = "error"
    status = 500
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", **data: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data = data


class UsageError(LocalSearchError):
    code = "bad_request"
    status = 400
    exit_code = 2


class QueryError(UsageError):
    code = "bad_query"


class FilterError(UsageError):
    code = "bad_filter"


class PartError(UsageError):
    code = "bad_part"


class SettingsError(UsageError):
    code = "bad_settings"


class NotFoundError(LocalSearchError):
    code = "not_found"
    status = 404


class ConflictError(LocalSearchError):
    code = "conflict"
    status = 409


class LockedError(LocalSearchError):
    """Another process holds the index; data carries its `pid` and, when it serves, its `url`."""

    code = "locked"
    status = 409
    exit_code = 3


class ReadOnlyError(LocalSearchError):
    code = "read_only"
    status = 409


class UnavailableError(LocalSearchError):
    """Not now; data may carry `retry_after` in seconds."""

    code = "unavailable"
    status = 503


class VectorsUnavailableError(UnavailableError):
    code = "vectors_unavailable"


class CancelledError(LocalSearchError):
    code = "cancelled"
    status = 409


class StorageError(LocalSearchError):
    code = "storage"
    status = 507


class DiskFullError(StorageError):
    code = "disk_full"


class DamagedError(StorageError):
    code = "damaged"
    status = 500


class FormatError(StorageError):
    code = "newer_format"
    status = 500


class ModelError(LocalSearchError):
    code = "model"
    status = 409


class ModelMissingError(ModelError):
    code = "model_missing"


class ModelDamagedError(ModelError):
    code = "model_damaged"


class ModelFormatError(ModelError):
    code = "model_format"


class ModelFetchError(ModelError):
    code = "model_fetch"


class OfflineError(ModelFetchError):
    code = "offline"


class ExtractionError(LocalSearchError):
    """A file that could not be read; data carries `rule`, a stable word for the kind of reason."""

    code = "extraction"
    status = 422


class RootUnreadable(LocalSearchError):
    """A root that is missing, unreadable or not mounted: what was indexed from it stays. Data carries its `path`."""

    code = "root_unreadable"
    status = 409


def no_text(error: UnicodeEncodeError) -> UsageError:
    """What to say of a value that holds lone surrogates, which nothing can store or compare."""
    shown = repr(error.object)
    return UsageError(
        f"{shown[:100]}{'…' * (len(shown) > 100)} holds characters that are no text.",
        hint="Give it in valid Unicode.",
    )
