"""Statistics over REST."""

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
    assert shown["growth"][-1]["total_size"] == 66
    top = ada.json("GET", "/statistics/top")["items"]
    assert [one["path"] for one in top] == [f"/my%20photos/{n}.txt" for n in range(10, 0, -1)]
