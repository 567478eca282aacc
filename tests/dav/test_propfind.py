"""PROPFIND: rules R12 to R24, R46, R50, R51 of the clients, and what wsgidav.md 3.4 lists of the base."""

import unicodedata
from collections.abc import Iterable
from dataclasses import replace

import pytest
from lxml import etree

from providers.methods import propfind
from tests.support.drive import DAV, Drive, Response, app_of

ALL = '<D:propfind xmlns:D="DAV:"><D:allprop/>%s</D:propfind>'
NAMES = '<?xml version="1.0"?><propfind xmlns="DAV:"><propname/></propfind>'
ALLPROP_OF_A_FILE = {
    "creationdate", "displayname", "getcontentlength", "getcontenttype", "getetag", "getlastmodified", "resourcetype",
}  # fmt: skip
MACOS_15_3 = "WebDAVFS/3.0.0 (03008000) Darwin/24.3.0 (arm64)"
MACOS_15_4 = "WebDAVFS/3.0.0 (03008000) Darwin/24.4.0 (arm64)"
MACOS_26 = "WebDAVFS/3.0.0 (03008000) Darwin/25.0.0 (arm64)"


def asking_for(*names: str) -> str:
    return f'<D:propfind xmlns:D="DAV:"><D:prop>{"".join(f"<D:{name}/>" for name in names)}</D:prop></D:propfind>'


def ask(drive: Drive, path: str, *names: str, depth: str = "0", headers: dict[str, str] | None = None) -> Response:
    response = drive.request("PROPFIND", path, asking_for(*names), {"Depth": depth, **(headers or {})})
    assert response.status == 207, response
    return response


def local(tags: Iterable[str]) -> set[str]:
    return {etree.QName(tag).localname for tag in tags}


def set_property(drive: Drive, path: str, element: str) -> None:
    body = f'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop>{element}</D:prop></D:set></D:propertyupdate>'
    assert " 200 " in drive.request("PROPPATCH", path, body).text


def test_r12_what_is_missing_is_404_and_not_a_multistatus(drive: Drive) -> None:
    for headers in ({}, {"Depth": "0"}, {"Depth": "1"}):
        assert drive.request("PROPFIND", "/missing", headers=headers).status == 404


@pytest.mark.parametrize(
    "content_type", [None, "application/xml", "text/xml", 'text/xml; charset="utf-8"', "text/plain",
                     "application/x-www-form-urlencoded", "application/octet-stream"],
)  # fmt: skip
def test_r13_the_content_type_of_the_body_does_not_matter(drive: Drive, content_type: str | None) -> None:
    headers = {"Depth": "0"} | ({"Content-Type": content_type} if content_type else {})
    assert drive.request("PROPFIND", "/", asking_for("resourcetype"), headers).status == 207
    assert drive.request("PROPFIND", "/", b"", headers).status == 207


def test_r13_an_empty_body_asks_for_all_properties(drive: Drive) -> None:
    drive.put("/a")
    for body in ("", " \r\n", ALL % ""):
        response = drive.request("PROPFIND", "/a", body, {"Depth": "0"})
        assert local(response.props()) == ALLPROP_OF_A_FILE
        assert response.props(status=404) == {}


def test_r13_propname_tells_the_names_and_no_values(drive: Drive) -> None:
    drive.put("/a")
    set_property(drive, "/a", '<x:mine xmlns:x="urn:x">value</x:mine>')
    found = drive.request("PROPFIND", "/a", NAMES, {"Depth": "0"}).props()
    assert local(found) == ALLPROP_OF_A_FILE | {"supportedlock", "lockdiscovery", "mine", "verdict", "verdict-reason"}
    assert all(len(element) == 0 and element.text is None for element in found.values())
    assert "quota-used-bytes" in local(drive.request("PROPFIND", "/", NAMES, {"Depth": "0"}).props())


