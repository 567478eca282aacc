"""PROPPATCH: rules R32, R33, R44 of the clients, their section 4.2, and what wsgidav.md 3.4 and 3.7 list of the base."""

from typing import Any

import pytest
from lxml import etree

from providers.methods.proppatch import read_patch
from tests.support.drive import DAV, Drive, Response

WIN32 = "urn:schemas-microsoft-com:"
Z = f"{{{WIN32}}}"
WINDOWS = """<?xml version="1.0" encoding="utf-8" ?><D:propertyupdate xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:">
<D:set><D:prop><Z:Win32CreationTime>Tue, 07 Mar 2023 10:00:00 GMT</Z:Win32CreationTime>
<Z:Win32LastAccessTime>Wed, 08 Mar 2023 11:00:00 GMT</Z:Win32LastAccessTime>
<Z:Win32LastModifiedTime>Thu, 09 Mar 2023 12:00:00 GMT</Z:Win32LastModifiedTime>
<Z:Win32FileAttributes>00000020</Z:Win32FileAttributes></D:prop></D:set></D:propertyupdate>"""


def update(*instructions: str) -> str:
    return f'<D:propertyupdate xmlns:D="DAV:">{"".join(instructions)}</D:propertyupdate>'


def setting(*elements: str) -> str:
    return f"<D:set><D:prop>{''.join(elements)}</D:prop></D:set>"


def removing(*elements: str) -> str:
    return f"<D:remove><D:prop>{''.join(elements)}</D:prop></D:remove>"


def patch(drive: Drive, path: str, *instructions: str, headers: dict[str, str] | None = None) -> Response:
    response = drive.request("PROPPATCH", path, update(*instructions), headers)
    assert response.status == 207, response
    return response


def statuses(response: Response) -> dict[str, str]:
    """Local name -> status code."""
    found = {}
    for stat in response.xml.iter(f"{DAV}propstat"):
        for element in stat.find(f"{DAV}prop"):
            found[etree.QName(element).localname] = stat.findtext(f"{DAV}status").split()[1]
    return found


def read(drive: Drive, path: str, element: str) -> Any:
    """The property as PROPFIND shows it, or None."""
    body = f'<D:propfind xmlns:D="DAV:"><D:prop>{element}</D:prop></D:propfind>'
    response = drive.request("PROPFIND", path, body, {"Depth": "0"})
    return next(iter(response.props().values()), None)


def infoset(element: Any) -> Any:
    return (
        element.tag,
        sorted(element.attrib.items()),
        element.text or "",
        [(infoset(e), e.tail or "") for e in element],
    )


@pytest.mark.parametrize(
    "element",
    [
        '<x:p xmlns:x="urn:x">plain</x:p>',
        '<p xmlns="">no namespace</p>',
        '<p xmlns="http://example.com/neon/litmus/">default</p>',
        '<x:p xmlns:x="urn:x" a="1" x:b="2 &amp; 3">mixed <x:q>content</x:q> and <r/> tail</x:p>',
        '<x:p xmlns:x="urn:x"><y xmlns="urn:y"><z xmlns=""/></y></x:p>',
        '<x:p xmlns:x="urn:x" xml:lang="de">größe &#x1F600; &lt;tag&gt; ]]&gt;</x:p>',
        "<D:custom>in DAV:</D:custom>",
        '<D:p xmlns:D="urn:another">bound anew</D:p>',
        '<x:p xmlns:x="urn:x"> \n white &#13; space \t </x:p>',
        '<x:p xmlns:x="urn:x"/>',
        '<x:p xmlns:x="urn:x"><![CDATA[<raw> & text]]></x:p>',
        '<x:executable xmlns:x="http://apache.org/dav/props/">T</x:executable>',
        '<s:lastmodified xmlns:s="SAR:">Fri, 09 Mar 2018 12:00:00 GMT</s:lastmodified>',
    ],
)
def test_r32_a_dead_property_reads_back_as_it_was_set(drive: Drive, element: str) -> None:
    drive.put("/a")
    assert set(statuses(patch(drive, "/a", setting(element))).values()) == {"200"}
    sent = etree.fromstring(f'<D:prop xmlns:D="DAV:">{element}</D:prop>')[0]
    name = etree.QName(sent)
    asked = f'<n:{name.localname} xmlns:n="{name.namespace}"/>' if name.namespace else f"<{name.localname}/>"
    for shown in (read(drive, "/a", asked), drive.request("PROPFIND", "/a").props()[sent.tag]):
        assert infoset(shown) == infoset(sent)


