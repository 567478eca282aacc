"""The keys that wrap data keys."""

import base64
import contextlib
import json
import logging
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from davserver.crypto.keyfile import load, load_or_create, save
from davserver.crypto.keyring import KeyRing, WrappedKey
from davserver.domain.errors import KeyRingError
from tests.support.sealing import predictable

FIRST, SECOND = bytes(range(32)), bytes(range(100, 132))
DATA_KEY = b"\xaa" * 32
BLOB = "0" * 32


def encoded(key: bytes) -> str:
    return base64.b64encode(key).decode()


def ring() -> KeyRing:
    return KeyRing({"k1": FIRST, "k2": SECOND}, "k1")


def test_a_wrapped_key_unwraps_for_its_blob() -> None:
    wrapped = ring().wrap(DATA_KEY, BLOB)
    assert wrapped.key_id == "k1"
    assert len(wrapped.sealed) == 60
    assert ring().unwrap(wrapped, BLOB) == DATA_KEY


def test_no_two_wrappings_are_alike() -> None:
    assert len({ring().wrap(DATA_KEY, BLOB).sealed for _ in range(20)}) == 20


def test_a_wrapped_key_does_not_unwrap_for_another_blob() -> None:
    wrapped = ring().wrap(DATA_KEY, BLOB)
    with pytest.raises(KeyRingError, match="does not unwrap"):
        ring().unwrap(wrapped, "1" * 32)


def test_a_wrapped_key_does_not_unwrap_under_another_id_even_with_the_same_key() -> None:
    wrapped = ring().wrap(DATA_KEY, BLOB)
    twins = KeyRing({"k1": FIRST, "k9": FIRST}, "k1")
    with pytest.raises(KeyRingError, match="does not unwrap"):
        twins.unwrap(WrappedKey("k9", wrapped.sealed), BLOB)


def test_a_ring_without_the_key_says_which_one_it_lacks() -> None:
    wrapped = ring().wrap(DATA_KEY, BLOB)
    with pytest.raises(KeyRingError, match="'k1', which the key ring lacks"):
        KeyRing({"k2": SECOND}, "k2").unwrap(wrapped, BLOB)


def test_a_wrong_key_under_the_right_id_is_refused() -> None:
    wrapped = ring().wrap(DATA_KEY, BLOB)
    with pytest.raises(KeyRingError, match="another key"):
        KeyRing({"k1": SECOND}, "k1").unwrap(wrapped, BLOB)


@pytest.mark.parametrize("length", [0, 11, 12, 20, 59])
def test_a_cut_wrapped_key_is_refused(length: int) -> None:
    wrapped = ring().wrap(DATA_KEY, BLOB)
    with pytest.raises(KeyRingError, match="does not unwrap"):
        ring().unwrap(WrappedKey("k1", wrapped.sealed[:length]), BLOB)


def test_every_bit_of_a_wrapped_key_counts() -> None:
    sealed = ring().wrap(DATA_KEY, BLOB).sealed
    for bit in range(len(sealed) * 8):
        altered = bytearray(sealed)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(KeyRingError):
            ring().unwrap(WrappedKey("k1", bytes(altered)), BLOB)


def test_the_first_key_of_the_text_is_current() -> None:
    parsed = KeyRing.parse(f"k2:{encoded(SECOND)}, k1:{encoded(FIRST)}")
    assert parsed.current == "k2"
    assert parsed.key_ids == ("k2", "k1")
    assert ring().unwrap(parsed.wrap(DATA_KEY, BLOB), BLOB) == DATA_KEY


def test_url_safe_base64_is_read_too() -> None:
    key = b"\xfb\xff" * 16
    text = "a:" + base64.urlsafe_b64encode(key).decode()
    assert "-" in text
    wrapped = KeyRing.parse(text).wrap(DATA_KEY, BLOB)
    assert KeyRing({"a": key}, "a").unwrap(wrapped, BLOB) == DATA_KEY


