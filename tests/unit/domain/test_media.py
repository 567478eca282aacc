import pytest

from davserver.domain.media import UNKNOWN, browser_headers, type_of_name, type_to_show, type_to_store
from davserver.domain.resource import Resource, Revision


def a_file(name: str, content_type: str) -> Resource:
    revision = Revision(1, "b", 3, "e", content_type, "", 0)
    return Resource(1, 2, 1, name, 0, 0, revision)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", "text/plain"),
        ("a.HTML", "text/html"),
        ("photo.JPG", "image/jpeg"),
        ("a.tar.gz", "application/gzip"),
        ("report.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("data:,x.png", "image/png"),
        (".png", UNKNOWN),
        ("png", UNKNOWN),
        ("a.", UNKNOWN),
        ("a.unheard-of", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_a_name_stands_for_a_type_by_its_extension(name: str, expected: str) -> None:
    assert type_of_name(name) == expected


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("image/png", "image/png"),
        ('text/plain; charset="utf-8"', 'text/plain; charset="utf-8"'),
        ("text/plain;charset=utf-8; x=y", "text/plain;charset=utf-8; x=y"),
        (" image/png ", "image/png"),
        ("application/octet-stream", "application/octet-stream"),
        (None, "text/markdown"),
        ("", "text/markdown"),
        ("application/x-www-form-urlencoded", "text/markdown"),
        ("Application/X-WWW-Form-URLEncoded; charset=utf-8", "text/markdown"),
        ("nonsense", "text/markdown"),
        ("text/plain, text/html", "text/markdown"),
        ("text/pl\xe4in", "text/markdown"),
        ("text/plain\r\nSet-Cookie: a=b", "text/markdown"),
        ("a/" + "b" * 300, "text/markdown"),
    ],
)
def test_what_a_client_says_is_stored_when_it_says_something(given: str | None, stored: str) -> None:
    assert type_to_store(given, "notes.md") == stored


def test_a_file_of_unknown_type_gets_one_when_its_name_does() -> None:
    assert type_to_show(a_file("film.part", UNKNOWN)) == UNKNOWN
    assert type_to_show(a_file("film.mp4", UNKNOWN)) == "video/mp4"
    assert type_to_show(a_file("film.mp4", "text/x-own")) == "text/x-own"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html",
        "TEXT/HTML; charset=utf-8",
        "image/svg+xml",
        "application/xhtml+xml",
        "text/xml",
        "application/javascript",
        UNKNOWN,
    ],
)
def test_what_could_act_as_a_page_is_saved_rather_than_shown(content_type: str) -> None:
    headers = dict(browser_headers(content_type))
    assert headers["Content-Disposition"] == "attachment"
    assert headers["Content-Security-Policy"].startswith("sandbox;")
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("content_type", ["image/png", "text/plain; charset=utf-8", "video/mp4", "Audio/MPEG"])
def test_pictures_films_and_text_are_shown_without_an_origin(content_type: str) -> None:
    headers = dict(browser_headers(content_type))
    assert "Content-Disposition" not in headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_pdf_is_shown_by_the_browsers_own_viewer_which_the_sandbox_would_stop() -> None:
    assert browser_headers("application/pdf") == [("X-Content-Type-Options", "nosniff")]
