"""Search: what fits is found and nothing else, on both databases alike."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from davserver.db.units import Database
from davserver.domain.errors import BadRequest, NotFound, OutsidePrefix
from davserver.domain.principal import Principal
from davserver.domain.search import FileFilter
from davserver.services.attaching import PutDetails
from davserver.services.search import Search
from davserver.stores.folder import FolderStore
from tests.support.core import BytesBody, Core, make_core, path, statements

FILES = (
    ("/Summer.JPG", "image/jpeg", 10),
    ("/photos/summer 2.png", "image/png", 20),
    ("/photos/ÉTÉ.txt", "text/plain; charset=utf-8", 30),
    ("/photos/deep/100%_[a]?.pdf", "application/pdf", 40),
    ("/photos/deep/raw.jpg", "application/octet-stream", 50),
    ("/photos/deep/.jpg", "application/octet-stream", 60),
)


@pytest.fixture
def core(database_url: str, tmp_path: Path) -> Iterator[Core]:
    made = make_core(Database(database_url), FolderStore(tmp_path / "blobs"))
    yield made
    made.close()


@pytest.fixture
def ada(core: Core) -> Principal:
    """Has `FILES`, each a minute after the one before, and somebody else has the same."""
    for name in ("bob", "ada"):
        who = core.add_user(name)
        core.mkcol(who, "/photos", "/photos/deep")
        for where, kind, size in FILES:
            core.clock.advance(60)
            core.content.put(who, path(where), BytesBody(b"x" * size, size), PutDetails(content_type=kind))
    return who


def found(core: Core, who: Principal, wanted: FileFilter) -> list[str]:
    page = Search(core.database).find(who, wanted)
    assert page.next is None
    return ["/" + "/".join(one.path.names) for one in page.items]


def numbers(core: Core, who: Principal, wanted: FileFilter) -> list[int]:
    """Which of `FILES` are found."""
    places = [where for where, _, _ in FILES]
    return [places.index(one) for one in found(core, who, wanted)]


def test_a_name_is_found_by_a_part_of_it_or_a_pattern_in_any_case(core: Core, ada: Principal) -> None:
    expected = {
        "summer": [1, 0],
        "UMMER": [1, 0],
        "été": [2],
        "e\u0301te\u0301": [2],
        "*.jpg": [5, 4, 0],
        "s*.j*g": [0],
        "summer*": [1, 0],
        "*summer": [],
        "%_[": [3],
        "]?": [3],
        "_": [3],
        "?": [3],
        ".": [5, 4, 3, 2, 1, 0],
        "x.": [],
        "^": [],
        "\\": [],
    }
    assert {wanted: numbers(core, ada, FileFilter(name=wanted)) for wanted in expected} == expected
    core.put(ada, "/" + "a" * 250, b"x")
    assert found(core, ada, FileFilter(name="*a" * 120 + "*b")) == [], "and it does not take forever"


def test_a_type_is_the_one_that_is_shown(core: Core, ada: Principal) -> None:
    expected = {
        "image/jpeg": [4, 0],
        "IMAGE/*": [4, 1, 0],
        "text/plain": [2],
        "text/pla": [],
        "application/octet-stream": [5],
        "application/*": [5, 3],
    }
    assert {wanted: numbers(core, ada, FileFilter(content_type=wanted)) for wanted in expected} == expected


def test_sizes_times_and_places_narrow_it_down_together(core: Core, ada: Principal) -> None:
    assert numbers(core, ada, FileFilter(min_size=20, max_size=40)) == [3, 2, 1]
    at = core.tree.find(ada, path(FILES[2][0])).modified_at
    assert numbers(core, ada, FileFilter(min_size=0, since=at)) == [5, 4, 3, 2]
    assert numbers(core, ada, FileFilter(min_size=0, until=at)) == [1, 0]
    deep = path("/photos/deep")
    assert numbers(core, ada, FileFilter(path=deep)) == [5, 4, 3]
    assert numbers(core, ada, FileFilter(path=path("/photos"), max_size=45, since=at, name="a")) == [3]
    with pytest.raises(NotFound):
        found(core, ada, FileFilter(path=path("/nothing")))
    with pytest.raises(BadRequest):
        found(core, ada, FileFilter(path=path(FILES[0][0])))


def test_folders_are_found_by_what_they_have_and_not_by_content(core: Core, ada: Principal) -> None:
    assert found(core, ada, FileFilter(name="DEEP")) == ["/photos/deep"]
    assert found(core, ada, FileFilter(name="deep", min_size=0)) == []
    assert found(core, ada, FileFilter(name="deep", content_type="image/*")) == []


def test_what_is_in_the_trash_or_purged_is_never_found(core: Core, ada: Principal) -> None:
    core.tree.discard(ada, path("/photos"))
    assert found(core, ada, FileFilter()) == ["/Summer.JPG"]
    with pytest.raises(BadRequest):
        found(core, ada, FileFilter(path=path("/.trash/photos")))
    core.tree.discard(ada, path("/.trash"))
    assert found(core, ada, FileFilter()) == ["/Summer.JPG"]


def test_a_token_that_is_limited_to_a_folder_finds_what_is_below_it(core: Core, ada: Principal) -> None:
    limited = replace(ada, prefix=path("/photos/deep"))
    assert numbers(core, limited, FileFilter(name="r")) == [4]
    assert numbers(core, limited, FileFilter(path=path("/photos/deep"))) == [5, 4, 3]
    for where in ("/", "/photos", "/photos/other"):
        with pytest.raises(OutsidePrefix):
            found(core, limited, FileFilter(path=path(where)))


def test_pages_miss_nothing_and_show_nothing_twice_while_files_come_and_go(core: Core, ada: Principal) -> None:
    search, seen, cursor = Search(core.database), [], None
    wanted = FileFilter(min_size=1)
    for turn in range(3):
        page = search.find(ada, wanted, after=cursor, limit=2)
        seen += [one.path.name for one in page.items]
        cursor = page.next
        core.put(ada, f"/new {turn}", b"new")
        if turn == 0:
            core.tree.discard(ada, path(FILES[4][0]))
            core.tree.move(ada, path(FILES[0][0]), path("/renamed"), overwrite=False)
    assert seen == [".jpg", "raw.jpg", "100%_[a]?.pdf", "ÉTÉ.txt", "summer 2.png", "renamed"]
    assert cursor is None
    with pytest.raises(BadRequest):
        search.find(ada, wanted, after="nonsense")


def test_what_cannot_be_looked_for_is_refused(core: Core, ada: Principal) -> None:
    wrong = [FileFilter(name=name) for name in ("", "*", "a/b", "a\x00", "x" * 256)]
    wrong += [FileFilter(content_type=kind) for kind in ("image", "*/*", "image/", "image/p*", "a\x00/b", "")]
    for one in wrong:
        with pytest.raises(BadRequest):
            found(core, ada, one)


def test_a_page_costs_three_queries_however_much_there_is(core: Core, ada: Principal) -> None:
    for limit in (1, 6):
        with statements(core.database) as run:
            assert len(Search(core.database).find(ada, FileFilter(min_size=1), limit=limit).items) == limit
        assert len([one for one in run if "SELECT" in one]) == 3
