"""Serves the documents of the clone, so that the page leads to them without any other site."""

from __future__ import annotations

import html
import re
from itertools import pairwise

from markdown_it import MarkdownIt
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from lib.setup.places import IS_INSTALLED, PROJECT_ROOT

_DOCUMENTS = PROJECT_ROOT / "docs"
_IMAGES = {".svg": "image/svg+xml", ".png": "image/png"}
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


def has_documents() -> bool:
    """Tell whether the documents are there; a wheel has none."""
    return not IS_INSTALLED and _DOCUMENTS.is_dir()


def list_document_routes() -> list[Route]:
    """Return the route of documents and their images."""

    def serve(request: Request) -> Response:
        path = (_DOCUMENTS / request.path_params["path"]).resolve()
        if path.is_relative_to(_DOCUMENTS) and path.is_file():
            if path.suffix == ".md":
                return HTMLResponse(render_document(path.read_text(encoding="utf-8")))
            if path.suffix in _IMAGES:
                return FileResponse(path, media_type=_IMAGES[path.suffix])
        return Response("Only the clone has this file.\n", 404, media_type="text/plain")

    return [Route("/docs/{path:path}", serve)]


def render_document(text: str) -> str:
    """Render Markdown as a page whose headings have the anchors that GitHub gives them."""
    tokens = _MARKDOWN.parse(text)
    title = "Documents"
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open":
            if opening.tag == "h1":
                title = content.content
            anchor = _NOT_IN_ANCHORS.sub("", content.content.strip().lower())
            opening.attrSet("id", anchor.replace(" ", "-"))
    body = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    # Long lines of code are scrolled, with the keyboard too.
    body = body.replace("<pre>", '<pre tabindex="0">')
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title>"
        '<link rel="icon" href="/page/icon.svg" type="image/svg+xml">'
        '<link rel="stylesheet" href="/page/style.css">'
        '<script src="/page/theme.js"></script></head><body class="document">'
        '<nav aria-label="Page"><a href="/">Back to the job</a></nav>'
        f"<main>{body}</main></body></html>"
    )
