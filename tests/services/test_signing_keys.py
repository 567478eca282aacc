"""Keys that sign, as several processes share them, on SQLite and PostgreSQL."""

import os
from pathlib import Path

import pytest

from davserver.cli import main
from davserver.domain.errors import Unauthenticated
from davserver.services.signing import Signer
from davserver.services.signing_keys import LONGEST, SigningKeys
from tests.support.core import Core

SECRET = b"a secret of the tests"


def keys(core: Core, secret: bytes = SECRET) -> SigningKeys:
    return SigningKeys(core.database, core.clock, secret)


def read(core: Core, which: SigningKeys, token: str) -> str:
    return str(Signer(which, core.clock).read("tests", token, ("sub",), "refused")["sub"])


def test_every_process_signs_with_the_new_key_and_believes_the_old_one_till_it_ends(core: Core) -> None:
    here, there = keys(core), keys(core)
    old = Signer(here, core.clock).sign("tests", {"sub": "x"}, 10**7)
    assert read(core, there, old) == "x"
    made = here.rotate(os.urandom)
    assert there.current()[0] == made
    new = Signer(there, core.clock).sign("tests", {"sub": "y"}, 10**7)
    assert (read(core, here, new), read(core, there, old)) == ("y", "x")
    core.clock.advance(LONGEST / 1_000_000)
    assert read(core, here, new) == "y"
    for one in (here, there):
        with pytest.raises(Unauthenticated):
            read(core, one, old)


def test_a_second_rotation_does_not_prolong_what_the_first_one_ends(core: Core) -> None:
    here = keys(core)
    old = Signer(here, core.clock).sign("tests", {"sub": "x"}, 10**7)
    here.rotate(os.urandom)
    core.clock.advance(6 * 86_400)
    here.rotate(os.urandom)
    assert len(here.shown()) == 3
    core.clock.advance(86_400)
    with pytest.raises(Unauthenticated):
        read(core, here, old)
    assert len(here.shown()) == 2


def test_the_database_alone_makes_no_token(core: Core) -> None:
    keys(core).rotate(os.urandom)
    forged = Signer(keys(core, b"another secret"), core.clock).sign("tests", {"sub": "x"}, 600)
    with pytest.raises(Unauthenticated):
        read(core, keys(core), forged)


def test_the_command_rotates(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DAVSERVER_DATA_DIR", f"{tmp_path}/var")

    def states() -> list[str]:
        capsys.readouterr()
        assert main(["signing", "list"]) == 0
        return [" ".join(line.split()[1:3]) for line in capsys.readouterr().out.splitlines()[1:]]

    assert states() == ["signs -"]
    assert main(["signing", "rotate"]) == 0
    assert [state.split()[0] for state in states()] == ["signs", "is"]
    assert main(["signing", "rotate", "--now"]) == 0
    assert [state.split()[0] for state in states()] == ["signs"]
    assert main(["activity", "--action", "signing_key_rotated"]) == 0
    assert "the ones before are void" in capsys.readouterr().out
