"""Every link inside the project leads somewhere, and every document is linked."""

from __future__ import annotations

import re

import pytest

from tests.docs.documents import ROOT, list_anchors, list_documents, list_links, read_document


@pytest.mark.parametrize("document", list_documents())
def test_relative_links_resolve(document: str) -> None:
    for target in list_links(document):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (ROOT / document).parent / path if path else ROOT / document
        assert found.exists(), f"{document} links to {target}"
        if anchor:
            assert found.suffix == ".md", f"{document} links to {target}"
            anchors = list_anchors(found.resolve().relative_to(ROOT).as_posix())
            assert anchor in anchors, f"{document} links to {target}"


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, pending = set(), ["README.md"]
    while pending:
        document = pending.pop()
        if document in reached:
            continue
        reached.add(document)
        for target in list_links(document):
            path = ((ROOT / document).parent / target.partition("#")[0]).resolve()
            if path.suffix == ".md" and path.is_relative_to(ROOT):
                pending.append(path.relative_to(ROOT).as_posix())

    assert set(list_documents()) - reached == set()


@pytest.mark.parametrize("document", list_documents())
def test_paths_of_tests_and_modules_in_the_text_exist(document: str) -> None:
    named = re.findall(
        r"`((?:tests|lib|jobs|benchmarks|conf|docs)/[\w./-]+)`", read_document(document)
    )
    for path in named:
        assert (ROOT / path).exists(), f"{document} names {path}"


def test_messages_name_documents_and_headings_that_exist() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "lib").rglob("*.py"))

    for path in set(re.findall(r"docs/[\w/-]+\.md", sources)):
        assert (ROOT / path).is_file(), path
    assert "docs/refused_starts.md tells the ways out" in sources
    assert "'Sending them again' in docs/dead_letters.md" in sources
    assert "sending-them-again" in list_anchors("docs/dead_letters.md")
