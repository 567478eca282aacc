"""Search over REST."""

from urllib.parse import quote

from tests.support.rest import Rest


def names(client: Rest, query: str) -> list[str]:
    return [one["path"] for one in client.json("GET", f"/files/search?{query}")["items"]]


def test_files_are_found_by_all_that_is_asked_for(ada: Rest) -> None:
    token = ada.json("POST", "/tokens", {"name": "laptop"}, status=201)["token"]
    ada.dav("MKCOL", "/photos", token)
    before = ada.json("GET", "/files/metadata?path=/photos")["modified_at"]
    for name, kind in (("Sea.png", "image/png"), ("sea.txt", "text/plain"), ("hill.png", "image/png")):
        ada.dav("PUT", f"/photos/{name}", token, b"x" * 100, Content_Type=kind)
    assert names(ada, "name=SEA") == ["/photos/sea.txt", "/photos/Sea.png"]
    assert names(ada, "name=*.png&type=image/*&min_size=100&max_size=100&path=/photos") == [
        "/photos/hill.png", "/photos/Sea.png",
    ]  # fmt: skip
    assert names(ada, f"name=sea&since={quote(before)}") != []
    assert names(ada, f"name=sea&until={quote(before)}") == []
    (one,) = ada.json("GET", "/files/search?name=sea.png")["items"]
    assert one.items() <= ada.json("GET", "/files/metadata?path=/photos/Sea.png").items()
    ada.dav("DELETE", "/photos/Sea.png", token)
    assert names(ada, "name=sea") == ["/photos/sea.txt"]


def test_what_is_found_is_given_page_by_page(ada: Rest) -> None:
    for name in ("a", "b", "c"):
        ada.json("POST", "/files/folder", {"path": f"/{name}"}, status=201)
    first = ada.json("GET", "/files/search?limit=2")
    assert [one["name"] for one in first["items"]] == ["c", "b"]
    second = ada.json("GET", f"/files/search?limit=2&cursor={first['next']}")
    assert ([one["name"] for one in second["items"]], second["next"]) == (["a"], None)


def test_a_limited_token_finds_only_what_it_opens(ada: Rest) -> None:
    for path in ("/in", "/in/x1", "/out", "/out/x2"):
        ada.json("POST", "/files/folder", {"path": path}, status=201)
    made = ada.json("POST", "/tokens", {"name": "script", "prefix": "/in"}, status=201)
    script = Rest(ada.app, ada.services, ada.clock, made["token"], ada.drive)
    assert names(script, "name=x") == ["/in/x1"]
    assert script.json("GET", "/files/search?path=/", status=403)["code"] == "outside_prefix"
    assert names(ada, "name=x") == ["/out/x2", "/in/x1"]


def test_what_makes_no_sense_is_told_to_be_so(ada: Rest) -> None:
    for wrong in (
        "cursor=x", "limit=0", "type=image", "name=%00", "name=a/b", "min_size=-1", "since=never", "path=/.trash", "nme=x",
    ):  # fmt: skip
        assert ada.request("GET", f"/files/search?{wrong}").status in {400, 422}, wrong
    assert ada.request("GET", "/files/search?path=/nowhere").status == 404
