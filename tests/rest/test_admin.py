"""Administration over REST: by administrators who are signed in, and by nobody else."""

import re
from typing import Any

import pytest
from sqlalchemy import insert, update

from davserver.db.rows import JobRow, RevisionRow, UserRow
from tests.rest.test_skeleton import operations
from tests.support.rest import Rest


@pytest.fixture
def root(rest: Rest) -> Rest:
    """A client that is signed in as an administrator."""
    found = rest.sign_in()
    with rest.services.database.write() as unit:
        here = UserRow.id == id_of(found)
        unit.connection.execute(update(UserRow).where(here).values(is_admin=True))
    return found


def id_of(client: Rest) -> int:
    assert client.drive is not None
    return client.drive.principal.user_id


def name_of(client: Rest) -> str:
    assert client.drive is not None
    return client.drive.principal.name


def audit(root: Rest, action: str, whose: Rest) -> list[tuple[str, str, str | None]]:
    items = root.json("GET", f"/admin/audit?action={action}&user={name_of(whose)}")["items"]
    return [(one["owner"], one["actor"], one["detail"]) for one in items]


def failed_job(rest: Rest, kind: str) -> int:
    values = {"kind": kind, "payload": '{"owner_id":1}', "state": "failed", "attempts": 10, "run_at": 0}
    with rest.services.database.write() as unit:
        row = insert(JobRow).values(**values, last_error="OSError: no", created_at=0).returning(JobRow.id)
        return int(unit.connection.execute(row).scalar_one())


def infect(client: Rest, path: str) -> int:
    """Have a virus found in a file, as a scan would. Returns the file's id."""
    assert client.drive is not None
    found = client.services.tree.find(client.drive.principal, client_path(path))
    assert found.revision is not None
    with client.services.database.write() as unit:
        here = (RevisionRow.owner_id == found.owner_id) & (RevisionRow.id == found.revision.id)
        unit.connection.execute(update(RevisionRow).where(here).values(verdict="infected", signature="Test-Virus"))
    return found.id


def client_path(path: str) -> Any:
    from davserver.domain.paths import ResourcePath

    return ResourcePath.parse(path, max_depth=100)


def test_every_route_of_administration_refuses_everybody_else_alike(rest: Rest, ada: Rest) -> None:
    secret = ada.json("POST", "/tokens", {"name": "laptop"}, status=201)["token"]
    device = Rest(ada.app, ada.services, ada.clock, secret)
    routes = [route for route in operations(rest) if "/admin/" in route]
    assert len(routes) == 20
    for route in routes:
        method, path = route.split()
        for number in ("1", "999999"):
            target = re.sub(r"\{[^}]*\}", number, path)
            assert rest.request(method, target, {}).status == 401, route
            for client in (ada, device):
                assert client.json(method, target, {}, status=403)["code"] == "forbidden", route


def test_an_administrator_adds_sees_and_changes_users(rest: Rest, root: Rest) -> None:
    wanted = {"name": "zoe", "password": "a password", "quota_bytes": 1000, "email": "z@example.org"}
    made = root.json("POST", "/admin/users", wanted, status=201)
    assert (made["name"], made["quota_bytes"], made["used_bytes"], made["is_disabled"]) == ("zoe", 1000, 0, False)
    assert root.json("POST", "/admin/users", wanted, status=409)["code"] == "conflict"
    there = f"/admin/users/{made['id']}"
    shown = root.request("GET", there)
    tag = shown.headers["etag"]
    changed = root.request("PATCH", there, {"quota_bytes": None}, If_Match=tag)
    assert changed.status == 200
    assert changed.headers["etag"] != tag
    assert root.json("PATCH", there, {"is_admin": True}, status=412, If_Match=tag)["code"] == "precondition_failed"
    assert root.json("GET", there)["quota_bytes"] is None
    assert root.json("GET", there)["email"] == "z@example.org"
    assert root.json("PATCH", there, {"name": "other"}, status=422)["code"] == "invalid_input"
    rest.json("POST", "/sessions", {"name": "zoe", "password": "a password"}, status=201)
    items = root.json("GET", "/admin/audit?user=zoe&action=user_added&action=user_changed")["items"]
    assert [(one["action"], one["actor"], one["door"]) for one in items] == [
        ("user_changed", name_of(root), "rest"),
        ("user_added", name_of(root), "rest"),
    ]


def test_users_are_given_page_by_page(root: Rest, ada: Rest) -> None:
    seen: list[int] = []
    page = root.json("GET", "/admin/users?limit=2")
    while True:
        seen += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        page = root.json("GET", f"/admin/users?limit=2&cursor={page['next']}")
    assert len(seen) == len(set(seen))
    assert {id_of(root), id_of(ada)} <= set(seen)
    assert [one["id"] for one in root.json("GET", f"/admin/users?name={name_of(ada)}")["items"]] == [id_of(ada)]
    assert root.request("GET", "/admin/users?cursor=WzFd").status == 400


