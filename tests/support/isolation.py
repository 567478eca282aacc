"""Two users for the test of isolation: what the one has, and whether anything of it came out, or changed.

What is asked for of ada's is named by `OUT`, and `NOT` stands for what does not exist and is as long. `HID` is in contents, names
and notes of hers that nobody asks for: where it turns up, something came out. What a token of hers that is limited to a folder
may see holds `IN`.
"""

import io
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from sqlalchemy import select, update

from davserver.db.rows import Base, DeviceTokenRow, UserRow
from davserver.db.units import Database
from tests.support.davserver import Deployment, User
from tests.support.drive import basic
from tests.support.wire import Answer, Wire

OUT = f"out{secrets.token_hex(4)}"
NOT = f"not{secrets.token_hex(4)}"
IN = f"inn{secrets.token_hex(4)}"
HID = f"hid{secrets.token_hex(4)}"

LOCK = (
    b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope><D:locktype><D:write/></D:locktype>'
    b"<D:owner>%s</D:owner></D:lockinfo>"
)
PATCH = b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><x xmlns="x:">%s</x></D:prop></D:set></D:propertyupdate>'

NOBODYS = {"signing_key", "job", "recurring", "master_key", "key_holder", "hold", "invitation", "link_use"}
"""Tables that hold nothing that is one user's own, or (`link_use`) nothing that the walk does not mean to add."""
PASSING = {"device_token": {"used_at", "used_address"}, "session": {"used_at"}}
"""Columns in which the use of ada's own limited tokens is noted."""
NOTED = {"sign_in_failed", "signed_in"}
"""What ada's log is to say of somebody who tries."""

_CHANGING = (
    (re.compile(rb"urn:uuid:[0-9a-f-]{36}"), b"urn:uuid:U"),
    (re.compile(rb"\d{4}-\d\d-\d\dT[\d:.]+Z"), b"TIME"),
    (re.compile(rb"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} [\d:]{8} GMT"), b"TIME"),
    (
        re.compile(rb'"(access_token|refresh_token|session_id|secret|uri|etag|token|url|verdict)":"(\\.|[^"\\])*"'),
        rb"\1",
    ),
    (re.compile(rb"<D:getetag>[^<]*</D:getetag>"), b"TAG"),
    (re.compile(rb'"(id|expires_in)":\d+'), rb"\1"),
)


@dataclass
class Ada:
    """Somebody with a full drive, and what others could know of it."""

    user: User
    id: int
    access: str = field(repr=False)
    refresh: str = field(repr=False)
    session_id: str
    tokens: dict[str, str] = field(default_factory=dict, repr=False)
    """Device tokens by what they are: laptop, reader, limited, expired, revoked, elsewhere; ended: an access token."""
    token_ids: list[int] = field(default_factory=list)
    entry_ids: list[int] = field(default_factory=list)
    link_ids: list[int] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict, repr=False)
    """Paths of links: to a file with a password, to a folder."""
    lock: str = ""
    """The token of the lock on /OUT-d/deep/OUT-locked.txt."""
    etag: str = ""
    """Of /OUT-d/OUT-file.txt, with its quotes."""

    @property
    def by_password(self) -> dict[str, str]:
        """Basic with the password."""
        return {"Authorization": basic(*self.user.auth)}

    @property
    def by_session(self) -> dict[str, str]:
        """Bearer with the access token."""
        return bearer(self.access)


def bearer(token: str) -> dict[str, str]:
    """The header field."""
    return {"Authorization": f"Bearer {token}"}


def sign_in(wire: Wire, user: User, device: str) -> dict[str, str]:
    """A pair of tokens."""
    given = {"name": user.name, "password": user.password, "device": device}
    found: dict[str, str] = send_json(wire, "POST", "/sessions", given, {})
    return found


def send_json(wire: Wire, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
    """Ask the API for what must work."""
    import json

    sent = {**headers, "Content-Type": "application/json"}
    answer = wire.ask(method, "/api/v1" + path, sent, json.dumps(body).encode() if body is not None else b"")
    assert 200 <= answer.status < 300, (method, path, answer)
    return answer.json if answer.body else None


def furnish(deployment: Deployment, wire: Wire) -> Ada:
    """A new user with one of everything that can be somebody's."""
    user = deployment.add_user(f"{OUT}-ada")
    pair = sign_in(wire, user, f"{HID}-phone")
    me = send_json(wire, "GET", "/me", None, bearer(pair["access_token"]))
    ada = Ada(user, me["id"], pair["access_token"], pair["refresh_token"], pair["session_id"])
    for number in range(30):  # so that ids within her tree are none of another's
        _dav(wire, ada, "PUT", f"/{OUT}-pad", str(number).encode())
    for folder in (f"/{OUT}-d", f"/{OUT}-d/deep", f"/{IN}-open", f"/{OUT}-gone-d"):
        _dav(wire, ada, "MKCOL", folder)
    for place in (
        f"/{OUT}-d/{OUT}-file.txt", f"/{OUT}-d/deep/{OUT}-locked.txt", f"/{OUT}-root.txt", f"/{OUT}-gone.txt",
        f"/{OUT}-gone-d/{OUT}-child.txt", f"/{OUT}-root.txt", f"/{HID}-root.txt", f"/{OUT}-d/{HID}-file.txt", f"/{HID}-gone.txt",
    ):  # fmt: skip
        _dav(wire, ada, "PUT", place, f"{HID} content of {place}".encode())
    _dav(wire, ada, "PUT", f"/{IN}-open/{IN}-file.txt", IN.encode())
    _dav(wire, ada, "PUT", f"/{OUT}-d/{OUT}-pic.png", _picture())
    for gone in (f"/{OUT}-gone.txt", f"/{OUT}-gone-d", f"/{HID}-gone.txt"):
        _dav(wire, ada, "DELETE", gone)
    _dav(wire, ada, "PROPPATCH", f"/{OUT}-d/{OUT}-file.txt", PATCH % HID.encode())
    ada.etag = _dav(wire, ada, "HEAD", f"/{OUT}-d/{OUT}-file.txt").field("etag")
    ada.lock = (
        _dav(wire, ada, "LOCK", f"/{OUT}-d/deep/{OUT}-locked.txt", LOCK % HID.encode()).field("lock-token").strip("<>")
    )
    _wait_for_preview(wire, ada)
    _give_tokens(deployment, wire, ada)
    _give_links(wire, ada)
    ada.entry_ids = [one["id"] for one in send_json(wire, "GET", "/trash?limit=5", None, ada.by_session)["items"]]
    return ada


def _dav(wire: Wire, ada: Ada, method: str, path: str, body: bytes = b"") -> Answer:
    answer = wire.ask(method, "/dav" + path, ada.by_password, body)
    assert 200 <= answer.status < 300, (method, path, answer)
    return answer


def _picture() -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 30, 30)).save(made, "PNG")
    return made.getvalue()