def test_r13_a_prop_without_a_name_is_answered_with_a_propstat(drive: Drive) -> None:
    response = drive.request("PROPFIND", "/", asking_for(), {"Depth": "0"})
    assert response.status == 207
    assert response.props() == {}
    assert response.xml.findtext(f"{DAV}response/{DAV}propstat/{DAV}status") == "HTTP/1.1 200 OK"


def test_r13_several_prop_elements_are_one(drive: Drive) -> None:
    body = '<propfind xmlns="DAV:"><prop><resourcetype/><getetag/></prop><prop><getlastmodified/><getetag/></prop></propfind>'
    drive.put("/a")
    found = drive.request("PROPFIND", "/a", body, {"Depth": "0"})
    assert [etree.QName(tag).localname for tag in found.props()] == ["resourcetype", "getetag", "getlastmodified"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1"])
def test_r13_a_body_in_another_encoding_is_understood(drive: Drive, encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>{asking_for("resourcetype")}'
    response = drive.request("PROPFIND", "/", text.encode(encoding), {"Depth": "0"})
    assert local(response.props()) == {"resourcetype"}


def test_a_chunked_body_is_read_and_not_taken_for_allprop(drive: Drive) -> None:
    response = drive.request("PROPFIND", "/", asking_for("resourcetype"), {"Depth": "0"}, chunked=True)
    assert local(response.props()) == {"resourcetype"}


def test_comments_and_instructions_in_the_body_are_passed_over(drive: Drive) -> None:
    body = (
        '<?xml version="1.0"?><!-- a --><?b?><propfind xmlns="DAV:"><!-- c --><prop><!-- d --><resourcetype/><?e?>'
        "</prop></propfind><!-- f -->"
    )
    response = drive.request("PROPFIND", "/", body, {"Depth": "0"})
    assert response.status == 207
    assert local(response.props()) == {"resourcetype"}


def test_include_adds_to_allprop_what_it_leaves_out(drive: Drive) -> None:
    drive.put("/a")
    body = ALL % "<D:include><D:supportedlock/><D:getetag/><D:missing/></D:include>"
    response = drive.request("PROPFIND", "/a", body, {"Depth": "0"})
    assert local(response.props()) == ALLPROP_OF_A_FILE | {"supportedlock"}
    assert local(response.props(status=404)) == {"missing"}


def test_include_shows_a_dead_property_once(drive: Drive) -> None:
    drive.put("/a")
    set_property(drive, "/a", '<x:mine xmlns:x="urn:x">value</x:mine>')
    body = ALL % '<D:include><x:mine xmlns:x="urn:x"/></D:include>'
    response = drive.request("PROPFIND", "/a", body, {"Depth": "0"})
    assert response.text.count(">value<") == 1
    assert response.props(status=404) == {}


@pytest.mark.parametrize(
    "body",
    [
        "<propfind",
        "no xml at all",
        '<D:propfind xmlns:D="DAV:"/>',
        '<D:propfind xmlns:D="DAV:"><E:expired xmlns:E="urn:e"/></D:propfind>',
        '<D:propfind xmlns:D="DAV:"><D:allprop/><D:propname/></D:propfind>',
        '<D:other xmlns:D="DAV:"><D:allprop/></D:other>',
        "<propfind><allprop/></propfind>",
        '<D:propfind xmlns:D="DAV:"><D:prop><x:y xmlns:x=""/></D:prop></D:propfind>',
        '<!DOCTYPE D:propfind><D:propfind xmlns:D="DAV:"><D:allprop/></D:propfind>',
        '<!DOCTYPE p [<!ENTITY e "x">]><D:propfind xmlns:D="DAV:"><D:prop><a>&e;</a></D:prop></D:propfind>',
    ],
)
def test_a_body_that_cannot_be_used_is_400(drive: Drive, body: str) -> None:
    for chunked in (False, True):
        response = drive.request("PROPFIND", "/", body, chunked=chunked)
        assert response.status == 400
        assert "Traceback" not in response.text


def test_what_is_unknown_beside_a_known_element_is_ignored(drive: Drive) -> None:
    body = '<D:propfind xmlns:D="DAV:" xmlns:E="urn:e"><E:x/><D:propname/><D:leave-out/></D:propfind>'
    assert drive.request("PROPFIND", "/", body).status == 207


def test_a_body_over_the_limit_is_413_declared_or_not(drive: Drive) -> None:
    body = asking_for("resourcetype") + " " * drive.services.config.max_xml_size
    assert drive.request("PROPFIND", "/", body).status == 413
    assert drive.request("PROPFIND", "/", body, chunked=True).status == 413
    assert drive.request("PROPFIND", "/", b"", length=10**12).status == 413


def test_too_many_properties_are_413(drive: Drive) -> None:
    names = [f"p{i}" for i in range(propfind.MAX_PROPERTIES)]
    assert drive.request("PROPFIND", "/", asking_for(*names), {"Depth": "0"}).status == 207
    assert drive.request("PROPFIND", "/", asking_for(*names, "one-more"), {"Depth": "0"}).status == 413


def test_a_body_that_is_cut_off_is_400(drive: Drive) -> None:
    assert drive.request("PROPFIND", "/", asking_for("getetag")[:30], cut_off=True, length=90).status == 400


def make_branch(drive: Drive) -> None:
    drive.mkcol("/d")
    drive.put("/d/f")
    drive.mkcol("/d/e")
    drive.put("/d/e/g")


def test_r14_without_depth_a_collection_is_listed_with_its_members(drive: Drive) -> None:
    make_branch(drive)
    assert set(drive.request("PROPFIND", "/d").hrefs) == {"/dav/d/", "/dav/d/e/", "/dav/d/f"}
    assert drive.request("PROPFIND", "/d/f").hrefs == ["/dav/d/f"]


@pytest.mark.parametrize(
    ("depth", "expected"),
    [
        ("0", {"/dav/d/"}),
        ("1", {"/dav/d/", "/dav/d/e/", "/dav/d/f"}),
        ("1,noroot", {"/dav/d/", "/dav/d/e/", "/dav/d/f"}),
        ("infinity", {"/dav/d/", "/dav/d/e/", "/dav/d/f", "/dav/d/e/g"}),
        ("Infinity", {"/dav/d/", "/dav/d/e/", "/dav/d/f", "/dav/d/e/g"}),
    ],
)
def test_r14_depth_is_obeyed(drive: Drive, depth: str, expected: set[str]) -> None:
    make_branch(drive)
    hrefs = drive.request("PROPFIND", "/d", headers={"Depth": depth}).hrefs
    assert hrefs[0] == "/dav/d/"
    assert set(hrefs) == expected
    assert len(hrefs) == len(expected)


def test_r14_depth_1_on_a_file_is_ignored_and_nonsense_is_400(drive: Drive) -> None:
    drive.put("/f")
    assert drive.request("PROPFIND", "/f", headers={"Depth": "1"}).hrefs == ["/dav/f"]
    assert drive.request("PROPFIND", "/f", headers={"Depth": "two"}).status == 400


def test_r15_every_dav_element_has_the_one_prefix_and_there_is_no_white_space(drive: Drive) -> None:
    drive.put("/a")
    set_property(drive, "/a", '<author xmlns="DAV:"><name>me</name></author>')
    drive.lock("/a")
    response = ask(drive, "/", "lockdiscovery", "supportedlock", "resourcetype", "author", depth="1")
    assert response.text.startswith('<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">')
    for element in response.xml.iter():
        assert element.prefix == "D", element
        assert (element.text or "x").strip()
        assert (element.tail or "x").strip()
    assert response.headers["content-type"] == "application/xml; charset=utf-8"
    assert int(response.headers["content-length"]) == len(response.body)


def test_r16_href_is_first_then_what_was_found_then_what_was_not(drive: Drive) -> None:
    drive.put("/a")
    response = ask(drive, "/", "missing", "getetag", "resourcetype", depth="1")
    for found in response.xml:
        kinds = [etree.QName(member).localname for member in found]
        assert kinds == ["href", "propstat", "propstat"]
        assert [s.text for s in found.findall(f"{DAV}propstat/{DAV}status")] == [
            "HTTP/1.1 200 OK",
            "HTTP/1.1 404 Not Found",
        ]


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("/plain-1_2.txt", "/plain-1_2.txt"),
        ("/a%20b", "/a%20b"),
        ("/%c3%bc", "/%C3%BC"),
        ("/a&b", "/a%26b"),
        ("/a%26b", "/a%26b"),
        ("/(x)", "/(x)"),
        ("/a%2bb+c", "/a+b+c"),
        ("/%7Etilde", "/~tilde"),
        ("/100%25", "/100%25"),
        ("/q%3Fm%23h", "/q%3Fm%23h"),
        ("/%3Ctag%3E", "/%3Ctag%3E"),
        ("/%F0%9F%98%80", "/%F0%9F%98%80"),
    ],
)
def test_r17_hrefs_are_absolute_paths_that_are_encoded_in_one_way(drive: Drive, sent: str, shown: str) -> None:
    drive.put(sent)
    assert drive.request("PROPFIND", sent).hrefs == [f"/dav{shown}"]
    assert f"/dav{shown}" in drive.request("PROPFIND", "/").hrefs
    assert drive.request("PROPFIND", shown).status == 207


