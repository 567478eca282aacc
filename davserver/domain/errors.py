"""Every refusal that a client can meet, one class a meaning.

Each class owns its ``code`` (stable, documented in docs/errors.md), its HTTP ``status`` and, where RFC 4918 section 16
or RFC 4331 names one, its DAV ``condition``. A door renders them; nobody else picks a status. A status that depends on
context is two classes (`NotFound`, `ParentMissing`).
"""

from typing import ClassVar


class DavserverError(Exception):
    """Base of all errors that have a meaning for the caller. `detail` is shown to the client: no secrets in it."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    condition: ClassVar[str | None] = None
    """Local name of the DAV: precondition element for the error body, or None."""
    retry_after: int | None = None
    """Seconds for a Retry-After header, or None."""
    summary: ClassVar[str] = "Something went wrong."

    def __init__(self, detail: str = "", *, hrefs: tuple[str, ...] = ()) -> None:
        super().__init__(detail or self.summary)
        self.detail = detail or self.summary
        self.hrefs = hrefs
        """Paths (percent-encoded, below the share) that the condition is about, such as the root of a lock."""


class BadRequest(DavserverError):
    """The request cannot be understood."""

    code, status, summary = "bad_request", 400, "The request is malformed."


class InvalidName(BadRequest):
    """A name that is not UTF-8, or holds a slash, a NUL, a control character or a non-character."""

    code, summary = "invalid_name", "The name holds characters that cannot be stored."


class InvalidJson(BadRequest):
    """The body is not JSON."""

    code, summary = "invalid_json", "The body is not JSON."


class InvalidXml(BadRequest):
    """The XML body is not well-formed, has a DOCTYPE, or is not what the method wants."""

    code, summary = "invalid_xml", "The XML body cannot be used."


class IncompleteBody(BadRequest):
    """Fewer (or more) bytes arrived than were announced; nothing was changed."""

    code, summary = "incomplete_body", "The body ended early; nothing was changed."


class ChecksumMismatch(BadRequest):
    """What arrived does not have the checksum that the client sent; nothing was changed."""

    code, summary = "checksum_mismatch", "The body does not match its checksum; nothing was changed."


class Unauthenticated(DavserverError):
    """No credentials, or wrong ones."""

    code, status, summary = "unauthenticated", 401, "A user name and a password are needed."


class LinkPasswordNeeded(Unauthenticated):
    """A download link wants its password, or was given another one."""

    code, summary = "link_password", "This link needs its password."


class SecondFactorNeeded(Unauthenticated):
    """The password is right, and the account has a second factor."""

    code, summary = "second_factor_needed", "A code of the second factor is needed too."


class Forbidden(DavserverError):
    """Known who asks, and the answer is no."""

    code, status, summary = "forbidden", 403, "This is not allowed."


class OutsidePrefix(Forbidden):
    """A device token that is limited to a collection was used elsewhere."""

    code, summary = "outside_prefix", "This token opens another collection only."


class RegistrationClosed(Forbidden):
    """Nobody can register here, or only who was invited."""

    code, summary = "registration_closed", "Accounts are made by an administrator here."


class MailNotSet(Forbidden):
    """Something that needs mail, and no mail server is set."""

    code, summary = "mail_not_set", "This server sends no mail; ask an administrator for a reset token."


class ReadOnlyToken(Forbidden):
    """A device token that is for reading was used for a change."""

    code, summary = "read_only_token", "This token is for reading only."


class NameTooLong(Forbidden):
    """A name over 255 bytes of UTF-8."""

    code, summary = "name_too_long", "The name is longer than 255 bytes."


class PathTooDeep(Forbidden):
    """More levels than the server's limit."""

    code, summary = "path_too_deep", "The path has too many levels."


class SameResource(Forbidden):
    """COPY or MOVE onto itself (RFC 4918 section 9.8.5)."""

    code, summary = "same_resource", "Source and destination are the same resource."


class DestinationInsideSource(Forbidden):
    """COPY or MOVE of a collection into itself."""

    code, summary = "destination_inside_source", "A collection cannot be put inside itself."


