"""The examples of docs/rest.md, as they stand there, and a preview, with a running server."""

import json
import re
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
import requests
from PIL import Image

from tests.support.davserver import Deployment
from tests.support.source import document

pytestmark = pytest.mark.timeout(180)


def test_the_examples_of_the_page_work(deployment: Deployment, tmp_path: Path) -> None:
    server = deployment.start()
    user = deployment.add_user("ada")
    drive = server.url.removesuffix("/dav/")
    signed_in = requests.post(
        f"{drive}/api/v1/sessions", json={"name": user.name, "password": user.password}, timeout=30
    )
    token = signed_in.json()["access_token"]
    Image.effect_noise((900, 300), 60).save(tmp_path / "sea.png")
    (tmp_path / "notes.txt").write_bytes(b"notes")
    [script] = re.findall(r"```sh\n(api\(\).*?)```", document("docs/rest.md"), re.DOTALL)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=100,
        env={"PATH": "/usr/bin:/bin", "DRIVE": drive, "TOKEN": token}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "part").read_bytes() == (tmp_path / "sea.png").read_bytes()[:100]
    with zipfile.ZipFile(tmp_path / "photos.zip") as archive:
        assert archive.read("photos/sea.png") == (tmp_path / "sea.png").read_bytes()
    trash = json.loads(done.stdout[done.stdout.rindex('{"items"') :])
    assert [entry["origin"] for entry in trash["items"]] == ["/sea.png"]

    end = time.monotonic() + 60
    while True:
        preview = requests.get(
            f"{drive}/api/v1/files/preview", {"path": "/photos/sea.png"}, timeout=30,
            headers={"Authorization": f"Bearer {token}"},
        )  # fmt: skip
        if preview.status_code != 202:
            break
        assert int(preview.headers["Retry-After"]) > 0
        assert time.monotonic() < end, "the preview was not made in time"
        time.sleep(0.2)
    assert (preview.status_code, preview.headers["Content-Type"]) == (200, "image/webp")
    assert preview.content[8:12] == b"WEBP"
    assert server.stop() == 0
