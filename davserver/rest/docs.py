"""The documentation: Swagger's page at ``/api/docs``, the OpenAPI document at ``/api/openapi.json``.

Swagger's files come out of the package flask-openapi3-swagger: nothing is fetched from elsewhere, and no script stands in the
page, so that the Content-Security-Policy can forbid both.
"""

from functools import partial
from importlib.metadata import version as version_of
from importlib.resources import files
from typing import Final

from flask import Response, redirect, request
from flask_openapi3.openapi import OpenAPI

from davserver.domain.errors import NotFound
from davserver.rest.door import BASE
from davserver.rest.noun import Access

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE: Final = f"""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>davserver API</title>
<link rel="stylesheet" href="{BASE}/docs/swagger-ui.css">
<div id="docs">The documentation needs JavaScript. The <a href="{BASE}/openapi.json">OpenAPI document</a> does not.</div>
<script src="{BASE}/docs/swagger-ui-bundle.js"></script>
<script src="{BASE}/docs/start.js"></script>
</html>
"""
_TYPED: Final = (BASE, f"{BASE}/", f"{BASE}/v1", f"{BASE}/v1/")
"""Nothing is there, but a person looks there for what is."""
_START: Final = f"""\
SwaggerUIBundle({{
  url: "{BASE}/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
}});
"""
_SWAGGER: Final = {
    "swagger-ui.css": ("css/swagger-ui.css", "text/css; charset=utf-8"),
    "swagger-ui-bundle.js": ("js/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
}


def version() -> str:
    """The release of davserver."""
    return version_of("davserver")


def register(app: OpenAPI) -> dict[str, Access]:
    """Add the routes, all of them for anybody; returned by endpoint."""
    for number, typed in enumerate(_TYPED):
        app.add_url_rule(typed, f"docs_home_{number}", _home)
    app.add_url_rule(f"{BASE}/docs", "docs_page", _page)
    app.add_url_rule(f"{BASE}/docs/<name>", "docs_file", _file)
    app.add_url_rule(f"{BASE}/openapi.json", "docs_openapi", lambda: app.api_doc)
    for name in ("docs", "openapi.json"):
        app.add_url_rule(f"{BASE}/{name}/", f"{name}_slash", partial(_moved, f"{BASE}/{name}", 308))
    names = ("docs_page", "docs_file", "docs_openapi", "docs_slash", "openapi.json_slash")
    return dict.fromkeys((*names, *(f"docs_home_{number}" for number in range(len(_TYPED)))), Access.PUBLIC)


def _home() -> Response:
    return _moved(f"{BASE}/docs", 302)


def _moved(to: str, status: int) -> Response:
    found = redirect(to, status)
    assert isinstance(found, Response)  # noqa: S101 - Flask's own class
    return found


def _page() -> Response:
    return Response(_PAGE, content_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _POLICY})


def _file(name: str) -> Response:
    if name == "start.js":
        return _cached(_START.encode(), "text/javascript; charset=utf-8")
    if name not in _SWAGGER:
        raise NotFound
    path, content_type = _SWAGGER[name]
    return _cached((files("flask_openapi3_swagger") / "templates" / "swagger" / path).read_bytes(), content_type)


def _cached(data: bytes, content_type: str) -> Response:
    response = Response(data, content_type=content_type, headers={"Cache-Control": "public, max-age=3600"})
    response.add_etag()
    response.make_conditional(request.environ)
    return response
