"""An uploaded page cannot act as the site, whichever door it comes out of; nor can the name of a file."""

import io
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest
from PIL import Image

from tests.support.drive import Response, Sent, call, environ_of
from tests.support.rest import Rest

SCRIPT = b"<!DOCTYPE html><script>alert(document.domain)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
UNSAFE = [
    ("page.html", "text/html"), ("page.htm", None), ("page.txt", "text/html; charset=utf-7"), ("page", "TEXT/HTML"),
    ("page.html", "application/octet-stream"), ("page.shtml", None), ("x.xhtml", "application/xhtml+xml"),
    ("drawing.svg", "image/svg+xml"), ("drawing.svg", None), ("drawing.png", "image/svg+xml; x=y"), ("drawing.svgz", None),
    ("feed.xml", "text/xml"), ("feed.xml", "application/xml"), ("style.xsl", "text/xsl"), ("style.css", "text/css"),
    ("code.js", "text/javascript"), ("code.mjs", None), ("mail.mht", "multipart/related"), ("mail.mhtml", None),
    ("parts", "multipart/x-mixed-replace; boundary=b"), ("old.swf", None), ("none", "no type"), ("list.vtt", "text/vtt"),
    ("data.json", "application/json"), ("page.HTML", "application/x-unknown"), ("calendar.ics", None), ("page.hta", None),
]  # fmt: skip
SAFE = [
    ("sea.png", "image/png"), ("sea.jpg", None), ("notes.txt", "text/plain"), ("song.mp3", None), ("film.mp4", None),
    ("paper.pdf", None),
]  # fmt: skip
HTML_NAME = '"><script>alert(1)<'
"""A name that a page of ours shows. It cannot hold a slash."""
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@dataclass
class Doors:
    """Every way to what lies at one path, as a browser would go it."""

    ada: Rest
    name: str
    link: str
    folder: str
    address: str = field(default_factory=lambda: f"2001:db8::{secrets.token_hex(2)}")
    """Of whoever asks: links open so often a minute for one address."""

    def __iter__(self) -> Iterator[tuple[str, Response]]:
        assert self.ada.drive is not None
        basic = {"Authorization": self.ada.drive.credentials}
        bearer = {"Authorization": f"Bearer {self.ada.token}"}
        encoded = quote(self.name)
        content = f"/api/v1/files/content?path={quote('/d/' + self.name, safe='')}"
        places = [
            (f"/dav/d/{encoded}", basic),
            (content, bearer),
            (self.link, {}),
            (f"{self.folder}/files/{encoded}", {}),
        ]
        places += [(f"{self.link}/{part}", more) for part in ("download", "view") for more in ({}, BROWSER)]
        places += [(f"{self.folder}/files/{encoded}", BROWSER)]
        for target, headers in places:
            parts = [{"Range": "bytes=0-1,4-5"}] if headers in (basic, bearer) else []
            for more in ({}, {}, {"Range": "bytes=0-9"}, *parts):  # the second time it may be remembered
                yield f"GET {target} {more}", self.get("GET", target, headers | more)
            yield f"HEAD {target}", self.get("HEAD", target, headers)

    def get(self, method: str, target: str, headers: dict[str, str]) -> Response:
        environ = environ_of(method, target, Sent(b""), {"User-Agent": "Firefox", **headers})
        environ["REMOTE_ADDR"] = self.address
        return call(self.ada.app, environ, method)


def link_to(ada: Rest, path: str) -> str:
    made = ada.json("POST", "/links", {"path": path}, status=201)
    return "/s/" + str(made["url"]).rpartition("/s/")[2]


def doors_to(ada: Rest, name: str, content_type: str | None, body: bytes) -> Doors:
    assert ada.drive is not None
    if ada.drive.request("PROPFIND", "/d", headers={"Depth": "0"}).status == 404:
        ada.drive.mkcol("/d")
    sent = {} if content_type is None else {"Content-Type": content_type}
    assert ada.drive.request("PUT", f"/d/{quote(name)}", body, sent).status in {201, 204}
    return Doors(ada, name, link_to(ada, f"/d/{name}"), link_to(ada, "/d"))


def is_caged(answer: Response) -> bool:
    """Whether a browser shows it without an origin and without scripts, if it shows it at all."""
    policy = answer.headers.get("content-security-policy", "")
    return policy.startswith("sandbox;") and "allow-" not in policy and "script-src" not in policy


@pytest.mark.parametrize(("name", "content_type"), UNSAFE)
def test_what_a_browser_might_run_is_saved_and_not_shown_by_any_door(
    ada: Rest, name: str, content_type: str | None
) -> None:
    count = 0
    for door, answer in doors_to(ada, name, content_type, SVG if "drawing" in name else SCRIPT):
        assert answer.status in {200, 206}, (door, answer)
        count += 1
        assert answer.headers["x-content-type-options"] == "nosniff", door
        assert answer.headers["content-disposition"].startswith("attachment"), (door, answer.headers)
        assert is_caged(answer), (door, answer.headers)
    assert count == 38


