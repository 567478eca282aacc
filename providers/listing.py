"""The page that a browser gets for a collection: plain, readable, without scripts."""

from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html import escape
from typing import Final

from davserver.domain.clock import Micros
from davserver.domain.paths import ResourcePath, quote_name
from davserver.domain.resource import Resource
from davserver.services.listing import Entry
from providers.answer import Headers

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #767676; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.25rem; font-weight: 600; overflow-wrap: anywhere; }
a { text-decoration: none; } a:hover, a:focus { text-decoration: underline; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-weight: 600; color: var(--soft); }
th, td { padding: .35rem .5rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td:first-child { overflow-wrap: anywhere; } .collection { font-weight: 600; }
.size, .time { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; } td.time { color: var(--soft); }
p { color: var(--soft); }
@media (max-width: 36rem) { .time { display: none; } }
"""
_STYLE_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()

LISTING_HEADERS: Final[Headers] = [
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
]
"""What allows the page its one style sheet and nothing else."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = ("kB", "MB", "GB", "TB", "PB", "EB")
_PIECE: Final = 32 * 1024
"""Characters of HTML that are handed to the server at once."""

Row = tuple[bool, str, str, int, Micros]
"""Whether it is a file, what it is sorted by, name, size in bytes, time: what is kept of a member until it is written."""


def render_listing(base: str, path: ResourcePath, entries: Iterable[Entry]) -> Iterator[bytes]:
    """The page as a stream of UTF-8: collections first, then files, each by name. `entries` begin with the collection itself.

    `base` is the share's path, encoded, without a slash at its end.
    """
    rows = sorted(_row(entry.resource) for entry in entries if entry.names)
    piece: list[str] = [_head(base, path)]
    size = len(piece[0])
    own = base + path.encoded + "/"
    for row in rows:
        line = _line(own, row)
        piece.append(line)
        size += len(line)
        if size >= _PIECE:
            yield "".join(piece).encode()
            piece, size = [], 0
    piece.append(_foot(rows))
    yield "".join(piece).encode()


def human_size(size: int) -> str:
    """A size for people, in decimal units of three significant digits: ``999 B``, ``1.25 kB``, ``64.0 MB``."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in _UNITS:
        value /= 1000
        if value < 999.5 or unit == _UNITS[-1]:
            break
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


def _row(resource: Resource) -> Row:
    size = resource.revision.size if resource.revision is not None else 0
    return not resource.is_collection, resource.name.casefold(), resource.name, size, resource.modified_at


def _head(base: str, path: ResourcePath) -> str:
    title = escape(path.name or "Files")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body><h1>{_breadcrumbs(base, path)}</h1>\n"
        '<table><thead><tr><th>Name</th><th class="size">Size</th><th class="time">Changed (UTC)</th></tr></thead><tbody>\n'
    )


def _breadcrumbs(base: str, path: ResourcePath) -> str:
    href = base + "/"
    links = [f'<a href="{escape(href)}">Files</a>']
    for name in path.names:
        href += quote_name(name) + "/"
        links.append(f'<a href="{escape(href)}"><bdi>{escape(name)}</bdi></a>')
    return " / ".join(links)


def _line(own: str, row: Row) -> str:
    is_file, _, name, size, modified_at = row
    slash = "" if is_file else "/"
    kind = "file" if is_file else "collection"
    # <bdi> keeps right-to-left characters of a name from turning round what stands beside it.
    link = f'<a class="{kind}" href="{escape(own + quote_name(name))}{slash}"><bdi>{escape(name)}</bdi>{slash}</a>'
    shown = f'<td class="size" title="{size} bytes">{human_size(size)}</td>' if is_file else '<td class="size"></td>'
    return f'<tr><td>{link}</td>{shown}<td class="time">{_time(modified_at)}</td></tr>\n'


def _time(at: Micros) -> str:
    return (_EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%d %H:%M")


def _foot(rows: list[Row]) -> str:
    files = sum(row[0] for row in rows)
    total = human_size(sum(row[3] for row in rows))
    summary = (
        f"{_count(len(rows) - files, 'folder')}, {_count(files, 'file')} ({total})" if rows else "Nothing here yet."
    )
    return f"</tbody></table>\n<p>{summary}</p></body></html>\n"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