def test_r17_collections_end_with_a_slash_however_they_were_asked_for(drive: Drive) -> None:
    drive.mkcol("/d")
    drive.put("/d/f")
    for path in ("/d", "/d/", "//d//"):
        assert drive.request("PROPFIND", path).hrefs == ["/dav/d/", "/dav/d/f"]


def test_r17_hrefs_extend_the_path_that_was_asked_for_in_its_own_spelling(drive: Drive) -> None:
    composed, decomposed = (unicodedata.normalize(form, "/é") for form in ("NFC", "NFD"))
    encoded = {
        text: "".join(f"%{b:02X}" if b > 127 else chr(b) for b in text.encode()) for text in (composed, decomposed)
    }
    drive.mkcol(encoded[composed])
    drive.put(encoded[composed] + "/f")
    for spelling in encoded.values():
        assert drive.request("PROPFIND", spelling).hrefs == [f"/dav{spelling}/", f"/dav{spelling}/f"]


def test_r18_resourcetype_says_collection_or_nothing(drive: Drive) -> None:
    drive.mkcol("/d")
    drive.put("/f")
    assert "<D:resourcetype><D:collection/></D:resourcetype>" in ask(drive, "/d", "resourcetype").text
    assert "<D:resourcetype/>" in ask(drive, "/f", "resourcetype").text