def test_who_is_disabled_is_out_at_once_and_keeps_the_files(root: Rest, ada: Rest) -> None:
    assert ada.drive is not None
    ada.drive.put("/a.txt", b"hello")
    secret = ada.json("POST", "/tokens", {"name": "laptop"}, status=201)["token"]
    there = f"/admin/users/{id_of(ada)}"
    assert root.json("PATCH", there, {"is_disabled": True})["is_disabled"]
    assert root.json("GET", there + "/sessions")["items"] == []
    for status in (
        ada.request("GET", "/me").status,
        ada.drive.request("GET", "/a.txt").status,
        ada.dav("GET", "/a.txt", secret).status,
        ada.request("POST", "/sessions", {"name": name_of(ada), "password": ada.drive.password}).status,
    ):
        assert status == 401
    root.json("PATCH", there, {"is_disabled": False})
    assert ada.request("GET", "/me").status == 401  # the session is over
    assert ada.drive.request("GET", "/a.txt").body == b"hello"
    assert ada.dav("GET", "/a.txt", secret).body == b"hello"
    assert root.json("PATCH", f"/admin/users/{id_of(root)}", {"is_disabled": True}, status=409)["code"] == "conflict"


def test_a_user_is_deleted_once_disabled_and_named_again(root: Rest, ada: Rest) -> None:
    assert ada.drive is not None
    ada.drive.put("/a.txt", b"hello")
    there, name = f"/admin/users/{id_of(ada)}", name_of(ada)
    assert root.request("DELETE", there).status == 422
    assert root.json("DELETE", f"{there}?name={name}", status=409)["code"] == "conflict"
    root.json("PATCH", there, {"is_disabled": True})
    assert root.request("DELETE", f"{there}?name=another").status == 400
    root.json("DELETE", f"{there}?name={name}", status=204)
    assert root.request("GET", there).status == 404
    assert root.request("DELETE", f"{there}?name={name}").status == 404
    assert root.json("GET", f"/admin/users?name={name}")["items"] == []
    assert audit(root, "user_removed", ada) == [(name, name_of(root), name)]


def test_sessions_and_device_tokens_of_others_are_seen_and_ended(root: Rest, ada: Rest) -> None:
    there = f"/admin/users/{id_of(ada)}"
    secret = ada.json("POST", "/tokens", {"name": "laptop"}, status=201)["token"]
    again = ada.sign_in(ada.drive)
    [token] = root.json("GET", there + "/tokens")["items"]
    assert token["name"] == "laptop"
    assert secret not in str(token)
    root.json("DELETE", f"{there}/tokens/{token['id']}", status=204)
    assert ada.dav("GET", "/", secret).status == 401
    assert root.request("DELETE", f"{there}/tokens/{token['id']}").status == 404
    sessions = root.json("GET", there + "/sessions")["items"]
    assert len(sessions) == 2
    assert not any(one["is_current"] for one in sessions)
    root.json("DELETE", f"{there}/sessions/{sessions[0]['id']}", status=204)
    assert sorted([ada.request("GET", "/me").status, again.request("GET", "/me").status]) == [200, 401]
    assert root.json("DELETE", there + "/sessions") == {"ended": 1}
    assert ada.request("GET", "/me").status == again.request("GET", "/me").status == 401
    assert root.request("GET", "/admin/users/999999/sessions").status == 404
    assert audit(root, "token_revoked", ada) == [(name_of(ada), name_of(root), "laptop")]
    ended = audit(root, "session_ended", ada)
    assert [(owner, actor) for owner, actor, _ in ended] == [(name_of(ada), name_of(root))] * 2
    # Nobody's own sessions are found below somebody else.
    [mine] = [one for one in root.json("GET", "/sessions")["items"] if one["is_current"]]
    assert root.request("DELETE", f"{there}/sessions/{mine['id']}").status == 404


def test_a_reset_token_and_the_second_factor_are_in_an_administrators_hands(rest: Rest, root: Rest, ada: Rest) -> None:
    there = f"/admin/users/{id_of(ada)}"
    token = root.json("POST", there + "/reset", status=201)["token"]
    rest.json("PUT", "/accounts/password", {"token": token, "new_password": "quite another"}, status=204)
    rest.json("POST", "/sessions", {"name": name_of(ada), "password": "quite another"}, status=201)
    root.json("DELETE", there + "/second-factor", status=204)
    for action in ("password_reset_sent", "second_factor_off"):
        assert audit(root, action, ada) == [(name_of(ada), name_of(root), None)]


