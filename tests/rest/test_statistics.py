"""Statistics over REST."""

from datetime import datetime
from zoneinfo import ZoneInfo

from tests.support.rest import Rest


def test_a_drive_in_figures_and_its_largest_files(ada: Rest) -> None:
    token = ada.json("POST", "/tokens", {"name": "laptop"}, status=201)["token"]
    ada.dav("MKCOL", "/my%20photos", token)
    for n in range(12):
        ada.dav("PUT", f"/my%20photos/{n}.txt", token, b"x" * (n + 1), Content_Type="text/plain")
    ada.dav("DELETE", "/my%20photos/11.txt", token)
    shown = ada.json("GET", "/statistics")
    assert (shown["files"], shown["size"], shown["folders"]) == (11, 66, 1)
    assert shown["trash"] == {"files": 1, "size": 12}
    assert shown["quota"]["used"] == 78
    assert sum(one["size"] for one in shown["by_type"]) == 66
    assert {**shown["growth"][-1], "day": None} == {"files": 11, "size": 66, "trash_size": 12, "day": None}
    top = ada.json("GET", "/statistics/top")["items"]
    assert [one["path"] for one in top] == [f"/my%20photos/{n}.txt" for n in range(10, 0, -1)]


def test_growth_is_by_the_days_of_the_reader(ada: Rest) -> None:
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        ada.json("PATCH", "/settings", {"time_zone": zone})
        shown = ada.json("GET", "/statistics?days=1")
        there = datetime.fromisoformat(shown["as_of"]).astimezone(ZoneInfo(zone))
        assert [one["day"] for one in shown["growth"]] == [there.date().isoformat()]
    assert ada.request("GET", "/statistics?days=0").status == 422
