"""The stock WsgiDAV application, configured by a file as the `wsgidav` command does it, serves the same tree."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from wsgidav.dav_error import DAVError
from wsgidav.wsgidav_app import WsgiDAVApp

from davserver.domain.errors import ConfigError, MethodNotAllowed
from davserver.services.accounts import Accounts
from providers.app import MIDDLEWARE, make_dav_app
from providers.provider import TreeProvider, providers_of
from tests.support.drive import DAV, Drive, MovableClock, Sent, basic, call, environ_of, open_services

FILE = """
provider_mapping:
  "/dav":
    class: providers.provider.TreeProvider
middleware_stack:
  - providers.errors.ErrorRenderer
  - providers.auth.Authenticator
  - providers.front.Front
lock_storage: false
property_manager: null
verbose: 1
http_authenticator:
  accept_basic: false
hotfixes:
  re_encode_path_info: false
davserver:
  data_dir: data
"""


@pytest.fixture
def stock(tmp_path: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """The stock application over a new drive, and the credentials of its user."""
    open_services(tmp_path / "data", MovableClock()).close()
    file = tmp_path / "wsgidav.yaml"
    file.write_text(FILE)
    app = WsgiDAVApp({**yaml.safe_load(FILE), "_config_file": str(file), "logging": {"enable": False}})  # type: ignore[no-untyped-call]
    [share] = providers_of(app)
    accounts: Accounts = share.services.accounts
    accounts.add("somebody", "a good password")
    yield app, {"Authorization": basic("somebody", "a good password")}
    share.services.close()


def send(app: Any, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Any:
    """As cheroot calls it: without what only davserver's own server knows."""
    sent = {**(headers or {}), **({"Content-Length": str(len(body))} if body else {})}
    environ = environ_of(method, target, Sent(body), sent)
    for key in ("davserver.raw_path", "davserver.body", "wsgi.input_terminated"):
        del environ[key]
    return call(app, environ, method)


def test_the_stock_application_serves_the_tree(stock: tuple[Any, dict[str, str]]) -> None:
    app, credentials = stock
    assert send(app, "PUT", "/dav/gr%C3%BC%C3%9Fe%20%25%3F.txt", b"hello", credentials).status == 201
    listing = send(app, "PROPFIND", "/dav/", headers={**credentials, "Depth": "1"})
    assert "/dav/gr%C3%BC%C3%9Fe%20%25%3F.txt" in listing.hrefs
    assert send(app, "GET", "/dav/gr%C3%BC%C3%9Fe%20%25%3F.txt", headers=credentials).body == b"hello"
    assert send(app, "PROPFIND", "/", headers=credentials).hrefs == ["/", "/dav/"]
    assert send(app, "GET", "/dav/").status == 401
    assert send(app, "OPTIONS", "/").headers["dav"] == "1, 2, 3"
    assert send(app, "POST", "/dav/", headers=credentials).status == 405


def test_a_path_that_is_not_utf_8_is_400_in_the_stock_application_too(stock: tuple[Any, dict[str, str]]) -> None:
    app, credentials = stock
    for path in ("/dav/%FF", "/dav/a%2Fb", "/dav/%00"):
        assert send(app, "PUT", path, b"x", credentials).status == 400


def test_the_file_of_the_project_names_the_stack_that_the_application_has() -> None:
    named = yaml.safe_load((Path(__file__).parents[2] / "wsgidav.yaml").read_text())
    assert named["middleware_stack"] == [f"{kind.__module__}.{kind.__name__}" for kind in MIDDLEWARE]
    assert [share["class"] for share in named["provider_mapping"].values()] == ["providers.provider.TreeProvider"]


def test_a_share_that_is_not_ours_stops_the_start(drive: Drive, tmp_path: Path) -> None:
    mapping = {"/dav": TreeProvider(drive.services), "/other": str(tmp_path)}
    with pytest.raises(ConfigError, match="TreeProvider"):
        WsgiDAVApp(  # type: ignore[no-untyped-call]
            {"provider_mapping": mapping, "middleware_stack": list(MIDDLEWARE), "logging": {"enable": False}}
        )


def test_shares_and_their_mount_point_come_from_the_configuration(drive: Drive) -> None:
    from dataclasses import replace

    wsgidav = {"provider_mapping": {"/my files": {}, "/second": {}}, "mount_path": "/top"}
    config = replace(drive.services.config, wsgidav=wsgidav)
    drive.app = make_dav_app(replace(drive.services, config=config))
    drive.base = "/top/my%20files"
    drive.put("/a")
    assert "/top/my%20files/a" in drive.request("PROPFIND", "/").hrefs
    credentials = {"Authorization": drive.credentials}
    for target, hrefs in (("/", ["/", "/top/"]), ("/top", ["/top/", "/top/my%20files/", "/top/second/"])):
        assert drive.request_raw("PROPFIND", target, headers=credentials).hrefs == hrefs
    assert drive.request_raw("GET", "/top/second/a", headers=credentials).body == b"content"
    assert drive.request("COPY", "/a", headers={"Destination": "/top/second/b"}).status == 502


def test_other_parts_of_wsgidav_see_read_only_views(drive: Drive) -> None:
    drive.mkcol("/d%20d")
    content = bytes(range(256)) * 4096
    etag = drive.put("/d%20d/f%25.txt", content).headers["etag"].strip('"')
    [share] = providers_of(drive.app)
    environ = {"wsgidav.provider": share, "davserver.principal": drive.principal, "REQUEST_METHOD": "GET"}
    file: Any = share.get_resource_inst("/d d/f%.txt", environ)
    assert (file.get_content_length(), file.get_etag(), file.support_etag()) == (len(content), etag, True)
    reader = file.get_content()
    assert reader.read(1000) + reader.read() == content
    assert reader.read() == b""
    reader.close()
    folder: Any = share.get_resource_inst("/d d", environ)
    assert folder.get_member_names() == ["f%.txt"]
    assert abs(folder.get_last_modified() - file.get_last_modified()) < 60
    assert folder.get_creation_date() <= file.get_creation_date()
    assert file.get_content_type() == drive.request("PROPFIND", "/d%20d/f%25.txt").props()[f"{DAV}getcontenttype"].text
    assert share.get_resource_inst("/missing", environ) is None
    with pytest.raises(DAVError) as refused:
        file.begin_write()
    assert refused.value.value == 403
    with pytest.raises(MethodNotAllowed):
        share.custom_request_handler({**environ, "REQUEST_METHOD": "REPORT"}, lambda *_: None, None)