def test_r19_nothing_but_the_href_of_the_entry_is_called_href_unless_asked_for(drive: Drive) -> None:
    drive.put("/a")
    drive.lock("/a")
    for body in ("", NAMES, ALL % ""):
        response = drive.request("PROPFIND", "/a", body, {"Depth": "0"})
        assert [e.getparent().tag for e in response.xml.iter(f"{DAV}href")] == [f"{DAV}response"]


def test_r20_values_have_the_form_that_clients_parse(drive: Drive) -> None:
    stored = drive.put("/a.txt", "12345")
    drive.mkcol("/d")
    found = ask(drive, "/a.txt", "getcontentlength", "getlastmodified", "creationdate", "getetag").props()
    assert found[f"{DAV}getcontentlength"].text == "5"
    assert found[f"{DAV}getetag"].text == stored.headers["etag"] == drive.request("HEAD", "/a.txt").headers["etag"]
    assert found[f"{DAV}getetag"].text.startswith('"')
    assert found[f"{DAV}getlastmodified"].text == drive.request("HEAD", "/a.txt").headers["last-modified"]
    assert not found[f"{DAV}getlastmodified"].attrib
    assert len(found[f"{DAV}creationdate"].text) == len("2024-05-01T10:20:30Z")
    assert found[f"{DAV}creationdate"].text.endswith("Z")
    collection = ask(drive, "/d", "getcontentlength", "getlastmodified", "creationdate", "getetag")
    assert local(collection.props()) == {"getlastmodified", "creationdate"}
    assert local(collection.props(status=404)) == {"getcontentlength", "getetag"}


