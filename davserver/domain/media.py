"""Media types: which one a file has, and what a browser may do with it."""

import re
from collections.abc import Callable
from mimetypes import MimeTypes
from typing import Final

from davserver.domain.resource import Resource

UNKNOWN: Final = "application/octet-stream"

_MAX_CHARS: Final = 200
_PARAMETER: Final = r"[ \t]*;[ \t]*(?:[\w!#$%&'*+.^`|~-]+=(?:[\w!#$%&'*+.^`|~-]+|\"[ !#-\[\]-~]*\"))?"
_MEDIA_TYPE: Final = re.compile(rf"[\w!#$&^.+-]+/[\w!#$&^.+-]+(?:{_PARAMETER})*", re.ASCII)
_FORM: Final = "application/x-www-form-urlencoded"
"""What curl and python-requests say of any body when nobody told them: it says nothing about a file."""

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_MORE: Final = {
    ".7z": "application/x-7z-compressed",
    ".apk": "application/vnd.android.package-archive",
    ".bz2": "application/x-bzip2",
    ".docm": "application/vnd.ms-word.document.macroEnabled.12",
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".dotx": f"{_OFFICE}.wordprocessingml.template",
    ".epub": "application/epub+zip",
    ".flac": "audio/flac",
    ".gz": "application/gzip",
    ".ics": "text/calendar",
    ".jpg": "image/jpeg",
    ".key": "application/vnd.apple.keynote",
    ".log": "text/plain",
    ".m4a": "audio/mp4",
    ".m4v": "video/mp4",
    ".md": "text/markdown",
    ".mkv": "video/x-matroska",
    ".numbers": "application/vnd.apple.numbers",
    ".odg": "application/vnd.oasis.opendocument.graphics",
    ".odp": "application/vnd.oasis.opendocument.presentation",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".otf": "font/otf",
    ".pages": "application/vnd.apple.pages",
    ".pptm": "application/vnd.ms-powerpoint.presentation.macroEnabled.12",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".rar": "application/vnd.rar",
    ".rtf": "application/rtf",
    ".tgz": "application/gzip",
    ".ttf": "font/ttf",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xlsm": "application/vnd.ms-excel.sheet.macroEnabled.12",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zst": "application/zstd",
}
# An instance knows what Python ships, not the machine's /etc/mime.types: every server answers alike.
_TABLE: Final = MimeTypes().types_map[True] | _MORE

_SHOWN_BY_BROWSERS: Final = frozenset(
    {"application/pdf", "image/avif", "image/bmp", "image/gif", "image/jpeg", "image/png", "image/webp", "text/plain"}
    | {"image/vnd.microsoft.icon", "image/x-icon"}
)
_PDF: Final = "application/pdf"
_ISOLATED: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; media-src 'self'"


def type_of_name(name: str) -> str:
    """The media type that the extension of a name stands for."""
    dot = name.rfind(".")
    return _TABLE.get(name[dot:].lower(), UNKNOWN) if dot > 0 else UNKNOWN


def extensions(fits: Callable[[str], bool]) -> tuple[str, ...]:
    """The extensions, each with its dot, that stand for a type that fits."""
    return tuple(extension for extension, content_type in _TABLE.items() if fits(content_type))


def type_to_store(content_type: str | None, name: str) -> str:
    """The type of a file that is being put: what the client says, unless that says nothing or is none."""
    given = (content_type or "").strip()
    if len(given) > _MAX_CHARS or not _MEDIA_TYPE.fullmatch(given) or essence_of(given) == _FORM:
        return type_of_name(name)
    return given


def type_to_show(resource: Resource) -> str:
    """The type of a file: as stored, or by its present name when nothing was known (it was put as ``x.part``, say)."""
    stored = resource.revision.content_type if resource.revision is not None else UNKNOWN
    return type_of_name(resource.name) if not stored or stored == UNKNOWN else stored


def essence_of(content_type: str) -> str:
    """A media type without its parameters, in lower case."""
    return content_type.split(";", 1)[0].strip().lower()


def browser_headers(content_type: str) -> list[tuple[str, str]]:
    """What keeps an uploaded file from acting as a page of this site when it is opened in a browser.

    Pictures, sound, films, plain text and PDF are shown; everything else, above all HTML and SVG, is saved. Nothing is
    guessed from the content, and what is shown has no origin and loads nothing. A PDF goes without the sandbox, in which
    browsers refuse to show it; they confine it themselves. Other clients look at none of this.
    """
    essence = essence_of(content_type)
    headers = [("X-Content-Type-Options", "nosniff")]
    if essence not in _SHOWN_BY_BROWSERS and not essence.startswith(("audio/", "video/")):
        headers.append(("Content-Disposition", "attachment"))
    if essence != _PDF:
        headers.append(
            (
                "Content-Security-Policy",
                "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; media-src 'self'",
            )
        )
    return headers