def test_the_language_of_an_element_around_it_is_kept(drive: Drive) -> None:
    drive.put("/a")
    body = update('<D:set xml:lang="fr"><D:prop><x:p xmlns:x="urn:x">mot</x:p></D:prop></D:set>')
    drive.request("PROPPATCH", "/a", body)
    shown = read(drive, "/a", '<x:p xmlns:x="urn:x"/>')
    assert shown.get("{http://www.w3.org/XML/1998/namespace}lang") == "fr"


def test_instructions_are_obeyed_in_the_order_of_the_document(drive: Drive) -> None:
    drive.put("/a")
    p = '<x:p xmlns:x="urn:x">%s</x:p>'
    patch(drive, "/a", setting(p % 1), removing(p % ""), setting(p % 2, p % 3))
    assert read(drive, "/a", p % "").text == "3"
    patch(drive, "/a", setting(p % 4), removing(p % ""))
    assert read(drive, "/a", p % "") is None


def test_removing_what_is_not_there_is_no_error(drive: Drive) -> None:
    drive.put("/a")
    assert statuses(patch(drive, "/a", removing('<x:p xmlns:x="urn:x"/>'))) == {"p": "200"}


def test_one_refusal_undoes_all_the_rest(drive: Drive) -> None:
    drive.put("/a")
    before = read(drive, "/a", "<D:getlastmodified/>").text
    p = '<x:p xmlns:x="urn:x">1</x:p>'
    time = "<D:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</D:getlastmodified>"
    response = patch(drive, "/a", setting(p, time), setting("<D:getetag>mine</D:getetag>"))
    assert statuses(response) == {"p": "424", "getlastmodified": "424", "getetag": "403"}
    assert response.xml.find(f".//{DAV}propstat/{DAV}error/{DAV}cannot-modify-protected-property") is not None
    assert read(drive, "/a", p) is None
    assert read(drive, "/a", "<D:getlastmodified/>").text == before


@pytest.mark.parametrize(
    "name",
    ["getetag", "getcontentlength", "getcontenttype", "resourcetype", "supportedlock", "lockdiscovery",
     "quota-used-bytes", "quota-available-bytes"],
)  # fmt: skip
def test_r32_a_protected_property_is_refused_inside_the_207(drive: Drive, name: str) -> None:
    drive.put("/a")
    for instruction in (setting(f"<D:{name}>1</D:{name}>"), removing(f"<D:{name}/>")):
        assert statuses(patch(drive, "/a", instruction)) == {name: "403"}


def test_what_is_unknown_in_the_body_is_ignored(drive: Drive) -> None:
    drive.put("/a")
    p = '<x:p xmlns:x="urn:x">1</x:p>'
    body = update(
        '<D:unknown/><x:set xmlns:x="urn:x"/>',
        f"<!-- c --><?i?><D:set><D:other/><D:prop><!-- c -->{p}</D:prop></D:set>",
    )
    assert statuses(drive.request("PROPPATCH", "/a", body)) == {"p": "200"}
    assert read(drive, "/a", p).text == "1"


def test_an_update_of_nothing_is_207_with_a_propstat(drive: Drive) -> None:
    drive.put("/a")
    response = patch(drive, "/a")
    assert response.xml.findtext(f"{DAV}response/{DAV}propstat/{DAV}status") == "HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    "body",
    ["", "text", "<D:propertyupdate", '<D:propfind xmlns:D="DAV:"/>', "<propertyupdate/>",
     f'<!DOCTYPE x [<!ENTITY e "v">]>{update(setting("<p>&e;</p>"))}'],
)  # fmt: skip
def test_a_body_that_cannot_be_used_is_400(drive: Drive, body: str) -> None:
    drive.put("/a")
    assert drive.request("PROPPATCH", "/a", body).status == 400