def test_r21_displayname_is_the_last_segment(drive: Drive) -> None:
    drive.put("/a%20%26%20%3Cb%3E")
    assert ask(drive, "/a%20%26%20%3Cb%3E", "displayname").props()[f"{DAV}displayname"].text == "a & <b>"
    assert ask(drive, "/", "displayname").props()[f"{DAV}displayname"].text == "dav"


def test_a_displayname_that_a_client_set_is_shown_until_it_is_removed(drive: Drive) -> None:
    drive.put("/a")
    set_property(drive, "/a", "<D:displayname>Annual report</D:displayname>")
    for body in ("", asking_for("displayname")):
        response = drive.request("PROPFIND", "/a", body, {"Depth": "0"})
        assert response.text.count("displayname") == 2
        assert response.props()[f"{DAV}displayname"].text == "Annual report"
    assert drive.request("PROPFIND", "/a", NAMES).text.count("displayname") == 1
    remove = (
        '<D:propertyupdate xmlns:D="DAV:"><D:remove><D:prop><D:displayname/></D:prop></D:remove></D:propertyupdate>'
    )
    assert " 200 " in drive.request("PROPPATCH", "/a", remove).text
    assert ask(drive, "/a", "displayname").props()[f"{DAV}displayname"].text == "a"


def test_r23_refusals_are_no_xml(drive: Drive) -> None:
    response = drive.request("PROPFIND", "/missing", asking_for("resourcetype"))
    assert response.status == 404
    assert response.headers["content-type"].startswith("text/plain")
    assert "<" not in response.text


def test_r24_spellings_of_one_url_are_one_resource(drive: Drive) -> None:
    drive.mkcol("/d")
    drive.put("/d/a~b%2Bc%C3%A4")
    for spelling in ("/d/a~b%2Bc%C3%A4", "/d/a%7Eb+c%c3%a4", "/%64/a%7eb%2bc%C3%a4"):
        assert drive.request("PROPFIND", spelling).status == 207
    credentials = {"Authorization": drive.credentials}
    assert drive.request_raw("PROPFIND", "/%64av/d", headers=credentials).hrefs[0] == "/dav/d/"
    assert drive.request_raw("PROPFIND", "/dav", headers=credentials).hrefs[0] == "/dav/"


def test_r46_locks_that_can_be_had_are_told_when_asked_for(drive: Drive) -> None:
    drive.put("/a")
    entries = ask(drive, "/a", "supportedlock").props()[f"{DAV}supportedlock"]
    scopes = [etree.QName(entry.find(f"{DAV}lockscope")[0]).localname for entry in entries]
    assert scopes == ["exclusive", "shared"]
    assert all(entry.find(f"{DAV}locktype/{DAV}write") is not None for entry in entries)


def test_r45_lockdiscovery_shows_the_lock_that_a_collection_above_passes_down(drive: Drive) -> None:
    drive.mkcol("/d")
    drive.put("/d/f")
    drive.put("/other")
    token = drive.lock("/d")
    response = ask(drive, "/", "lockdiscovery", depth="infinity")
    for href in ("/dav/d/", "/dav/d/f"):
        [active] = response.props(href)[f"{DAV}lockdiscovery"]
        assert active.findtext(f"{DAV}locktoken/{DAV}href") == token
        assert active.findtext(f"{DAV}lockroot/{DAV}href") == "/dav/d/"
        assert active.findtext(f"{DAV}owner") == "somebody"
    for href in ("/dav/", "/dav/other"):
        assert len(response.props(href)[f"{DAV}lockdiscovery"]) == 0