def test_jobs_are_seen_tried_again_and_forgotten(rest: Rest, root: Rest) -> None:
    ids = [failed_job(rest, "no_such_kind") for _ in range(3)]
    page = root.json("GET", "/admin/jobs?state=failed&kind=no_such_kind&limit=2")
    assert [one["id"] for one in page["items"]] == [ids[2], ids[1]]
    assert page["items"][0]["about"] == {"owner_id": 1}
    rest_of_it = root.json("GET", f"/admin/jobs?state=failed&kind=no_such_kind&limit=2&cursor={page['next']}")
    assert ([one["id"] for one in rest_of_it["items"]], rest_of_it["next"]) == ([ids[0]], None)
    root.json("DELETE", f"/admin/jobs/{ids[0]}", status=204)
    assert root.request("GET", f"/admin/jobs/{ids[0]}").status == 404
    assert root.request("DELETE", f"/admin/jobs/{ids[0]}").status == 404
    assert root.request("POST", f"/admin/jobs/{ids[0]}/retry").status == 404
    with rest.services.database.write() as unit:
        unit.connection.execute(update(JobRow).where(JobRow.id == ids[1]).values(state="running", run_at=2**60))
    assert root.json("DELETE", f"/admin/jobs/{ids[1]}", status=409)["code"] == "conflict"
    assert root.json("POST", f"/admin/jobs/{ids[1]}/retry", status=409)["code"] == "conflict"
    root.json("POST", f"/admin/jobs/{ids[2]}/retry", status=204)
    told = root.json("GET", f"/admin/audit?action=job_retried&action=job_forgotten&user={name_of(root)}")["items"]
    assert [(one["action"], one["detail"]) for one in told] == [
        ("job_retried", f"no_such_kind {ids[2]}"),
        ("job_forgotten", f"no_such_kind {ids[0]}"),
    ]
    assert root.request("GET", "/admin/jobs?state=nonsense").status == 422


def test_infected_files_are_seen_by_name_released_and_deleted_and_never_read(root: Rest, ada: Rest) -> None:
    assert ada.drive is not None
    ada.drive.mkcol("/d")
    for name in ("a", "b"):
        ada.drive.put(f"/d/{name}", b"bad content")
    first, second = infect(ada, "/d/a"), infect(ada, "/d/b")
    ada.drive.lock("/d/b")
    found = [one for one in root.json("GET", "/admin/infected")["items"] if one["owner_id"] == id_of(ada)]
    assert [(one["file_id"], one["path"], one["size"], one["state"], one["signature"]) for one in found] == [
        (first, "/d/a", 11, "infected", "Test-Virus"),
        (second, "/d/b", 11, "infected", "Test-Virus"),
    ]
    assert root.request("GET", "/files/content?path=/d/a").status == 404
    there = f"/admin/infected/{id_of(ada)}"
    root.json("POST", f"{there}/{first}/release", status=204)
    assert ada.drive.request("GET", "/d/a").body == b"bad content"
    assert root.json("POST", f"{there}/{first}/release", status=409)["code"] == "conflict"
    assert root.request("DELETE", f"{there}/{first}").status == 404
    root.json("DELETE", f"{there}/{second}", status=204)
    assert ada.drive.request("GET", "/d/b").status == 404
    [left] = [one for one in root.json("GET", "/admin/infected")["items"] if one["file_id"] == second]
    assert left["path"] == "/.trash/b"
    root.json("DELETE", f"{there}/{second}", status=204)
    assert root.request("DELETE", f"{there}/{second}").status == 404
    items = ada.json("GET", "/activity?action=released&action=deleted&action=purged")["items"]
    assert [(one["action"], one["path"], one["actor"]) for one in items] == [
        ("purged", "/.trash/b", name_of(root)),
        ("deleted", "/d/b", name_of(root)),
        ("released", "/d/a", name_of(root)),
    ]


def test_pages_of_infected_files_hold_each_once_whatever_comes_and_goes_meanwhile(root: Rest, ada: Rest) -> None:
    assert ada.drive is not None
    for name in ("0", "1", "purged", "2", "3", "4"):
        ada.drive.put(f"/{name}", name.encode())
        infect(ada, f"/{name}")
    for gone in ("/purged", "/.trash/purged", "/3"):
        assert ada.drive.request("DELETE", gone).status == 204
    asked, seen = "/admin/infected?limit=2", []
    while asked:
        page = root.json("GET", asked)
        assert len(page["items"]) <= 2
        seen += [one["path"] for one in page["items"] if one["owner_id"] == id_of(ada)]
        if seen == ["/0", "/1"]:
            ada.drive.put("/0", b"good content")
            ada.drive.request("DELETE", "/.trash/0")
        asked = f"/admin/infected?limit=2&cursor={page['next']}" if page["next"] else ""
    assert seen == ["/0", "/1", "/2", "/.trash/3", "/4"]
    assert root.request("GET", "/admin/infected?cursor=WyJhIiwiYiJd").status == 400


def test_what_people_do_with_their_accounts_is_in_the_audit_log(rest: Rest, root: Rest, ada: Rest) -> None:
    invitation = root.json("POST", "/invitations", status=201)["invitation"]
    assert invitation
    [made] = audit(root, "invited", root)
    assert str(made[2]).startswith("invitation ")
    ada.sign_in(ada.drive)
    assert ada.json("DELETE", "/sessions") == {"ended": 1}
    assert audit(root, "session_ended", ada) == [(name_of(ada), name_of(ada), "1 session")]
    assert ada.drive is not None
    new = {"old_password": ada.drive.password, "new_password": "quite another"}
    ada.json("PUT", "/me/password", new, status=204)
    assert audit(root, "password_changed", ada) == [(name_of(ada), name_of(ada), None)]
