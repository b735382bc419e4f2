"""Serves the files of the page: its own, and the charts' out of the jar that set-up fetched."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lib.setup.jars import PAGE_SET, list_optional_jars

_STATIC = Path(__file__).resolve().parents[1] / "page" / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Name on the page → end of the name in the jar.
_CHARTS = {"uplot.js": "/dist/uPlot.esm.js", "uplot.css": "/dist/uPlot.min.css"}


def list_file_routes() -> list[Route]:
    """Read all files, and return their routes.

    Raises:
        SetupError: the jar of the charts has not been fetched.
    """
    files = {path.name: path.read_bytes() for path in _STATIC.iterdir()}
    return _list_routes(files | read_charts())


def read_own_file(name: str) -> bytes:
    """Read one of the page's own files."""
    return (_STATIC / name).read_bytes()


def read_charts() -> dict[str, bytes]:
    """Read the library of the charts out of its jar.

    Raises:
        SetupError: the jar has not been fetched.
    """
    [jar] = list_optional_jars(PAGE_SET)
    with zipfile.ZipFile(jar) as archive:
        found = {
            name: [member for member in archive.namelist() if member.endswith(end)]
            for name, end in _CHARTS.items()
        }
        return {name: archive.read(members[0]) for name, members in found.items()}


def _list_routes(files: Mapping[str, bytes]) -> list[Route]:
    def serve(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in files:
            return Response("There is no such file.\n", 404, media_type="text/plain")
        return Response(files[name], headers={"Content-Type": _TYPES[Path(name).suffix]})

    return [Route("/", serve), Route("/page/{name}", serve)]
