"""Previews: made once, in a process of their own, sealed, counted nowhere, and gone with what they show."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from sqlalchemy import func, select, update

from davserver.db.rows import BlobRow, PreviewRow, RevisionRow
from davserver.domain.clock import HOUR
from davserver.domain.errors import Infected, IsCollection, NoPreview
from davserver.domain.principal import Principal
from davserver.jobs.queue import Job, Queue
from davserver.jobs.recurring import Recurring
from davserver.jobs.runner import Runner, Work
from davserver.previewing.maker import Maker
from davserver.services.content import ContentSettings, PutDetails
from davserver.services.previews import MAKE_PREVIEW, SWEEP_PREVIEWS, Previews
from davserver.stores.base import blob_key
from tests.support.core import INLINE_LIMIT, SEGMENT_SIZE, BytesBody, Core, path
from tests.support.upkeep import helpers_of


@pytest.fixture
def previews(core: Core) -> Previews:
    return previews_of(core)


def previews_of(core: Core, maker: Maker | None = None) -> Previews:
    settings = ContentSettings(inline_limit=INLINE_LIMIT, segment_size=SEGMENT_SIZE)
    return Previews(
        core.database, core.store, core.keyring, core.clock, core.random, core.content, settings, maker
    )  # fmt: skip


def picture(kind: str, size: tuple[int, int] = (1024, 768), mode: str = "RGB") -> bytes:
    """A picture that does not compress to nothing."""
    made = io.BytesIO()
    Image.effect_noise(size, 60).convert(mode).save(made, kind)
    return made.getvalue()


def png(width: int, height: int) -> bytes:
    """A PNG that says it is so large, in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 10_000_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def put(core: Core, who: Principal, where: str, data: bytes, content_type: str) -> None:
    core.content.put(who, path(where), BytesBody(data, len(data)), PutDetails(content_type=content_type))


def find(core: Core, previews: Previews, who: Principal, where: str) -> bytes | None:
    return previews.find(who, core.tree.find(who, path(where)))


def work(core: Core, previews: Previews) -> int:
    queue = Queue(core.database, core.clock, core.random)
    handlers = {**helpers_of(core).upkeep.handlers, **previews.handlers}
    done = Runner(queue, Recurring(core.database, core.clock, {}), handlers).look()
    assert not queue.shown()
    return done


def count(core: Core, table: type[BlobRow] | type[PreviewRow]) -> int:
    return int(core.scalar(select(func.count()).select_from(table)))


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp"), ("PDF", "application/pdf")],
)
def test_a_small_picture_is_made_of_what_can_be_shown(
    core: Core, alice: Principal, previews: Previews, kind: str, content_type: str
) -> None:
    put(core, alice, "/f", picture(kind), content_type)
    used = core.used(alice)
    assert find(core, previews, alice, "/f") is None
    assert find(core, previews, alice, "/f") is None
    assert work(core, previews) == 1
    made = find(core, previews, alice, "/f")
    assert made is not None
    with Image.open(io.BytesIO(made)) as image:
        assert (image.format, image.size) == ("WEBP", (512, 384))
    assert core.used(alice) == used
    assert core.verify(deep=True).is_clean
    sealed = core.scalar(select(BlobRow.id).join(PreviewRow, PreviewRow.blob_id == BlobRow.id))
    assert made[:64] not in b"".join(core.store.read(blob_key(sealed), 0, core.store.size(blob_key(sealed))))


def test_a_preview_stands_upright_keeps_its_alpha_and_says_nothing_of_where_it_was_taken(
    core: Core, alice: Principal, previews: Previews
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it by a quarter
    exif[0x010F] = "A camera"
    made = io.BytesIO()
    Image.new("RGB", (60, 20), "red").save(made, "JPEG", exif=exif)
    put(core, alice, "/turned", made.getvalue(), "image/jpeg")
    clear_one = io.BytesIO()
    Image.new("RGBA", (64, 64), (255, 0, 0, 100)).save(clear_one, "PNG")
    put(core, alice, "/clear", clear_one.getvalue(), "image/png")
    for name in ("/turned", "/clear"):
        find(core, previews, alice, name)
    work(core, previews)
    turned, clear = find(core, previews, alice, "/turned"), find(core, previews, alice, "/clear")
    assert turned is not None
    assert clear is not None
    assert b"A camera" not in turned
    with Image.open(io.BytesIO(turned)) as image:
        assert (image.size, len(image.getexif())) == ((20, 60), 0)
    with Image.open(io.BytesIO(clear)) as image:
        assert image.mode == "RGBA"


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (b"no picture at all", "image/png"),
        (picture("JPEG")[:3000], "image/jpeg"),
        (png(100_000, 100_000), "image/png"),
        (png(7_500, 7_500), "image/png"),
        (b"%PDF-1.7\nbroken", "application/pdf"),
    ],
    ids=["text", "cut", "bomb", "large", "pdf"],
)
def test_what_cannot_be_decoded_is_tried_once_and_remembered(
    core: Core, alice: Principal, previews: Previews, data: bytes, content_type: str
) -> None:
    put(core, alice, "/f", data, content_type)
    assert find(core, previews, alice, "/f") is None
    assert work(core, previews) == 1
    for _ in range(3):
        with pytest.raises(NoPreview):
            find(core, previews, alice, "/f")
    assert work(core, previews) == 0
    assert core.verify().is_clean


def test_nothing_is_made_of_other_types_and_folders(core: Core, alice: Principal, previews: Previews) -> None:
    put(core, alice, "/f.svg", b"<svg/>", "image/svg+xml")
    put(core, alice, "/none.png", b"", "image/png")
    core.mkcol(alice, "/d")
    for name in ("/f.svg", "/none.png"):
        with pytest.raises(NoPreview):
            find(core, previews, alice, name)
    with pytest.raises(IsCollection):
        find(core, previews, alice, "/d")
    assert count(core, PreviewRow) == 0


