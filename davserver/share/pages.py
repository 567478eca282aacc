"""The pages of a link: plain, readable, without scripts."""

from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html import escape
from typing import Final

from davserver.domain.clock import Micros
from davserver.domain.paths import ResourcePath, quote_name
from davserver.domain.resource import Resource

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 45rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.25rem; overflow-wrap: anywhere } li { border-bottom: 1px solid var(--line); padding: .3rem 0 }
ul { list-style: none; padding: 0 } li span { float: right; opacity: .7 }
a.button, button { font: inherit; padding: .4rem 1rem; border: 1px solid var(--line); border-radius: .3rem }
input { font: inherit; padding: .35rem; margin: 0 .5rem }
"""
_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()
HEADERS: Final = [
    ("Content-Type", "text/html; charset=utf-8"),
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    # The address is the secret: no other site is told of it, no cache keeps what it shows, no search engine lists it.
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
    ("X-Robots-Tag", "noindex, nofollow"),
]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def page(title: str, inside: str) -> bytes:
    """A whole page; `inside` is HTML, `title` is not."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><h1><bdi>{escape(title)}</bdi></h1>\n"
        f"{inside}\n</body></html>\n"
    ).encode("utf-8", "replace")


def file_page(base: str, resource: Resource, until: Micros | None, *, is_shown: bool) -> bytes:
    """What is shown of a link to a file."""
    size = 0 if resource.revision is None else resource.revision.size
    view = f' <a class="button" href="{base}/view">Open</a>' if is_shown else ""
    inside = f'<p>{human_size(size)}</p><p><a class="button" href="{base}/download">Download</a>{view}</p>'
    return page(resource.name, inside + _end(until))


def folder_page(base: str, name: str, below: ResourcePath, members: Iterable[Resource], until: Micros | None) -> bytes:
    """What is shown of a folder: the link's own, or one below it."""
    here = f"{base}/files{below.encoded}/"
    lines = [
        f'<li><a href="{escape(here + quote_name(m.name))}{"/" * m.is_collection}"><bdi>{escape(m.name)}</bdi>'
        f"{'/' * m.is_collection}</a>{_size(m)}</li>"
        for m in sorted(members, key=lambda m: (not m.is_collection, m.name.casefold()))
    ]
    up = f'<p><a href="{escape(base + "/files" + below.parent.encoded)}/">Up</a></p>' if below.names else ""
    whole = f'<p><a class="button" href="{base}/download">Download all as ZIP</a></p>'
    listed = "<ul>\n" + "\n".join(lines) + "\n</ul>" if lines else "<p>Nothing here yet.</p>"
    return page(below.name or name or "Files", whole + up + listed + _end(until))


def password_page(base: str, *, was_wrong: bool) -> bytes:
    """What asks for the password."""
    wrong = "<p>That was not the password.</p>" if was_wrong else ""
    inside = (
        f'{wrong}<form method="post" action="{base}"><label>Password<input type="password" name="password" required'
        ' autofocus autocomplete="off"></label><button>Go on</button></form>'
    )
    return page("This link needs its password", inside)


def error_page(detail: str) -> bytes:
    """What is shown of an error."""
    return page("Sorry", f"<p>{escape(detail)}</p>")


def human_size(size: int) -> str:
    """A size for people, in decimal units."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):  # noqa: B007 - the last one is what is wanted
        if value < 999.5:
            break
        value /= 1000
    return f"{size} B" if unit == "B" else f"{value:.3g} {unit}"


def _size(resource: Resource) -> str:
    return "" if resource.revision is None else f"<span>{human_size(resource.revision.size)}</span>"


def _end(until: Micros | None) -> str:
    if until is None:
        return ""
    return f"<p>This link ends on {_EPOCH + timedelta(microseconds=until):%Y-%m-%d at %H:%M} UTC.</p>"
