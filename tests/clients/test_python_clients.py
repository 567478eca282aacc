"""The two WebDAV libraries of Python that people use: webdavclient3 and webdav4."""

import importlib
import io
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from webdav4.client import Client as Webdav4
from webdav4.client import ResourceAlreadyExists

from tests.support.daywork import GIB, MB, NAMES, Peer, Watch, content, nfc
from tests.support.fixtures_davserver import Drive
from tests.support.matrix import Client

SOURCE = "tests/clients/test_python_clients.py"
STEPS = (
    "make folders", "upload, names of every kind", "list", "20 MB up and down", "overwrite", "move", "copy",
    "properties of a file", "delete a tree",
)  # fmt: skip
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it has invalid escapes, which Python tells of when it compiles them
    Webdav3: Any = importlib.import_module("webdav3.client").Client
CLIENT3 = Client("webdavclient3", "driven", SOURCE, (*STEPS, "free space", "set and get a property"))
CLIENT4 = Client("webdav4", "driven", SOURCE, (*STEPS, "not over what is there", "read a part"))


def test_webdavclient3_does_a_days_work(drive: Drive, peer: Peer, watch: Watch, tmp_path: Path) -> None:
    kind = drive.deployment.kind
    base, _, root = drive.url.rstrip("/").rpartition("/")
    client = Webdav3(
        {"webdav_hostname": base, "webdav_root": f"/{root}/", "webdav_login": drive.user.name,
         "webdav_password": drive.user.password}
    )  # fmt: skip
    with CLIENT3.step("free space", kind):
        assert int(client.free()) == GIB
    with CLIENT3.step("make folders", kind):
        client.mkdir("one")
        client.mkdir("one/Ordner ü")
        assert client.check("one/Ordner ü")
        assert not client.check("one/none")
    with CLIENT3.step("upload, names of every kind", kind):
        for number, name in enumerate(NAMES):
            client.upload_to(io.BytesIO(content(1000, number)), f"one/{name}")
        assert all(peer.get(f"one/{name}") == content(1000, number) for number, name in enumerate(NAMES))
    with CLIENT3.step("list", kind):
        assert nfc(name.rstrip("/") for name in client.list("one")) == nfc(NAMES) | {"Ordner ü"}
    with CLIENT3.step("20 MB up and down", kind):
        (tmp_path / "big.bin").write_bytes(content(20 * MB))
        client.upload_sync(remote_path="big.bin", local_path=str(tmp_path / "big.bin"))
        client.download_sync(remote_path="big.bin", local_path=str(tmp_path / "back.bin"))
        assert (tmp_path / "back.bin").read_bytes() == content(20 * MB)
    with CLIENT3.step("overwrite", kind):
        client.upload_to(io.BytesIO(b"second"), "one/plain.txt")
        assert peer.get("one/plain.txt") == b"second"
    with CLIENT3.step("properties of a file", kind):
        assert client.info("one/plain.txt")["size"] == "6"
        assert not client.is_dir("one/plain.txt")
    with CLIENT3.step("set and get a property", kind):
        wanted = {"namespace": "urn:test", "name": "colour"}
        client.set_property("one/plain.txt", {**wanted, "value": "green"})
        assert client.get_property("one/plain.txt", wanted) == "green"
    with CLIENT3.step("move", kind):
        client.move("one/plain.txt", "größer #1.txt")
        assert peer.get("größer #1.txt") == b"second"
    with CLIENT3.step("copy", kind):
        client.copy("one", "two", depth="infinity")  # its default, 1, is none that COPY has (RFC 4918, 9.8.3)
        assert nfc(peer.names("two")) == nfc(NAMES) - {"plain.txt"} | {"Ordner ü"}
    with CLIENT3.step("delete a tree", kind):
        client.clean("one")
        assert peer.names() == {"two", "big.bin", "größer #1.txt"}
    watch.check("HEAD 404", "PROPFIND 404")


def test_webdav4_does_a_days_work(drive: Drive, peer: Peer, watch: Watch, tmp_path: Path) -> None:
    kind = drive.deployment.kind
    client = Webdav4(drive.url, auth=drive.user.auth)
    try:
        use_webdav4(client, kind, peer, tmp_path)
    finally:
        client.http.close()
    watch.check("PROPFIND 404", "PUT 412", "COPY 412", "MOVE 412", "HEAD 404")


def use_webdav4(client: Webdav4, kind: str, peer: Peer, tmp_path: Path) -> None:
    with CLIENT4.step("make folders", kind):
        client.mkdir("one")
        client.mkdir("one/Ordner ü")
        assert client.isdir("one/Ordner ü")
        assert not client.exists("one/none")
    with CLIENT4.step("upload, names of every kind", kind):
        for number, name in enumerate(NAMES):
            client.upload_fileobj(
                io.BytesIO(content(1000, number)), f"one/{quote(name)}"
            )  # it escapes nothing that may be an escape
        assert all(peer.get(f"one/{name}") == content(1000, number) for number, name in enumerate(NAMES))
    with CLIENT4.step("list", kind):
        listed = {str(name).rpartition("/")[2] for name in client.ls("one", detail=False)}
        assert nfc(listed) == nfc(NAMES) | {"Ordner ü"}
    with CLIENT4.step("20 MB up and down", kind):
        (tmp_path / "big.bin").write_bytes(content(20 * MB))
        client.upload_file(tmp_path / "big.bin", "big.bin")
        client.download_file("big.bin", tmp_path / "back.bin")
        assert (tmp_path / "back.bin").read_bytes() == content(20 * MB)
    with CLIENT4.step("read a part", kind), client.open("big.bin", "rb") as file:
        file.seek(15 * MB)
        assert file.read(1000) == content(20 * MB)[15 * MB : 15 * MB + 1000]
    with CLIENT4.step("not over what is there", kind):
        with pytest.raises(ResourceAlreadyExists):
            client.upload_fileobj(io.BytesIO(b"x"), "one/plain.txt")
        assert peer.get("one/plain.txt") == content(1000, 0)
    with CLIENT4.step("overwrite", kind):
        client.upload_fileobj(io.BytesIO(b"second"), "one/plain.txt", overwrite=True)
        assert peer.get("one/plain.txt") == b"second"
    with CLIENT4.step("properties of a file", kind):
        assert client.content_length("one/plain.txt") == 6
        assert client.modified("one/plain.txt") is not None
    with CLIENT4.step("move", kind):
        client.move("one/plain.txt", "größer.txt")
        assert peer.get("größer.txt") == b"second"
    with CLIENT4.step("copy", kind):
        client.copy("one", "two")
        assert nfc(peer.names("two")) == nfc(NAMES) - {"plain.txt"} | {"Ordner ü"}
    with CLIENT4.step("delete a tree", kind):
        client.remove("one")
        assert peer.names() == {"two", "big.bin", "größer.txt"}
