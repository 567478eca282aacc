"""Download links by somebody without an account, from a running server."""

import io
import zipfile

import pytest
import requests

from tests.support.davserver import Deployment

pytestmark = pytest.mark.timeout(180)
HTML = {"Accept": "text/html,*/*"}


def test_files_and_folders_are_downloaded_by_link_until_it_is_over(deployment: Deployment) -> None:
    server = deployment.start()
    ada = deployment.add_user("ada")
    root = server.url.removesuffix("dav/")

    def put(where: str, data: bytes = b"", method: str = "PUT", kind: str = "application/octet-stream") -> None:
        done = requests.request(
            method, server.url + where, data=data, auth=ada.auth, timeout=30, headers={"Content-Type": kind}
        )
        assert done.status_code in {201, 204}

    def link(where: str, *options: str, stdin: str = "") -> str:
        said = deployment.run("link", "add", "ada", where, "--url", root, *options, stdin=stdin).stdout.splitlines()
        return said[-1]

    put("docs", method="MKCOL")
    put("docs/ü", method="MKCOL")
    large = bytes(range(256)) * 4000
    put("docs/large.bin", large)
    put("docs/%C3%BC/page.html", b"<script>alert(1)</script>", kind="text/html")

    # a file: whole, in parts, and counted
    address = link("/docs/large.bin", "--uses", "1")
    assert requests.head(address, timeout=30).headers["Content-Length"] == str(len(large))
    whole = requests.get(address, timeout=30)
    assert whole.content == large
    assert whole.headers["Content-Disposition"].startswith('attachment; filename="large.bin"')
    part = requests.get(address, headers={"Range": "bytes=1000-1999"}, timeout=30)
    assert (part.status_code, part.content) == (206, large[1000:2000])
    assert requests.get(address, timeout=30).status_code == 404

    # a folder: a page, and a ZIP that is the folder
    address = link("/docs")
    page = requests.get(address, headers=HTML, timeout=30)
    assert page.status_code == 200
    assert "large.bin" in page.text
    assert "script-src" not in page.headers["Content-Security-Policy"]
    zipped = requests.get(address + "/download", headers=HTML, timeout=30)
    with zipfile.ZipFile(io.BytesIO(zipped.content)) as archive:
        assert archive.testzip() is None
        assert archive.read("docs/large.bin") == large
        assert archive.read("docs/ü/page.html") == b"<script>alert(1)</script>"

    # an uploaded page does not act as the site
    html = requests.get(address + "/files/%C3%BC/page.html", headers=HTML, timeout=30)
    assert html.headers["Content-Disposition"].startswith("attachment")
    assert html.headers["X-Content-Type-Options"] == "nosniff"
    assert html.headers["Content-Security-Policy"].startswith("sandbox")
    assert requests.get(address + "/files/..%2f..", timeout=30).status_code in {400, 404}
    assert requests.get(address + "/files/.trash/", headers=HTML, timeout=30).status_code == 404

    # a password, by Basic and by form
    address = link("/docs/large.bin", "--password-stdin", stdin="open sesame\n")
    assert requests.get(address, timeout=30).status_code == 401
    assert requests.get(address, auth=("", "wrong password"), timeout=30).status_code == 401
    assert requests.get(address, auth=("", "open sesame"), timeout=30).content == large
    with requests.Session() as browser:
        browser.headers.update(HTML)
        assert 'type="password"' in browser.get(address, timeout=30).text
        assert browser.post(address, data={"password": "wrong password"}, timeout=30).status_code == 403
        assert "Download" in browser.post(address, data={"password": "open sesame"}, timeout=30).text
        assert browser.get(address + "/download", timeout=30).content == large

    # in the trash, restored, taken back
    assert requests.delete(server.url + "docs/large.bin", auth=ada.auth, timeout=30).status_code == 204
    assert requests.get(address, auth=("", "open sesame"), timeout=30).status_code == 404
    deployment.run("trash", "restore", "ada", "large.bin")
    assert requests.get(address, auth=("", "open sesame"), timeout=30).content == large
    number = deployment.run("link", "list", "ada").stdout.splitlines()[1].split()[0]
    deployment.run("link", "revoke", "ada", number)
    assert requests.get(address, auth=("", "open sesame"), timeout=30).status_code == 404

    # neither tokens nor passwords are in the log
    assert address.rpartition("/")[2] not in server.log
    assert "open sesame" not in server.log
    assert server.stop() == 0
