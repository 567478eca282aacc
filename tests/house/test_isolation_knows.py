"""The walk of tests/e2e/test_isolation.py knows every table and every route: told here, in seconds, and without a server."""

import json
from pathlib import Path

from davserver.db.rows import Base
from davserver.wsgi import make_app
from tests.support.davserver import User
from tests.support.drive import MovableClock, Sent, call, environ_of, open_services
from tests.support.isolation import Ada, owner_of
from tests.support.routes import requests_of, routes_of

ADA = Ada(
    User("ada", ""), id=1, access="", refresh="dvr_" + "a" * 100, session_id="0" * 32,
    token_ids=[1], entry_ids=[1], link_ids=[1],
)  # fmt: skip


def test_it_is_known_whose_the_rows_of_every_table_are() -> None:
    assert sum(owner_of(table) is not None for table in Base.metadata.sorted_tables) > 10


def test_it_is_known_what_every_parameter_of_every_route_can_name(tmp_path: Path) -> None:
    app = make_app(open_services(tmp_path, MovableClock()))
    try:
        document = call(app, environ_of("GET", "/api/openapi.json", Sent(b""), {}), "GET")
    finally:
        app.close()
    routes = routes_of(json.loads(document.body))
    assert sum(len(list(requests_of(route, ADA, None))) for route in routes) > len(routes) > 40
