"""The activity log over REST."""

from sqlalchemy import update

from davserver.db.rows import UserRow
from tests.support.rest import Rest


def test_a_user_sees_what_was_done_through_which_door_and_with_which_device(ada: Rest) -> None:
    token = ada.json("POST", "/tokens", {"name": "laptop"}, status=201)["token"]
    ada.dav("MKCOL", "/photos", token)
    ada.dav("PUT", "/photos/a.txt", token, b"hello")
    ada.dav("DELETE", "/photos/a.txt", token)
    items = ada.json("GET", "/activity?path=/photos")["items"]
    assert [(one["action"], one["path"]) for one in items] == [
        ("deleted", "/photos/a.txt"),
        ("uploaded", "/photos/a.txt"),
        ("collection_made", "/photos"),
    ]
    assert {(one["door"], one["device"], one["address"]) for one in items} == {("webdav", "laptop", "127.0.0.1")}
    assert items[1]["size"] == 5
    made = ada.json("GET", "/activity?action=token_created&action=token_revoked")["items"]
    assert [(one["action"], one["detail"]) for one in made] == [("token_created", "laptop")]
    assert token not in str(ada.json("GET", "/activity"))


def test_the_log_is_given_page_by_page(ada: Rest) -> None:
    token = ada.json("POST", "/tokens", {"name": "laptop"}, status=201)["token"]
    for n in range(5):
        ada.dav("MKCOL", f"/{n}", token)
    seen, cursor = [], ""
    while True:
        page = ada.json("GET", f"/activity?action=collection_made&limit=2{cursor}")
        seen += [one["path"] for one in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert seen == ["/4", "/3", "/2", "/1", "/0"]
    for wrong in ("cursor=x", "limit=0", "action=nonsense", "door=window", "path=%2500"):
        assert ada.request("GET", f"/activity?{wrong}").status in {400, 422}


def test_only_an_administrator_sees_the_audit_log(rest: Rest, ada: Rest) -> None:
    assert ada.json("GET", "/admin/audit", status=403)["code"] == "forbidden"
    other = rest.sign_in()
    assert other.drive is not None
    assert ada.drive is not None
    with ada.services.database.write() as unit:
        mine = UserRow.id == other.drive.principal.user_id
        unit.connection.execute(update(UserRow).where(mine).values(is_admin=True))
    ada.json("POST", "/tokens", {"name": "phone"}, status=201)
    items = other.json("GET", "/admin/audit?action=token_created&limit=1")["items"]
    assert [(one["owner"], one["detail"]) for one in items] == [(ada.drive.principal.name, "phone")]
