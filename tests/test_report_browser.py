"""The pages in a real browser: no request, no error, no overflow on a phone, keys suffice, axe is content.

Needs `pip install 'swe-rm[browser]'` and a Chromium: one on the PATH, or playwright's own.
"""

import shutil
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest

from swe_rm.compare import compare
from swe_rm.entries import entry_of
from swe_rm.evaluate import evaluate
from swe_rm.pages.attempts import Reader, sheets
from swe_rm.pages.chosen import chosen
from swe_rm.pages.comparison import write_comparison
from swe_rm.pages.report import write_report
from swe_rm.progress import curve
from swe_rm.scored import Scored
from swe_rm.trajectory import Labelled, Outcome
from swe_rm.verdict import Verdict, Verifier
from swe_rm.verifiers.controls import controls
from tests.report_pages import HOSTILE, attempt
from tests.scoring_pools import drawn, scored

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'swe-rm[browser]'")
pytestmark = pytest.mark.browser

PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
SCHEMES = ["light", "dark"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        launched = started.chromium.launch(executable_path=found)
        yield launched
        launched.close()


def pool() -> list[Labelled]:
    """30 attempts at 5 tasks; long lines, hostile text and long names among them."""
    made = []
    for number in range(30):
        said = HOSTILE if number % 5 == 0 else "I trim the wick." * (1 + number)
        item = attempt(3, said=said, seen="x" * 3_000 if number % 7 == 0 else "1 passed", number=number)
        trajectory = item.trajectory
        task = trajectory.task.model_copy(update={"instance_id": f"tinkers__lantern-with-a-long-name-{number % 5}"})
        origin = trajectory.origin.model_copy(update={"policy": ["mill", "x" * 60][number % 2]})
        outcome = Outcome.RESOLVED if number % 3 == 0 else Outcome.UNRESOLVED
        changed = trajectory.model_copy(update={"task": task, "origin": origin})
        made.append(item.model_copy(update={"trajectory": changed, "outcome": outcome}))
    return made


@pytest.fixture(scope="module")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    attempts = pool()
    verdicts = {
        item.trajectory.attempt_id: Verdict(
            attempt_id=item.trajectory.attempt_id, score=(n * 7 % 30) / 30, raw_score=(n * 7 % 30) / 40, verifier="v@1",
            prompt_tokens=900, truncated_tokens=n,
        )
        for n, item in enumerate(attempts)
    }  # fmt: skip
    judge: Verifier = controls(())["shortest"]
    found = evaluate(attempts, verdicts, resamples=50, price_per_hour=2.0)
    choices = chosen(found)
    reader = Reader(
        fates=lambda t: ["whole", "shortened", "gone", "gone", "whole", "whole"], curve=lambda t: curve(t, judge)
    )
    made = sheets(attempts, choices, Scored.of(attempts, verdicts), reader)
    file = tmp_path_factory.mktemp("pages") / "report.html"
    write_report(found, file, choices, made)
    return file


@pytest.fixture(scope="module")
def comparison_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = drawn(12, 24)
    noisy = [row._replace(score=min(1.0, (row.score or 0) * (1 + number % 3) / 3)) for number, row in enumerate(rows)]
    entries = [entry_of(scored(one, f"{'long' * 12}{n}@1"), "exact") for n, one in enumerate((rows, noisy))]
    file = tmp_path_factory.mktemp("pages") / "comparison.html"
    write_comparison(compare(entries, resamples=50), file)
    return file


@pytest.fixture(params=["report", "attempt", "comparison"])
def address(request: pytest.FixtureRequest, report_file: Path, comparison_file: Path) -> str:
    if request.param == "comparison":
        return comparison_file.as_uri()
    text = report_file.read_text(encoding="utf-8")
    first = text.partition('<section class="attempt" id="')[2].partition('"')[0]
    assert first
    return report_file.as_uri() + (f"#{first}" if request.param == "attempt" else "")


def opened(browser: Any, address: str, size: dict[str, int], scheme: str = "light") -> Any:
    page = browser.new_page(viewport=size, color_scheme=scheme)
    page.goto(address)
    return page


def all_details(page: Any) -> Any:
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    return page


def test_nothing_is_asked_for_and_nothing_goes_wrong(browser: Any, address: str) -> None:
    page = browser.new_page()
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address)
    all_details(page)
    assert [url.partition("#")[0] for url in asked] == [address.partition("#")[0]]
    assert not wrong


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_nothing_is_wider_than_the_window(browser: Any, address: str, size: dict[str, int]) -> None:
    page = opened(browser, address, size)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    all_details(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    sizes = page.evaluate(
        """[...document.querySelectorAll('svg[role=img]')].filter(each => each.checkVisibility())
        .map(each => parseFloat(getComputedStyle(each).fontSize) * each.getScreenCTM().a)"""
    )
    assert all(size >= 10 for size in sizes), "the text of a plot is too small to read"


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_axe_finds_nothing_serious(browser: Any, address: str, scheme: str, size: dict[str, int]) -> None:
    pytest.importorskip("axe_playwright_python", reason="no axe: pip install 'swe-rm[browser]'")
    page = all_details(opened(browser, address, size, scheme))
    with as_file(files("axe_playwright_python") / "axe.min.js") as script:
        page.add_script_tag(path=script)
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 20
    bad = [
        (one["id"], one["impact"], one["nodes"][0]["html"][:200], one["nodes"][0]["failureSummary"])
        for one in found["violations"]
    ]
    assert not bad


def focused(page: Any) -> dict[str, Any]:
    told: dict[str, Any] = page.evaluate(
        """() => { const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
        return {tag: at.tagName, to: at.getAttribute('href') || '', outline: style.outlineStyle, seen: box.width > 1,
                inside: !!at.closest('.attempt')} }"""
    )
    return told


def test_keys_lead_to_an_attempt_and_back(browser: Any, report_file: Path) -> None:
    page = opened(browser, report_file.as_uri(), DESK)
    page.keyboard.press("Tab")
    first = focused(page)
    assert (first["to"], first["seen"]) == ("#report", True), "the first stop skips to the report"
    for _ in range(60):
        page.keyboard.press("Tab")
        at = focused(page)
        assert at["outline"] != "none", at
        assert not at["inside"], "attempts that are not shown have no stops"
        if at["to"].startswith("#attempt-"):
            break
    target = at["to"]
    page.keyboard.press("Enter")
    assert page.url.endswith(target)
    assert page.locator(target).is_visible()
    assert not page.locator("#report").is_visible()
    page.keyboard.press("Tab")
    assert focused(page)["to"] == "#report"
    page.keyboard.press("Enter")
    assert page.locator("#report").is_visible()
    assert not page.locator(target).is_visible()


def test_dark_is_dark_and_light_is_light(browser: Any, address: str) -> None:
    brightness = {}
    for scheme in SCHEMES:
        page = opened(browser, address, DESK, scheme)
        colours = page.evaluate("(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))")
        brightness[scheme] = [sum(map(int, colour[4:-1].split(","))) for colour in colours]
    assert brightness["light"][0] > 600 > 200 > brightness["light"][1]
    assert brightness["dark"][0] < 200 < 600 < brightness["dark"][1]


def test_without_style_everything_is_still_there(browser: Any, report_file: Path, tmp_path: Path) -> None:
    text = report_file.read_text(encoding="utf-8")
    head, _, rest = text.partition("<style>")
    plain = tmp_path / "plain.html"
    plain.write_text(head + rest.partition("</style>")[2], encoding="utf-8")
    page = opened(browser, plain.as_uri(), DESK)
    shown = page.locator("section.attempt")
    assert shown.count() == 30
    assert all(shown.nth(place).is_visible() for place in (0, 29))
    assert page.locator("#report").is_visible()