class DestinationHoldsSource(Forbidden):
    """COPY or MOVE onto an ancestor of the source, which would destroy the source."""

    code, summary = "destination_holds_source", "The destination holds the source and cannot be replaced by it."


class FiniteDepthRequired(Forbidden):
    """Depth: infinity is not served here (RFC 4918 section 9.1)."""

    code, condition = "finite_depth_required", "propfind-finite-depth"
    summary = "This listing is not served with Depth: infinity."


class ProtectedProperty(Forbidden):
    """A live property that the server computes (RFC 4918 section 9.2.1)."""

    code, condition = "protected_property", "cannot-modify-protected-property"
    summary = "The property is set by the server."


class Infected(Forbidden):
    """A virus was found in the content; it is not given out, nor copied."""

    code, summary = "infected", "A virus was found in this file: its content is not given out. It can be deleted."


class NotScanned(Forbidden):
    """The content could not be scanned for viruses, and is held for that."""

    code, summary = "not_scanned", "This file could not be scanned for viruses, and is held back."


class ArchiveTooLarge(Forbidden):
    """More files and collections than go into one archive."""

    code, summary = "archive_too_large", "There is too much in this folder for one archive; take parts of it."


class NotFound(DavserverError):
    """Nothing at this URL, or nothing that the principal may know of."""

    code, status, summary = "not_found", 404, "There is nothing here."


class LinkOver(NotFound):
    """A download link that never was, is over, or whose file is gone: which of these is not told."""

    code, summary = "link_over", "There is nothing here: the link may have ended, been used up or been taken back."


class NoPreview(NotFound):
    """Nothing that a preview could be made of."""

    code, summary = "no_preview", "There is no preview of this."


class MethodNotAllowed(DavserverError):
    """The method makes no sense on this resource."""

    code, status, summary = "method_not_allowed", 405, "The method is not allowed here."


class AlreadyExists(MethodNotAllowed):
    """MKCOL on a mapped URL (RFC 4918 section 9.3.1)."""

    code, condition, summary = "already_exists", "resource-must-be-null", "Something of that name exists."


class IsCollection(MethodNotAllowed):
    """PUT on a collection."""

    code, summary = "is_collection", "This is a collection, it has no content to replace."


class Conflict(DavserverError):
    """The state of the tree does not allow it."""

    code, status, summary = "conflict", 409, "The request conflicts with what is there."


class ParentMissing(Conflict):
    """The parent collection does not exist (RFC 4918 sections 9.3.1, 9.7.1, 9.8.5)."""

    code, summary = "parent_missing", "The parent collection does not exist."


class LockTokenMismatch(Conflict):
    """UNLOCK with a token that does not lock this URL (RFC 4918 section 9.11.1)."""

    code, condition = "lock_token_mismatch", "lock-token-matches-request-uri"
    summary = "The lock token does not belong to this resource."


class PreconditionFailed(DavserverError):
    """If, If-Match, If-None-Match, If-Unmodified-Since or Overwrite: F did not hold."""

    code, status, summary = "precondition_failed", 412, "A condition of the request does not hold."


class BodyTooLarge(DavserverError):
    """A body over a limit of the server."""

    code, status, summary = "body_too_large", 413, "The body is larger than the server takes here."


class UnsupportedMediaType(DavserverError):
    """A body where none is understood (MKCOL), or of a type that is not."""

    code, status, summary = "unsupported_media_type", 415, "A body of this type is not understood here."


class InvalidInput(DavserverError):
    """JSON, a query or a path whose values do not fit. `fields`: where, and what is wrong there; no values."""

    code, status, summary = "invalid_input", 422, "The input does not fit: see errors."

    def __init__(
        self, detail: str = "", *, fields: tuple[tuple[str, str], ...] = (), hrefs: tuple[str, ...] = ()
    ) -> None:
        super().__init__(detail, hrefs=hrefs)
        self.fields = fields


class RangeNotSatisfiable(DavserverError):
    """No byte of the requested ranges exists (RFC 9110 section 15.5.17)."""

    code, status, summary = "range_not_satisfiable", 416, "The range lies outside the file."


