"""What a user sets, and what it changes: over REST, and for a WebDAV client."""

import csv
import io
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from davserver.domain.preferences import Notice
from tests.support.rest import Rest

QUOTA = '<D:propfind xmlns:D="DAV:"><D:prop><D:quota-used-bytes/><D:quota-available-bytes/></D:prop></D:propfind>'
USUAL = ["infected_upload", "new_device_token", "new_sign_in", "quota_nearly_full"]


def patch(client: Rest, body: dict[str, Any], status: int = 200, **headers: str) -> Any:
    return client.json("PATCH", "/settings", body, status=status, **headers)


def listed(client: Rest, body: str = "") -> str:
    assert client.drive is not None
    return client.drive.request("PROPFIND", "/", body, {"Depth": "1"}).text


def test_settings_are_shown_and_changed_one_by_one(ada: Rest) -> None:
    usual = {
        "trash_retention": None, "longest_trash_retention": 86_400, "hides_trash": False, "hides_quota": False,
        "time_zone": "UTC", "notify": USUAL,
    }  # fmt: skip
    assert ada.json("GET", "/settings") == usual
    changes: tuple[dict[str, Any], ...] = (
        {"trash_retention": 60}, {"hides_trash": True}, {"hides_quota": True}, {"time_zone": "Europe/Zurich"},
        {"notify": ["trash_purged"]}, {"notify": []}, {"trash_retention": None},
    )  # fmt: skip
    for change in changes:
        usual |= change
        assert patch(ada, change) == usual
        assert ada.json("GET", "/settings") == usual
    assert patch(ada, {}) == usual
    entries = ada.json("GET", "/activity?action=settings_changed")["items"]
    assert [one["detail"] for one in entries][-2:] == ["hides_trash", "trash_retention"]


def test_only_what_was_seen_is_changed_with_if_match(ada: Rest) -> None:
    etag = ada.request("GET", "/settings").headers["etag"]
    changed = ada.request("PATCH", "/settings", {"hides_trash": True}, If_Match=etag)
    assert (changed.status, changed.headers["etag"] != etag) == (200, True)
    assert patch(ada, {"hides_trash": False}, 412, If_Match=etag)["code"] == "precondition_failed"
    assert ada.json("GET", "/settings")["hides_trash"]
    patch(ada, {"hides_trash": False}, If_Match=changed.headers["etag"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"trash_retention": 86_401},
        {"trash_retention": -1},
        {"time_zone": "Mars/Base"},
        {"time_zone": "../etc/passwd"},
        {"time_zone": None},
        {"notify": ["everything"]},
        {"hides_trash": "perhaps"},
        {"colour": "red"},
        {"hides_quota": True, "time_zone": ""},
    ],
)
def test_what_cannot_be_set_is_refused_and_changes_nothing(ada: Rest, wrong: dict[str, Any]) -> None:
    before = ada.json("GET", "/settings")
    assert ada.request("PATCH", "/settings", wrong).status in {400, 422}
    assert ada.json("GET", "/settings") == before


def test_a_device_token_neither_sees_nor_changes_settings(ada: Rest) -> None:
    made = ada.json("POST", "/tokens", {"name": "laptop"}, status=201)
    device = Rest(ada.app, ada.services, ada.clock, made["token"], ada.drive)
    assert device.request("GET", "/settings").status == 403
    assert device.request("PATCH", "/settings", {"hides_trash": True}).status == 403


def test_who_hides_the_quota_is_told_none_over_webdav_and_all_of_it_over_rest(ada: Rest) -> None:
    assert ada.drive is not None
    ada.drive.put("/a", b"12345")
    assert "<D:quota-used-bytes>5<" in listed(ada, QUOTA)
    patch(ada, {"hides_quota": True})
    hidden = listed(ada, QUOTA)
    assert "<D:quota-used-bytes>5<" not in hidden
    assert "404 Not Found" in hidden
    assert ada.json("GET", "/statistics")["quota"]["used"] == 5
    patch(ada, {"hides_quota": False})
    assert "<D:quota-used-bytes>5<" in listed(ada, QUOTA)


def test_who_hides_the_trash_sees_it_in_no_listing_of_either_door(ada: Rest) -> None:
    assert ".trash" in listed(ada)
    patch(ada, {"hides_trash": True})
    assert ".trash" not in listed(ada)
    assert ada.json("GET", "/files")["items"] == []
    patch(ada, {"hides_trash": False})
    assert ".trash" in listed(ada)


def test_what_is_deleted_over_webdav_stays_as_long_as_its_owner_said(ada: Rest) -> None:
    assert ada.drive is not None
    ada.drive.put("/a", b"1")
    ada.drive.put("/b", b"1")
    ada.drive.request("DELETE", "/a")
    patch(ada, {"trash_retention": 3600})
    ada.drive.request("DELETE", "/b")
    kept = {
        one["name"]: datetime.fromisoformat(one["purge_at"]) - datetime.fromisoformat(one["discarded_at"])
        for one in ada.json("GET", "/trash")["items"]
    }
    assert {name: int(time.total_seconds()) for name, time in kept.items()} == {"a": 86_400, "b": 3_600}


def test_the_activity_log_is_exported_in_the_time_zone_of_its_reader(ada: Rest) -> None:
    assert ada.drive is not None
    ada.drive.put("/=1+1", b"12345")
    patch(ada, {"time_zone": "Asia/Kolkata"})
    answer = ada.request("GET", "/activity/export?action=uploaded")
    assert answer.headers["content-type"].startswith("text/csv")
    [line] = csv.DictReader(io.StringIO(answer.text))
    (entry,) = ada.json("GET", "/activity?action=uploaded")["items"]
    at = datetime.fromisoformat(entry["at"]).replace(microsecond=0)
    assert datetime.fromisoformat(line["at"]) == at
    assert line["at"] == f"{at.astimezone(ZoneInfo('Asia/Kolkata')):%Y-%m-%d %H:%M:%S}+05:30"
    assert (line["path"], line["size"], line["door"], line["owner"]) == (
        "/=1+1", "5", "webdav", ada.drive.principal.name,
    )  # fmt: skip
    assert ada.request("GET", "/activity/export?action=nonsense").status == 422


def test_a_file_name_in_an_export_is_no_formula_to_a_spreadsheet(ada: Rest) -> None:
    ada.json("POST", "/tokens", {"name": "=1+1"}, status=201)
    [line] = csv.DictReader(io.StringIO(ada.request("GET", "/activity/export?action=token_created").text))
    assert line["detail"] == "'=1+1"


def test_other_services_learn_what_a_user_wants_to_be_told(ada: Rest) -> None:
    assert ada.drive is not None
    settings, who = ada.services.settings, ada.drive.principal.user_id
    assert {one for one in Notice if settings.wants(who, one)} == {*USUAL}
    patch(ada, {"notify": ["trash_purged"]})
    assert [one for one in Notice if settings.wants(who, one)] == [Notice.TRASH_PURGED]
    patch(ada, {"notify": []})
    assert not any(settings.wants(who, one) for one in Notice)
    assert not settings.wants(10**9, Notice.INFECTED_UPLOAD)