def test_limits_of_the_body_hold_declared_or_not(drive: Drive) -> None:
    drive.put("/a")
    body = update(setting(f'<x:p xmlns:x="urn:x">{"v" * drive.services.config.max_xml_size}</x:p>'))
    assert drive.request("PROPPATCH", "/a", body).status == 413
    assert drive.request("PROPPATCH", "/a", body, chunked=True).status == 413
    fits = update(setting('<x:p xmlns:x="urn:x">v</x:p>'))
    assert drive.request("PROPPATCH", "/a", fits, chunked=True).status == 207
    assert drive.request("PROPPATCH", "/a", fits[:40], cut_off=True, length=len(fits)).status == 400


def test_a_name_that_is_too_long_is_refused_inside_the_207(drive: Drive) -> None:
    drive.put("/a")
    long_name, long_namespace = "n" * 256, "urn:" + "x" * 600
    response = patch(drive, "/a", setting(f"<{long_name}/>", f'<x:p xmlns:x="{long_namespace}"/>', "<q/>"))
    assert statuses(response) == {long_name: "409", "p": "409", "q": "424"}


def test_r12_what_is_missing_is_404(drive: Drive) -> None:
    assert drive.request("PROPPATCH", "/missing", update(setting("<p/>"))).status == 404


def test_r17_the_href_of_a_collection_ends_with_a_slash(drive: Drive) -> None:
    drive.mkcol("/d")
    assert patch(drive, "/d", setting("<p>1</p>")).hrefs == ["/dav/d/"]
    assert read(drive, "/d/", "<p/>").text == "1"


@pytest.mark.parametrize(
    "element",
    [
        "<D:getlastmodified>Thu, 09 Mar 2023 12:00:00 GMT</D:getlastmodified>",
        "<D:getlastmodified>Thu, 9 Mar 2023 12:00:00 GMT</D:getlastmodified>",
        "<D:getlastmodified>Thursday, 09-Mar-23 12:00:00 GMT</D:getlastmodified>",
        "<D:getlastmodified>Thu Mar  9 12:00:00 2023</D:getlastmodified>",
        "<D:getlastmodified>\n Thu, 09 Mar 2023 13:00:00 +0100 </D:getlastmodified>",
        "<D:lastmodified>1678363200</D:lastmodified>",
        "<D:lastmodified>1678363200.75</D:lastmodified>",
        "<D:lastmodified>Thu, 09 Mar 2023 12:00:00 GMT</D:lastmodified>",
        "<D:lastmodified>2023-03-09T12:00:00Z</D:lastmodified>",
        f'<Z:Win32LastModifiedTime xmlns:Z="{WIN32}">Thu, 09 Mar 2023 12:00:00 GMT</Z:Win32LastModifiedTime>',
    ],
)
def test_r33_each_way_to_set_the_time_of_change_shows_in_the_listing(drive: Drive, element: str) -> None:
    etag = drive.put("/a").headers["etag"]
    assert set(statuses(patch(drive, "/a", setting(element))).values()) == {"200"}
    assert read(drive, "/a", "<D:getlastmodified/>").text == "Thu, 09 Mar 2023 12:00:00 GMT"
    head = drive.request("HEAD", "/a").headers
    assert head["last-modified"] == "Thu, 09 Mar 2023 12:00:00 GMT"
    assert head["etag"] == etag