class UnprocessableProperty(DavserverError):
    """A value that the property cannot take."""

    code, status, summary = "unprocessable_property", 409, "The value does not fit the property."


class Locked(DavserverError):
    """A lock stands in the way and its token was not submitted (RFC 4918 section 11.3)."""

    code, status, condition = "locked", 423, "lock-token-submitted"
    summary = "The resource is locked; the lock's token is needed."


class LockConflict(Locked):
    """The wanted lock conflicts with one that is held (RFC 4918 section 9.10.6)."""

    code, condition, summary = "lock_conflict", "no-conflicting-lock", "Somebody holds a lock already."


class TooManyRequests(DavserverError):
    """Tried too often (RFC 6585 section 4); allowed again after `retry_after` seconds."""

    code, status, summary = "too_many_requests", 429, "This was tried too often; wait a little."
    retry_after = 60

    def __init__(self, retry_after: int = 60, *, hrefs: tuple[str, ...] = ()) -> None:
        super().__init__(f"This was tried too often; try again in {retry_after} s.", hrefs=hrefs)
        self.retry_after = retry_after


class HeadersTooLarge(DavserverError):
    """Too many or too long header fields (RFC 6585 section 5)."""

    code, status, summary = "headers_too_large", 431, "The header fields are too large."


class NotImplementedHere(DavserverError):
    """A feature of HTTP that is refused rather than half done (PUT with Content-Encoding, or with Content-Range)."""

    code, status, summary = "not_implemented", 501, "This is not implemented."


class DestinationElsewhere(DavserverError):
    """COPY or MOVE to a URL outside the share (RFC 4918 section 9.8.5)."""

    code, status, summary = "destination_elsewhere", 502, "The destination lies outside this share."


class ContentDamaged(DavserverError):
    """The store gave back bytes that were cut, swapped or altered."""

    code, status, summary = "content_damaged", 502, "The stored content is damaged; the server's log says more."


class BlobMissing(ContentDamaged):
    """The store has no blob of that id."""

    code, summary = "blob_missing", "The stored content is missing; the server's log says more."


class Unavailable(DavserverError):
    """Something that the server needs is away: try again."""

    code, status, retry_after = "unavailable", 503, 10
    summary = "The server cannot do this at the moment; try again."


class StoreUnavailable(Unavailable):
    """The blob store does not answer, or answers with an error."""

    code, summary = "store_unavailable", "The content store does not answer; try again."


class DatabaseUnavailable(Unavailable):
    """The database does not answer, or a time-out was reached."""

    code, summary = "database_unavailable", "The database does not answer; try again."


class KeyUnknown(Unavailable):
    """The content is sealed under a key that this server's key ring lacks."""

    code, summary = "key_unknown", "The server lacks the key of this file at the moment; its log says more."


class ScanPending(Unavailable):
    """The content is held until it has been scanned for viruses."""

    code, summary = "scan_pending", "This file is held back until it has been scanned for viruses; try again."


class ScannerUnavailable(Unavailable):
    """The virus scanner does not answer."""

    code, summary = "scanner_unavailable", "The virus scanner does not answer; try again."


class MailUnavailable(Unavailable):
    """The mail server does not answer, or wants to be asked again."""

    code, summary = "mail_unavailable", "The mail server does not take mail; try again."


class QuotaExceeded(DavserverError):
    """The user's quota would be exceeded (RFC 4331 section 6)."""

    code, status, condition = "quota_exceeded", 507, "quota-not-exceeded"
    summary = "The quota would be exceeded."


class StoreFull(DavserverError):
    """The disk or the bucket is full (RFC 4331 section 6)."""

    code, status, condition, summary = "store_full", 507, "sufficient-disk-space", "The content store is full."


class ConfigError(Exception):
    """A setting that is unknown or cannot be used; its text names the setting and says what to do."""


class KeyRingError(ConfigError):
    """The key ring has no usable current key, or lacks the key that a blob was sealed under."""


class UnknownKey(KeyRingError):
    """The key ring lacks the key that is named."""