SECRET_TEXT = encoded(SECOND)[:40]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no current key"),
        (" , ", "no current key"),
        (SECRET_TEXT, "form id:base64"),
        (f"a b:{encoded(FIRST)}", "key id has"),
        (f":{encoded(FIRST)}", "key id has"),
        (f"{'x' * 65}:{encoded(FIRST)}", "key id has"),
        (f"k1:{SECRET_TEXT}!", "'k1' is not valid base64"),
        (f"k1:{SECRET_TEXT}", "'k1' has 30 bytes instead of 32"),
        (f"k1:{encoded(FIRST)},k1:{encoded(SECOND)}", "'k1' is there twice"),
    ],
)
def test_a_text_that_is_no_key_ring_is_refused_without_showing_it(text: str, problem: str) -> None:
    with pytest.raises(KeyRingError, match=problem) as caught:
        KeyRing.parse(text)
    assert SECRET_TEXT not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("keys", "current"), [({}, "k1"), ({"k1": FIRST}, "k2"), ({"k1": FIRST[:31]}, "k1"), ({"k/1": FIRST}, "k/1")]
)
def test_unusable_keys_are_refused(keys: dict[str, bytes], current: str) -> None:
    with pytest.raises(KeyRingError):
        KeyRing(keys, current)


def test_no_repr_shows_a_key() -> None:
    shown = repr(ring()) + str(ring()) + repr(ring().wrap(DATA_KEY, BLOB))
    for secret in (FIRST, SECOND, DATA_KEY):
        assert repr(secret)[2:-1] not in shown
        assert encoded(secret) not in shown
        assert secret.hex() not in shown
    assert "k1" in shown


def test_what_is_revealed_is_what_is_parsed() -> None:
    again = KeyRing.parse(ring().reveal())
    assert again.key_ids == ring().key_ids
    assert again.unwrap(ring().wrap(DATA_KEY, BLOB), BLOB) == DATA_KEY


def test_a_new_key_is_current_and_the_old_ones_stay() -> None:
    old = ring()
    wrapped = old.wrap(DATA_KEY, BLOB)
    new = old.with_new_key()
    assert new.current not in old.key_ids
    assert new.key_ids == (new.current, "k1", "k2")
    assert new.unwrap(wrapped, BLOB) == DATA_KEY
    with pytest.raises(KeyRingError):
        old.unwrap(new.wrap(DATA_KEY, BLOB), BLOB)


def test_generated_rings_differ() -> None:
    assert KeyRing.generate().reveal() != KeyRing.generate().reveal()


def test_randomness_is_injected() -> None:
    one, two = (KeyRing.generate(random=predictable()) for _ in range(2))
    assert one.reveal() == two.reveal()
    assert one.wrap(DATA_KEY, BLOB) == two.wrap(DATA_KEY, BLOB)


def test_a_missing_file_is_made_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "keys.json"
    made = load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_or_create(path).reveal() == made.reveal() == load(path).reveal()
    assert [entry.name for entry in path.parent.iterdir()] == ["keys.json"]


STARTING = """
import sys
from pathlib import Path
from davserver.crypto.keyfile import load_or_create
print("ready", flush=True)
for line in sys.stdin:
    print(load_or_create(Path(line.strip())).reveal(), flush=True)
"""


def test_processes_that_start_at_once_get_one_key(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTING]
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(4)
        ]
        pipes = [(worker.stdin, worker.stdout) for worker in workers if worker.stdin and worker.stdout]
        assert [answers.readline() for _, answers in pipes] == ["ready\n"] * 4
        for attempt in range(25):
            path = tmp_path / str(attempt) / "keys.json"
            for questions, _ in pipes:
                questions.write(f"{path}\n")
                questions.flush()
            seen = {answers.readline().strip() for _, answers in pipes}
            assert seen == {load(path).reveal()}
            assert [entry.name for entry in path.parent.iterdir()] == ["keys.json"]


def test_a_key_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    old = load_or_create(path)
    new = old.with_new_key()
    save(path, new)
    assert load(path).reveal() == new.reveal()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys.json"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"keys": {}}', '{"current": "a", "keys": []}', '{"current": "a", "keys": {"b": "AAAA"}}'],
)
def test_a_file_that_is_no_key_ring_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(KeyRingError):
        load_or_create(path)
    assert path.read_text() == content


def test_a_damaged_file_does_not_show_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"current": "a", "keys": {"a": SECRET_TEXT}}))
    path.chmod(0o600)
    with pytest.raises(KeyRingError) as caught:
        load(path)
    assert SECRET_TEXT not in str(caught.value)


def test_a_file_that_others_can_read_is_named_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "keys.json"
    load_or_create(path)
    path.chmod(0o640)
    with caplog.at_level(logging.WARNING):
        load(path)
    assert str(path) in caplog.text


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyRingError, match=r"file/keys\.json"):
        load_or_create(tmp_path / "file" / "keys.json")