@pytest.mark.parametrize(
    "element",
    [
        "<D:creationdate>2023-03-07T10:00:00Z</D:creationdate>",
        "<D:creationdate>2023-03-07T10:00:00.5Z</D:creationdate>",
        "<D:creationdate>2023-03-07t11:00:00+01:00</D:creationdate>",
        f'<Z:Win32CreationTime xmlns:Z="{WIN32}">Tue, 07 Mar 2023 10:00:00 GMT</Z:Win32CreationTime>',
    ],
)
def test_r33_each_way_to_set_the_time_of_creation_shows_in_the_listing(drive: Drive, element: str) -> None:
    drive.put("/a")
    assert set(statuses(patch(drive, "/a", setting(element))).values()) == {"200"}
    assert read(drive, "/a", "<D:creationdate/>").text == "2023-03-07T10:00:00Z"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "Thu, 99 Mar 2023 12:00:00 GMT",
        "99999999999999",
        "-99999999999999",
        "0001-01-01T00:00:00Z",
        "1e5",
    ],
)
def test_a_date_that_cannot_be_kept_is_409_inside_the_207_and_nothing_is_done(drive: Drive, value: str) -> None:
    drive.put("/a")
    before = drive.request("PROPFIND", "/a").body
    for name in ("getlastmodified", "lastmodified", "creationdate"):
        response = patch(drive, "/a", setting(f"<D:{name}>{value}</D:{name}>", "<p>1</p>"))
        assert statuses(response) == {name: "409", "p": "424"}
    assert drive.request("PROPFIND", "/a").body == before


def test_r33_the_later_of_two_times_wins(drive: Drive) -> None:
    drive.put("/a")
    patch(
        drive, "/a", setting("<D:lastmodified>1</D:lastmodified>", "<D:getlastmodified>1678363200</D:getlastmodified>")
    )
    assert read(drive, "/a", "<D:getlastmodified/>").text == "Thu, 09 Mar 2023 12:00:00 GMT"


def test_r32_what_windows_sends_is_accepted_and_reads_back_as_sent(drive: Drive) -> None:
    drive.put("/a")
    response = drive.request("PROPPATCH", "/a", WINDOWS)
    assert response.status == 207
    assert set(statuses(response).values()) == {"200"}
    body = '<D:propfind xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:"><D:prop>{}</D:prop></D:propfind>'.format(
        "".join(f"<Z:Win32{n}/>" for n in ("CreationTime", "LastAccessTime", "LastModifiedTime", "FileAttributes"))
    )
    found = drive.request("PROPFIND", "/a", body).props()
    assert {tag.removeprefix(Z): element.text for tag, element in found.items()} == {
        "Win32CreationTime": "Tue, 07 Mar 2023 10:00:00 GMT",
        "Win32LastAccessTime": "Wed, 08 Mar 2023 11:00:00 GMT",
        "Win32LastModifiedTime": "Thu, 09 Mar 2023 12:00:00 GMT",
        "Win32FileAttributes": "00000020",
    }
    live = drive.request("PROPFIND", "/a").props()
    assert live[f"{DAV}getlastmodified"].text == "Thu, 09 Mar 2023 12:00:00 GMT"
    assert live[f"{DAV}creationdate"].text == "2023-03-07T10:00:00Z"
    assert live[f"{Z}Win32FileAttributes"].text == "00000020"


def test_windows_may_remove_its_properties(drive: Drive) -> None:
    drive.put("/a")
    drive.request("PROPPATCH", "/a", WINDOWS)
    gone = removing(f'<Z:Win32LastModifiedTime xmlns:Z="{WIN32}"/>', f'<Z:Win32FileAttributes xmlns:Z="{WIN32}"/>')
    assert set(statuses(patch(drive, "/a", gone)).values()) == {"200"}
    assert read(drive, "/a", f'<Z:Win32FileAttributes xmlns:Z="{WIN32}"/>') is None
    assert read(drive, "/a", "<D:getlastmodified/>").text == "Thu, 09 Mar 2023 12:00:00 GMT"


def test_the_answer_names_properties_in_their_namespaces_with_a_prefix(drive: Drive) -> None:
    drive.put("/a")
    response = drive.request("PROPPATCH", "/a", WINDOWS)
    assert 'xmlns="' not in response.text
    assert f"{Z}Win32FileAttributes" in response.props()
    assert response.headers["content-type"] == "application/xml; charset=utf-8"


def test_a_lock_keeps_others_and_the_holder_without_the_token_out(drive: Drive) -> None:
    drive.put("/a")
    token = drive.lock("/a")
    body = update(setting("<p>1</p>"))
    assert drive.request("PROPPATCH", "/a", body).status == 423
    assert (
        drive.request("PROPPATCH", "/a", body, {"If": "(<urn:uuid:00000000-0000-0000-0000-000000000000>)"}).status
        == 412
    )
    assert drive.request("PROPPATCH", "/a", body, {"If": f"(<{token}>)"}).status == 207