def test_a_decoder_that_crashes_hangs_or_says_too_much_gives_no_preview(
    core: Core, alice: Principal, tmp_path: Path
) -> None:
    programs = {
        "crash": "import os; os.abort()",
        "hang": "import sys, time; sys.stdin.buffer.read(); time.sleep(600)",
        "flood": "import sys\nwhile True: sys.stdout.buffer.write(b'x' * 65536)",
        "deaf": "pass",
    }
    for name, program in programs.items():
        script = tmp_path / f"{name}.py"
        script.write_text(program)
        previews = previews_of(core, Maker(1.0 if name == "hang" else 30.0, script))
        put(core, alice, f"/{name}", picture("PNG"), "image/png")
        assert find(core, previews, alice, f"/{name}") is None
        work(core, previews)
        with pytest.raises(NoPreview):
            find(core, previews, alice, f"/{name}")


def test_a_decoder_sees_no_environment_and_cannot_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAVSERVER_MASTER_KEYS", "secret")
    script = tmp_path / "look.py"
    script.write_text("import os, sys; sys.stdin.buffer.read(); sys.stdout.write(repr(dict(os.environ)))")
    made = Maker(30.0, script).make("picture", [b"x"], lambda: None)
    assert made is not None
    assert b"DAVSERVER" not in made


def infect(core: Core) -> None:
    with core.database.write() as unit:
        values = {"verdict": "infected", "signature": "Eicar"}
        unit.connection.execute(update(RevisionRow).values(values))


def test_nothing_is_made_or_shown_of_what_is_infected(core: Core, alice: Principal, previews: Previews) -> None:
    put(core, alice, "/before", picture("PNG"), "image/png")
    find(core, previews, alice, "/before")
    infect(core)
    work(core, previews)
    assert count(core, PreviewRow) == 0
    with core.database.write() as unit:
        unit.connection.execute(update(RevisionRow).values(verdict="clean"))
    find(core, previews, alice, "/before")
    work(core, previews)
    assert find(core, previews, alice, "/before") is not None
    infect(core)
    with pytest.raises(Infected):
        find(core, previews, alice, "/before")


def test_a_preview_goes_with_the_last_file_of_its_revision(core: Core, alice: Principal, previews: Previews) -> None:
    put(core, alice, "/f", picture("PNG"), "image/png")
    core.tree.copy(alice, path("/f"), path("/g"), overwrite=False, deep=True)
    find(core, previews, alice, "/f")
    work(core, previews)
    assert find(core, previews, alice, "/g") is not None
    sealed = core.scalar(select(PreviewRow.blob_id))
    for name, left in (("/f", 1), ("/g", 0)):
        core.tree.discard(alice, path(name))
        core.tree.discard(alice, path("/.trash"))
        work(core, previews)
        assert count(core, PreviewRow) == left
    assert count(core, BlobRow) == 0
    assert blob_key(sealed) not in {blob.key for blob in core.store.list()}
    assert core.verify().is_clean


def test_a_preview_whose_revision_went_while_it_was_made_is_not_kept(
    core: Core, alice: Principal, previews: Previews
) -> None:
    class Slow(Maker):
        def make(self, kind: str, content: object, alive: Callable[[], None]) -> bytes | None:
            core.tree.discard(alice, path("/f"))
            core.tree.discard(alice, path("/.trash"))
            helpers_of(core).look()
            return b"x" * 5000

    put(core, alice, "/f", picture("PNG"), "image/png")
    slow = previews_of(core, Slow())
    find(core, slow, alice, "/f")
    job = Job(0, MAKE_PREVIEW, {"owner_id": alice.owner_id, "revision_id": revision(core, alice)}, 1, 0, "claim")
    slow.handlers[MAKE_PREVIEW](Work(job, lambda: None))
    assert (count(core, PreviewRow), count(core, BlobRow)) == (0, 0)
    assert list(core.store.list()) == []


def revision(core: Core, who: Principal) -> int:
    found = core.tree.find(who, path("/f")).revision
    assert found is not None
    return found.id


def test_a_preview_that_lost_its_job_is_caused_again_after_an_hour(
    core: Core, alice: Principal, previews: Previews
) -> None:
    put(core, alice, "/f", picture("PNG"), "image/png")
    find(core, previews, alice, "/f")
    queue = Queue(core.database, core.clock, core.random)
    job = queue.claim()
    assert job is not None
    queue.finish(job)
    find(core, previews, alice, "/f")
    assert work(core, previews) == 0
    core.clock.advance(HOUR / 1_000_000)
    find(core, previews, alice, "/f")
    assert work(core, previews) == 1
    assert find(core, previews, alice, "/f") is not None


def test_previews_that_an_older_release_left_are_found_and_removed(
    core: Core, alice: Principal, previews: Previews
) -> None:
    put(core, alice, "/f", picture("PNG"), "image/png")
    put(core, alice, "/kept", picture("PNG"), "image/png")
    find(core, previews, alice, "/f")
    find(core, previews, alice, "/kept")
    work(core, previews)
    with core.database.write() as unit:
        unit.connection.execute(update(PreviewRow).where(PreviewRow.revision_id == revision(core, alice)).values(
            revision_id=9999
        ))  # fmt: skip
    report = core.verify()
    assert [finding.kind.value for finding in report.findings] == ["preview of nothing"]
    previews.handlers[SWEEP_PREVIEWS](Work(Job(0, SWEEP_PREVIEWS, {}, 1, 0, "claim"), lambda: None))
    work(core, previews)
    assert count(core, PreviewRow) == 1
    assert core.verify().is_clean
