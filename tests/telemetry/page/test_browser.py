"""The page in a real browser: the right numbers, no errors, usable by everybody, offline."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from lib.telemetry.page.history import History, take_sample
from lib.telemetry.state import State
from lib.telemetry.web.server import WebServer
from tests.telemetry.page.browser import CHROMIUM, open_browser
from tests.telemetry.page.filled import add_records, build_figures, build_running, served

if CHROMIUM is None:
    pytest.skip("these few tests need a browser: apt-get install chromium", allow_module_level=True)

WAIT_MS = 15_000
TOKEN = "0123456789abcdef-secret"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as started:
        yield started


@contextmanager
def viewing(
    browser: Browser,
    server: WebServer,
    width: int = 1_280,
    scheme: Literal["light", "dark"] = "light",
    path: str = "/",
    allowed: tuple[str, ...] = (),
) -> Iterator[Page]:
    """Open the page; afterwards nothing may be in the console or have left the origin."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    page, complaints, asked = context.new_page(), list[str](), list[str]()
    page.set_default_timeout(WAIT_MS)
    page.on("console", lambda it: complaints.append(f"{it.type}: {it.text}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(f"http://{server.address}{path}")
        yield page
    finally:
        context.close()
    hints = ("verbose", "debug", "info", *allowed)
    assert [it for it in complaints if not any(text in it for text in hints)] == []
    assert [url for url in asked if not url.startswith(f"http://{server.address}/")] == []


def read_table(page: Page, name: str) -> list[list[str]]:
    """Return the texts of a table's cells, row by row."""
    rows = page.locator(f"#{name} tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def test_the_page_shows_the_figures_and_follows_them(browser: Browser) -> None:
    figures, job = build_figures(time.time()), build_running()
    with served(figures, job) as server, viewing(browser, server) as page:
        expect(page.locator("#records")).to_have_text("1,000 records", timeout=WAIT_MS)
        expect(page.locator("#letters")).to_have_text("10")
        expect(page.locator("#letters-more")).to_have_text("1.0 % of all answers")
        expect(page.locator("#lag")).to_have_text("12 records")
        expect(page.locator("#model")).to_have_text("m@3/onnx")
        expect(page.locator("#query")).to_have_text("scoring")
        [[rule, field, number, _, _, newest]] = read_table(page, "letters-table")
        assert (rule, field, number, newest) == ("missing", "tenure", "10", "1@487")
        assert [row[:2] for row in read_table(page, "partitions")] == [["0", "12"], ["1", "0"]]
        assert read_table(page, "labels") == [["No", "660", "66.7 %"], ["Yes", "330", "33.3 %"]]
        assert ["Driver", "100 MiB", "40 s", "1"] in read_table(page, "processes")
        quality = ["m@3", "0.800\n0.780–0.820", "0.810", "0.150", "800", "10.0 %"]
        assert read_table(page, "quality-table") == [quality]
        expect(page.locator("#quality-note")).to_contain_text("The newest complete weeks, as of")

        add_records(figures, 2_990, 10)
        assert figures.model is not None
        figures.model = replace(figures.model, scored_by="m@4/onnx", since_s=time.time())
        job.add("model", "m@4/onnx scores")

        expect(page.locator("#records")).to_have_text("4,000 records", timeout=WAIT_MS)
        expect(page.locator("#letters")).to_have_text("20")
        expect(page.locator("#model")).to_have_text("m@4/onnx")
        expect(page.locator("#events li").first).to_contain_text("m@4/onnx scores")
        expect(page.locator("#rate")).not_to_have_text("–")
        assert read_table(page, "letters-table")[0][2] == "20"


def test_another_state_is_told_in_words_and_announced_once(browser: Browser) -> None:
    job = build_running()
    with served(build_figures(time.time()), job) as server, viewing(browser, server) as page:
        verdict = page.locator("#verdict")
        expect(verdict).to_have_attribute("data-level", "well", timeout=WAIT_MS)
        assert page.title() == "Well – scoring"

        job.enter(State.RESTARTING, "a worker was lost")

        expect(verdict).to_have_attribute("data-level", "act")
        words = "The query has failed and is started again: a worker was lost."
        expect(page.locator("#words")).to_have_text(words)
        expect(page.locator("#announcement")).to_contain_text(words)
        assert page.title() == "Act now – scoring"
        link = page.get_by_role("link", name="What to do, step by step").first
        assert link.get_attribute("href") == "/docs/on_call.md#scoringrestarts"
        job.enter(State.RUNNING)
        expect(verdict).to_have_attribute("data-level", "look")
        link.click()
        expect(page.get_by_role("heading", name="ScoringRestarts")).to_be_visible()


def test_a_job_that_ends_is_told_and_one_that_comes_back_is_shown(browser: Browser) -> None:
    figures, job = build_figures(time.time()), build_running()
    with (
        served(figures, job) as server,
        viewing(
            browser, server, allowed=("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING")
        ) as page,
    ):
        expect(page.locator("#records")).to_have_text("1,000 records", timeout=WAIT_MS)
        server.__exit__(None, None, None)
        expect(page.locator("#words")).to_have_text("The job does not answer.", timeout=WAIT_MS)
        expect(page.locator("#advice")).to_contain_text("docs/on_call.md")
        add_records(figures, 500, 0)
        with served(figures, job, console=str(server.address)):
            expect(page.locator("#records")).to_have_text("1,500 records", timeout=WAIT_MS)
            expect(page.locator("#connection")).to_contain_text("live")
            job.enter(State.STOPPING, "a signal asked for it")
            words = page.locator("#words")
            expect(words).to_have_text("It is stopping: a signal asked for it.", timeout=WAIT_MS)
        expect(words).to_have_text("The job has ended.", timeout=WAIT_MS)


def test_everybody_can_use_the_page(browser: Browser) -> None:
    figures, job = build_figures(time.time()), build_running()
    figures.outage_s = 30.0
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    with (
        served(figures, job, console_shows_records=True) as server,
        viewing(browser, server) as page,
    ):
        expect(page.locator("#records")).to_have_text("1,000 records", timeout=WAIT_MS)
        expect(page.locator("#search")).to_be_visible()
        for details in page.locator("summary").all():
            details.click()
        for width, scheme in product((360, 1_280), schemes):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)

            found = Axe().run(page)

            assert found.violations_count == 0, found.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_documents_and_the_form_of_the_token_are_usable_too(
    browser: Browser, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text(TOKEN)
    figures, job = build_figures(time.time()), build_running()
    refusals = ("status of 403",)
    with (
        served(figures, job, console_token_file=file) as server,
        viewing(browser, server, 360, "dark", allowed=refusals) as page,
    ):
        assert page.url.endswith("/login")
        assert Axe().run(page).violations_count == 0
        page.get_by_label("Token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("That is not the token of this job.")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("#records")).to_have_text("1,000 records", timeout=WAIT_MS)
        assert page.url == f"http://{server.address}/"
        for document in ("on_call", "troubleshooting", "console"):
            page.goto(f"http://{server.address}/docs/{document}.md")
            assert Axe().run(page).violations_count == 0, document
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, document
        assert TOKEN not in page.evaluate("document.cookie")


def test_the_keyboard_reaches_everything_and_the_theme_stays(browser: Browser) -> None:
    figures, job, history = build_figures(time.time()), build_running(), History()
    now_s, now_tick_s = time.time(), time.monotonic()
    for back_s in range(900, 0, -2):
        add_records(figures, 200, 0)
        history.add(take_sample(figures, now_s - back_s, now_tick_s - back_s))
    with served(figures, job, history) as server, viewing(browser, server) as page:
        expect(page.locator("#connection")).to_contain_text("live", timeout=WAIT_MS)
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_label("Theme")).to_be_focused()
        page.get_by_label("Theme").select_option("dark")
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("radio", name="15 min")).to_be_checked()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")

        rows = page.locator(".chart").first.locator("tbody tr")
        expect(rows.nth(14)).to_be_visible(timeout=WAIT_MS)
        expect(rows.nth(5).locator("td").first).to_have_text("100", timeout=WAIT_MS)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 18, 23)"
        page.reload()
        expect(page.get_by_label("Theme")).to_have_value("dark")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 18, 23)"


def test_nothing_grows_while_the_page_stays_open(browser: Browser) -> None:
    history = History(interval_s=0.05, kept_s=5)
    with (
        served(build_figures(time.time()), build_running(), history) as server,
        viewing(browser, server) as page,
    ):
        expect(page.locator("#rate")).to_contain_text("/s", timeout=WAIT_MS)
        count = "document.getElementsByTagName('*').length"
        before = page.evaluate(count)
        page.wait_for_timeout(4_000)

        assert page.evaluate(count) == before