def _wait_for_preview(wire: Wire, ada: Ada) -> None:
    end = time.monotonic() + 60
    while True:
        answer = wire.ask("GET", f"/api/v1/files/preview?path=/{OUT}-d/{OUT}-pic.png", ada.by_session)
        if answer.status != 202:
            break
        assert time.monotonic() < end, "the preview was not made in time"
        time.sleep(0.1)
    assert answer.status == 200, answer


def _give_tokens(deployment: Deployment, wire: Wire, ada: Ada) -> None:
    wanted: dict[str, dict[str, Any]] = {
        "laptop": {}, "reader": {"read_only": True}, "limited": {"prefix": f"/{IN}-open"}, "expired": {}, "revoked": {},
        "elsewhere": {"networks": ["192.0.2.0/24"]},
    }  # fmt: skip
    for kind, limits in wanted.items():
        made = send_json(wire, "POST", "/tokens", {"name": f"{HID}-{kind}", **limits}, ada.by_session)
        ada.tokens[kind] = made["token"]
        if kind == "revoked":
            send_json(wire, "DELETE", f"/tokens/{made['id']}", None, ada.by_session)
        else:
            ada.token_ids.append(made["id"])
    database = database_of(deployment)
    with database.write() as unit:
        here = update(DeviceTokenRow).where(DeviceTokenRow.name == f"{HID}-expired")
        unit.connection.execute(here.values(expires_at=DeviceTokenRow.created_at + 1))
    database.close()
    ended = sign_in(wire, ada.user, f"{HID}-ended")
    send_json(wire, "DELETE", f"/sessions/{ended['session_id']}", None, ada.by_session)
    ada.tokens["ended"] = ended["access_token"]


def _give_links(wire: Wire, ada: Ada) -> None:
    for kind, wish in {
        "file": {"path": f"/{OUT}-root.txt", "password": f"{HID} open sesame"}, "folder": {"path": f"/{IN}-open"},
    }.items():  # fmt: skip
        made = send_json(wire, "POST", "/links", {"name": f"{HID}-{kind}", **wish}, ada.by_session)
        ada.links[kind] = "/s/" + made["url"].rpartition("/s/")[2]
        ada.link_ids.append(made["id"])


def database_of(deployment: Deployment) -> Database:
    """The database of a deployment, to be closed."""
    own = f"sqlite:///{deployment.folder / 'data' / 'davserver.db'}"
    return Database(deployment.settings.get("DATABASE_URL", own))


def all_of(deployment: Deployment, user_id: int) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the database that is this user's, by table, but for what is noted of those who try to come in."""
    database = database_of(deployment)
    found = {}
    with database.read() as connection:
        for table in Base.metadata.sorted_tables:
            whose = owner_of(table)
            if whose is None:
                continue
            columns = [column for column in table.c if column.name not in PASSING.get(table.name, ())]
            query = select(*columns).where(whose == user_id).order_by(*table.primary_key.columns)
            if table.name == "activity":
                query = query.where(table.c.action.not_in(NOTED))
            found[table.name] = [tuple(row) for row in connection.execute(query)]
    database.close()
    return found


def owner_of(table: Any) -> Any:
    """The column of a table that says whose a row is; None: nobody's."""
    if table is UserRow.__table__:
        return table.c.id
    whose = table.c.get("owner_id", table.c.get("user_id"))
    assert whose is not None or table.name in NOBODYS, (
        f"{table.name} has no owner_id or user_id: tell in tests/support/isolation.py whose its rows are"
    )
    return whose


def plain(answer: Answer, target: str = "") -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    """An answer without what differs each time (ids, times), and with one word for `OUT` and `NOT`: to be compared.

    `target` is what was asked for: a number in it, an id, may be said back.
    """
    skipped = {"date", "etag", "last-modified", "lock-token"} | ({"content-length"} if answer.body else set())
    fields = tuple((name, _same(value)) for name, value in answer.fields if name not in skipped)
    body = answer.body
    for asked in re.findall(r"/(\d+)(?=/|$)", target):
        body = re.sub(rb"\b%s\b" % asked.encode(), b"ASKED", body)
    for pattern, stand_in in _CHANGING:
        body = pattern.sub(stand_in, body)
    return answer.status, fields, _same(body.decode("latin-1")).encode("latin-1")


def _same(text: str) -> str:
    return text.replace(OUT, "WORD").replace(NOT, "WORD")


def shows(answer: Answer, word: str) -> bool:
    """Whether a word is anywhere in an answer."""
    head = "\n".join(f"{name}: {value}" for name, value in answer.fields)
    return word in head or word.encode() in answer.body