def test_lockdiscovery_forgets_a_lock_when_its_time_is_over(drive: Drive) -> None:
    drive.put("/a")
    drive.lock("/a")
    [active] = ask(drive, "/a", "lockdiscovery").props()[f"{DAV}lockdiscovery"]
    seconds = int(active.findtext(f"{DAV}timeout").removeprefix("Second-"))
    drive.clock.advance(seconds - 60)
    [active] = ask(drive, "/a", "lockdiscovery").props()[f"{DAV}lockdiscovery"]
    assert 50 <= int(active.findtext(f"{DAV}timeout").removeprefix("Second-")) <= 60
    drive.clock.advance(61)
    assert len(ask(drive, "/a", "lockdiscovery").props()[f"{DAV}lockdiscovery"]) == 0


def test_quota_is_told_on_collections_when_asked_for_by_name(drive: Drive) -> None:
    drive.mkcol("/d")
    drive.put("/d/f", b"x" * 1000)
    names = ("quota-available-bytes", "quota-used-bytes")
    for path in ("/", "/d"):
        found = ask(drive, path, *names).props()
        used, available = (int(found[f"{DAV}quota-{kind}-bytes"].text) for kind in ("used", "available"))
        assert used == 1000
        assert 0 <= available < 2**63 - used
    file = ask(drive, "/d/f", *names)
    assert file.props() == {} or local(file.props()) == set()
    assert local(file.props(status=404)) == set(names)
    assert "quota" not in drive.request("PROPFIND", "/", ALL % "").text


@pytest.mark.parametrize(
    ("macos_quota", "told"),
    [
        ("before-15.4", {MACOS_15_3, "x"}),
        ("always", {MACOS_15_3, MACOS_15_4, MACOS_26, "x"}),
        ("never", {"x"}),
    ],
)
def test_quota_is_kept_from_the_macos_that_it_stalls_by_the_setting(
    drive: Drive, macos_quota: str, told: set[str]
) -> None:
    services = replace(drive.services, config=replace(drive.services.config, macos_quota=macos_quota))
    there = replace(drive, services=services, app=app_of(services, drive.clock))
    for agent in (MACOS_15_3, MACOS_15_4, MACOS_26, "x"):
        response = ask(there, "/", "quota-available-bytes", "quota-used-bytes", headers={"User-Agent": agent})
        found, missing = local(response.props()), local(response.props(status=404))
        assert (len(found), len(missing)) == ((2, 0) if agent in told else (0, 2)), agent


def test_quota_is_kept_from_the_macos_that_it_stalls_unless_told_otherwise(drive: Drive) -> None:
    assert drive.services.config.macos_quota == "before-15.4"


def test_r50_only_the_if_header_is_a_condition(drive: Drive) -> None:
    etag = drive.put("/a").headers["etag"]
    modified = drive.request("HEAD", "/a").headers["last-modified"]
    for headers in (
        {"If-None-Match": etag},
        {"If-None-Match": "*"},
        {"If-None-Match": "JoplinIgnore-12345"},
        {"If-Modified-Since": modified},
        {"If-Match": '"other"'},
    ):
        assert drive.request("PROPFIND", "/a", headers=headers).status == 207
    assert drive.request("PROPFIND", "/a", headers={"If": f"([{etag}])"}).status == 207
    assert drive.request("PROPFIND", "/a", headers={"If": '(["other"])'}).status == 412


def test_r51_listings_are_not_to_be_reused(drive: Drive) -> None:
    assert drive.request("PROPFIND", "/").headers["cache-control"] == "no-cache"
    assert "no-" in drive.request("PROPFIND", "/missing").headers["cache-control"]


