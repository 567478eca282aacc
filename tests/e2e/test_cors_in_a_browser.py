"""A page in a real browser, of another origin, opens and saves a file as KeeWeb does, by XMLHttpRequest.

The browser decides what the page may send and read, not this test. It runs where there is a Chromium; `make test` installs none,
for that would be 200 MB for what `test_cors.py` shows byte for byte.
"""

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.davserver import Deployment, User
from tests.support.fixtures_davserver import make_deployment
from tests.support.processes import tied
from tests.support.tools import find

BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome")
BROWSER = next(filter(None, map(find, BROWSERS)), None)
pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(
        BROWSER is None,
        reason="CORS IS NOT SEEN IN A REAL BROWSER: no Chromium (apt-get install chromium-headless-shell)",
    ),
]
PAGE = """\
<!doctype html>
<meta charset="utf-8">
<script>
const {dav, api, name, password} = SETTINGS;
const basic = "Basic " + btoa(name + ":" + password);
const seen = {};

function send(step, method, url, fields = {}, body = null) {
  return new Promise((done) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.responseType = "arraybuffer";
    for (const [field, value] of Object.entries(fields)) request.setRequestHeader(field, value);
    const end = (kind) => () => {
      const text = request.response ? new TextDecoder("latin1").decode(request.response) : "";
      const fields = {};
      for (const line of request.getAllResponseHeaders().trim().split(/[\\r\\n]+/)) {
        const at = line.indexOf(": ");
        if (at > 0) fields[line.slice(0, at).toLowerCase()] = line.slice(at + 2);
      }
      seen[step] = {kind, status: request.status, fields, size: request.response?.byteLength ?? 0, text: text.slice(0, 3000)};
      done(seen[step]);
    };
    request.onload = end("load");
    request.onerror = end("error");
    request.send(body);
  });
}

async function all() {
  const own = {Authorization: basic};
  const file = dav + "db.kdbx";
  const bytes = new Uint8Array(300000).map((_, at) => at * 7 % 256);
  await send("without", "GET", file);
  await send("put", "PUT", file, own, bytes);
  await send("head", "HEAD", file, {...own, "Cache-Control": "no-cache"});
  const first = await send("get", "GET", file, own);
  await send("propfind", "PROPFIND", dav, {...own, Depth: "1"});
  await send("range", "GET", file, {...own, Range: "bytes=7-9"});
  await send("temporary", "PUT", dav + ".db.kdbx.1", own, bytes.slice(1));
  await send("move", "MOVE", dav + ".db.kdbx.1", {...own, Destination: file, Overwrite: "T"});
  await send("again", "GET", file, own);
  await send("changed", "PUT", file, {...own, "If-Match": first.fields["etag"]}, bytes);
  const lock = '<lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>';
  const locked = await send("lock", "LOCK", file, {...own, "Content-Type": "text/xml"}, lock);
  await send("unlock", "UNLOCK", file, {...own, "Lock-Token": locked.fields["lock-token"]});
  await send("folder", "MKCOL", dav + "folder", own);
  await send("copy", "COPY", file, {...own, Destination: dav + "folder/copy"});
  await send("delete", "DELETE", dav + "folder", own);
  const given = JSON.stringify({name, password});
  const pair = await send("sign in", "POST", api + "/sessions", {"Content-Type": "application/json"}, given);
  const token = pair.kind === "load" ? JSON.parse(pair.text).access_token : "none";
  await send("trash", "GET", api + "/trash", {Authorization: "Bearer " + token});
}

all().catch((error) => { seen.broke = String(error); }).then(
  () => fetch("/seen", {method: "POST", body: JSON.stringify(seen)}));
</script>
"""


class Site:
    """The other origin: a server with one page, which is told what the page saw."""

    def __init__(self) -> None:
        self.settings: dict[str, str] = {}
        self.told: queue.Queue[dict[str, Any]] = queue.Queue()
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(PAGE.replace("SETTINGS", json.dumps(site.settings), 1).encode())

            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(b"")
                site.told.put(told)

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(self.server.server_port)

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            self.server.shutdown()
            self.server.server_close()
            thread.join()

    def open(self, origin: str, folder: Path) -> dict[str, Any]:
        """Open the page in a browser of its own, and wait for what it saw."""
        assert BROWSER is not None
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        with (folder / "browser.log").open("wb") as log:
            profile = f"--user-data-dir={folder / 'profile'}"
            browser = subprocess.Popen(
                tied([BROWSER, *options, profile, "--remote-debugging-port=0", f"{origin}/"], signal.SIGKILL),
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            try:
                return self.told.get(timeout=100)
            finally:
                os.killpg(browser.pid, signal.SIGKILL)
                browser.wait(30)


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """The site, whose pages may use a running drive when they come from 127.0.0.1, not from localhost."""
    made = Site()
    with made.running():
        for deployment in make_deployment("embedded", request, tmp_path):
            user = deployment.add_user()
            made.settings = settings_of(deployment, user, f"http://127.0.0.1:{made.port}")
            yield made


def settings_of(deployment: Deployment, user: User, origin: str) -> dict[str, str]:
    server = deployment.start(DAVSERVER_CORS_ORIGINS=origin, DAVSERVER_PROCESSES="1")
    api = server.url.removesuffix("/dav/") + "/api/v1"
    return {"dav": server.url, "api": api, "name": user.name, "password": user.password}


def test_a_page_of_a_named_origin_opens_and_saves_and_one_of_another_sees_nothing(site: Site, tmp_path: Path) -> None:
    seen = site.open(f"http://127.0.0.1:{site.port}", tmp_path)
    assert "broke" not in seen, seen["broke"]
    assert {step: (one["kind"], one["status"]) for step, one in seen.items()} == {
        "without": ("load", 401),
        "put": ("load", 201),
        "head": ("load", 200),
        "get": ("load", 200),
        "propfind": ("load", 207),
        "range": ("load", 206),
        "temporary": ("load", 201),
        "move": ("load", 204),
        "again": ("load", 200),
        "changed": ("load", 412),
        "lock": ("load", 200),
        "unlock": ("load", 204),
        "folder": ("load", 201),
        "copy": ("load", 201),
        "delete": ("load", 204),
        "sign in": ("load", 201),
        "trash": ("load", 200),
    }
    assert (seen["get"]["size"], seen["again"]["size"]) == (300_000, 299_999)
    assert seen["get"]["fields"]["etag"] == seen["put"]["fields"]["etag"] == seen["head"]["fields"]["etag"]
    assert "last-modified" in seen["head"]["fields"]
    assert (seen["range"]["text"], seen["range"]["fields"]["content-range"]) == ("18?", "bytes 7-9/300000")
    assert "db.kdbx" in seen["propfind"]["text"]
    assert "www-authenticate" in seen["without"]["fields"]
    assert json.loads(seen["trash"]["text"])["items"]

    seen = site.open(f"http://localhost:{site.port}", tmp_path)
    assert len(seen) == 17
    assert {(one["kind"], one["status"], one["size"]) for one in seen.values()} == {("error", 0, 0)}