def test_r44_office_sets_its_attributes_under_its_own_lock_without_the_token(drive: Drive) -> None:
    drive.put("/a")
    drive.lock("/a")
    assert drive.request("PROPPATCH", "/a", WINDOWS).status == 207
    assert read(drive, "/a", f'<Z:Win32FileAttributes xmlns:Z="{WIN32}"/>').text == "00000020"
    mixed = WINDOWS.replace("<D:set><D:prop>", "<D:set><D:prop><p>1</p>", 1)
    assert drive.request("PROPPATCH", "/a", mixed).status == 423
    wrong = {"If": "(<urn:uuid:00000000-0000-0000-0000-000000000000>)"}
    assert drive.request("PROPPATCH", "/a", WINDOWS, wrong).status == 412


def test_r50_a_cached_etag_is_no_condition_of_proppatch(drive: Drive) -> None:
    etag = drive.put("/a").headers["etag"]
    for value in (etag, "JoplinIgnore-12345"):
        patch(drive, "/a", setting("<p>1</p>"), headers={"If-None-Match": value})


def test_r32_properties_survive_a_move_and_go_along_with_a_copy(drive: Drive) -> None:
    drive.put("/a")
    patch(drive, "/a", setting("<p>1</p>"))
    drive.request("COPY", "/a", headers={"Destination": drive.url("/b")})
    drive.request("MOVE", "/a", headers={"Destination": drive.url("/c")})
    assert read(drive, "/b", "<p/>").text == read(drive, "/c", "<p/>").text == "1"


def test_r32_a_refusal_of_the_whole_is_inside_the_207_too(drive: Drive) -> None:
    drive.put("/a")
    assert drive.request("DELETE", "/a").status == 204
    assert statuses(patch(drive, "/.trash/a", setting("<p>1</p>"))) == {"p": "403"}


def test_a_failed_condition_is_412_even_when_a_property_is_refused(drive: Drive) -> None:
    drive.put("/a")
    body = update(setting("<D:getetag>1</D:getetag>"))
    assert drive.request("PROPPATCH", "/a", body, {"If": '(["other"])'}).status == 412


def test_an_update_is_about_windows_alone_only_when_every_name_is() -> None:
    assert read_patch(WINDOWS.encode()).is_all_win32
    assert not read_patch(update(setting("<p/>")).encode()).is_all_win32
    assert not read_patch(update().encode()).is_all_win32


def test_a_checksum_that_is_true_can_be_set_together_with_the_time_and_no_other(drive: Drive) -> None:
    """Rules R32, R33: rclone repeats the checksum that it knows whenever it sets a time."""
    known = "87acec17cd9dcd20a716cc2cf67417b71c8a7016"
    drive.request("PUT", "/a", "aaaaaaaaaa", {"OC-Checksum": "SHA1:3495ff69d34671d1e15b33a63c1379fdedd3a32a"})

    def both(value: str) -> dict[str, str]:
        sums = f'<o:checksums xmlns:o="http://owncloud.org/ns"><o:checksum>{value}</o:checksum></o:checksums>'
        return statuses(patch(drive, "/a", setting("<D:lastmodified>981173106</D:lastmodified>", sums)))

    for wrong in (f"SHA1:{known}", "MD5:e09c80c42fda55f9d992e59ca6b3307d"):
        assert both(wrong) == {"checksums": "409", "lastmodified": "424"}
    assert both("SHA1:3495FF69D34671D1E15B33A63C1379FDEDD3A32A") == {"checksums": "200", "lastmodified": "200"}
    assert read(drive, "/a", "<D:getlastmodified/>").text == "Sat, 03 Feb 2001 04:05:06 GMT"
    assert drive.request("GET", "/a").headers["oc-checksum"] == "SHA1:3495ff69d34671d1e15b33a63c1379fdedd3a32a"
