"""The page about what each client was seen to do names the clients and the steps that the tests have."""

import pytest

from tests.support import matrix


def test_the_matrix_names_the_clients_and_steps_that_the_tests_have() -> None:
    """If this fails: WRITE_MATRIX=1 make test PYTEST='tests/clients tests/replays'."""
    committed = matrix.PAGE.read_text(encoding="utf-8")
    assert matrix.render(matrix.declared().values(), matrix.read_page()) == committed


def test_no_step_of_the_matrix_fails_or_was_left_out() -> None:
    for name, outcomes in matrix.read_page().items():
        bad = {at: was for at, was in outcomes.items() if was in {matrix.FAILS, matrix.NOT_RUN}}
        assert not bad, name


def test_a_step_that_raises_is_recorded_as_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix, "_clients", {})
    results: list[matrix.Result] = []
    monkeypatch.setattr(matrix, "_recorded", results)
    client = matrix.Client("one", "driven", "here", ("a", "b", "c"))
    with client.step("a", "embedded"):
        pass
    with pytest.raises(ZeroDivisionError), client.step("b", "embedded"):
        _ = 1 / 0
    with pytest.raises(pytest.skip.Exception), client.step("c", "embedded"):
        pytest.skip("no FUSE here")
    assert [result[1:] for result in results] == [
        ("a", "embedded", matrix.WORKS),
        ("b", "embedded", matrix.FAILS),
        ("c", "embedded", matrix.NOT_RUN),
    ]
    with pytest.raises(ValueError, match="no step"):
        matrix.record(client, "d", "embedded", matrix.WORKS)