def test_r53_names_in_any_script_keep_the_listing_well_formed(drive: Drive) -> None:
    names = ["ü", "漢字", "😀", "a&b<c>\"'", "\u202e", "\u00ad", "%", "\ufdd0", "a\u0301"]
    for name in names:
        drive.put("/" + "".join(f"%{byte:02X}" for byte in name.encode()))
    response = ask(drive, "/", "displayname", depth="1")
    shown = {e.text for e in response.xml.iter(f"{DAV}displayname")}
    assert set(names) <= shown


def test_r22_times_are_told_under_the_names_that_some_clients_ask_for(drive: Drive) -> None:
    drive.put("/a")
    body = (
        '<D:propfind xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:"><D:prop><D:lastmodified/><D:getlastmodified/>'
        "<Z:Win32LastModifiedTime/></D:prop></D:propfind>"
    )
    found = drive.request("PROPFIND", "/a", body).props()
    assert len({element.text for element in found.values()}) == 1
    assert len(found) == 3


def test_checksums_are_told_as_owncloud_clients_ask_for_them(drive: Drive) -> None:
    checksum = "SHA1:3f786850e387550fdab836ed7e6dc881de23001b"
    assert drive.request("PUT", "/a", "a\n", {"OC-Checksum": checksum}).status == 201
    drive.mkcol("/d")
    body = '<D:propfind xmlns:D="DAV:"><D:prop><c:checksums xmlns:c="http://owncloud.org/ns"/></D:prop></D:propfind>'
    tag = "{http://owncloud.org/ns}checksums"
    [known] = drive.request("PROPFIND", "/a", body).props()[tag]
    assert checksum in known.text.split()
    assert tag in drive.request("PROPFIND", "/d", body).props("/dav/d/", status=404)


def test_a_listing_costs_the_same_few_queries_however_long_it_is(drive: Drive) -> None:
    from sqlalchemy import event

    def queries() -> int:
        seen: list[str] = []

        def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
            seen.append(statement)

        event.listen(drive.services.database.engine, "before_cursor_execute", note)
        try:
            ask(drive, "/", "displayname", "lockdiscovery", "quota-used-bytes", depth="1")
        finally:
            event.remove(drive.services.database.engine, "before_cursor_execute", note)
        return len(seen)

    queries()  # the first request of somebody is also noted as a sign-in
    few = queries()
    for number in range(30):
        drive.put(f"/f{number}")
    assert queries() == few


def test_a_long_listing_is_sent_in_pieces_and_is_whole(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        drive.put(f"/f{number:02}")
    monkeypatch.setattr(propfind, "_BLOCK", 500)
    response = drive.request("PROPFIND", "/")
    assert "content-length" not in response.headers
    assert len([href for href in response.hrefs if "/f" in href]) == 40


def test_the_root_of_the_host_leads_to_the_share(drive: Drive) -> None:
    credentials = {"Authorization": drive.credentials}
    for depth, hrefs in (("0", ["/"]), ("1", ["/", "/dav/"])):
        response = drive.request_raw("PROPFIND", "/", headers={**credentials, "Depth": depth})
        assert response.status == 207
        assert response.hrefs == hrefs
        assert f"{DAV}collection" in {e.tag for e in response.props("/")[f"{DAV}resourcetype"]}
    assert drive.request_raw("PROPFIND", "/").status == 401
    assert drive.request_raw("PROPFIND", "/other", headers=credentials).status == 404
    browser = drive.request_raw("GET", "/", headers=credentials)
    assert (browser.status, browser.headers["location"]) == (302, "/dav/")


def test_nothing_can_be_written_outside_the_share(drive: Drive) -> None:
    for method in ("PUT", "MKCOL", "DELETE", "LOCK", "PROPPATCH", "MOVE", "POST"):
        for target in ("/", "/x", "/davx"):
            response = drive.request_raw(method, target, headers={"Authorization": drive.credentials})
            assert response.status == 405
            assert response.headers["allow"] == "OPTIONS, GET, HEAD, PROPFIND"