@pytest.mark.parametrize(("name", "content_type"), SAFE)
def test_what_is_shown_is_what_it_says_it_is_and_caged(ada: Rest, name: str, content_type: str | None) -> None:
    for door, answer in doors_to(ada, name, content_type, SCRIPT):
        assert answer.headers["x-content-type-options"] == "nosniff", door
        # Browsers do not show a PDF in a sandbox, and confine it by themselves.
        assert is_caged(answer) or name == "paper.pdf", (door, answer.headers)
        assert "html" not in answer.headers["content-type"]


def test_a_name_is_text_in_every_page_of_ours(ada: Rest) -> None:
    doors = doors_to(ada, HTML_NAME, "text/plain", b"x")
    assert ada.drive is not None
    basic = {"Authorization": ada.drive.credentials, **BROWSER}
    ada.drive.mkcol("/" + quote(HTML_NAME))
    of_folder = link_to(ada, "/" + HTML_NAME)
    pages = [doors.get("GET", f"/dav/{one}", basic) for one in ("d/", quote(HTML_NAME) + "/", "")]
    pages += [doors.get("GET", one, BROWSER) for one in (doors.link, doors.folder, doors.folder + "/files/", of_folder)]
    for page in pages:
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "alert(1)" in page.text
        assert not re.search(r"<script|\son\w+=|javascript:", page.text)
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "script-src" not in policy
        assert "frame-ancestors 'none'" in policy
        assert page.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("accepts", [{}, BROWSER])
def test_an_error_is_no_page_of_somebody_elses(ada: Rest, accepts: dict[str, str]) -> None:
    doors = doors_to(ada, "x", "text/plain", b"x")
    assert ada.drive is not None
    basic, bad = {"Authorization": ada.drive.credentials, **accepts}, quote(HTML_NAME)
    bearer = {"Authorization": f"Bearer {ada.token}", **accepts}
    for method, target, headers in (
        ("GET", f"/dav/{bad}", basic), ("GET", f"/dav/{bad}", accepts), ("DELETE", f"/dav/{bad}", basic),
        (f"{HTML_NAME}", "/dav/", basic), ("PUT", f"/dav/{bad}/{bad}", basic), ("GET", "/dav/%FF<script>", basic),
        ("GET", "/dav/d/x", {**basic, "If-Match": '"a"'}), ("GET", "/dav/d/x", {**basic, "Range": "bytes=99-"}),
        ("GET", f"/api/v1/files/content?path=%2F{bad}", bearer), ("GET", f"/api/{bad}", accepts), ("GET", f"/{bad}", accepts),
        ("GET", f"/s/{bad}", accepts), ("GET", f"{doors.folder}/files/{bad}", accepts), ("GET", f"{doors.folder}/{bad}", accepts),
        ("GET", "/api/v1/files/content?path=%2Fd%2Fx", {**bearer, "Range": "bytes=99-"}), ("GET", "/nothing", accepts),
        ("GET", f"{doors.link}/download", {**accepts, "Range": "bytes=99-"}), ("PUT", doors.link, accepts),
        ("POST", "/dav/", basic),
    ):  # fmt: skip
        answer = doors.get(method, target, headers)
        assert answer.status >= 400, (method, target, answer)
        assert answer.headers.get("x-content-type-options") == "nosniff", (method, target, answer)
        is_page = "html" in answer.headers["content-type"] or "xml" in answer.headers["content-type"]
        assert not (is_page and b"<script" in answer.body), (method, target, answer)


def test_a_preview_is_a_picture_of_ours(ada: Rest) -> None:
    assert ada.drive is not None
    made = io.BytesIO()
    Image.new("RGB", (30, 30), (9, 9, 9)).save(made, "PNG")
    ada.drive.put("/drawing.svg", SVG)
    ada.drive.request("PUT", "/sea.png", made.getvalue() + SCRIPT, {"Content-Type": "text/html"})
    seen = {}
    for name in ("/drawing.svg", "/sea.png"):
        target = f"/files/preview?path={quote(name, safe='')}"
        answer = ada.request("GET", target)
        for _ in range(200):
            if answer.status != 202:
                break
            ada.services.runner.look()
            answer = ada.request("GET", target)
        seen[name] = answer
    assert seen["/drawing.svg"].status == 404
    for answer in seen.values():
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "html" not in answer.headers["content-type"]
        assert "sandbox" in answer.headers["content-security-policy"]
        assert b"<script" not in answer.body
