"""The start page in a real browser: an attempt pasted or dropped, its verdict, its curve, its errors; keys suffice.

Needs `pip install playwright` and a Chromium: one on the PATH, or playwright's own.
"""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from benchmarks.load import Server, served

from tests.serving import row

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install playwright")
pytestmark = pytest.mark.browser

TOKEN = "wick-trimmed-at-dusk"
HOSTILE = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"
DROP = """(text) => {
  const given = new DataTransfer();
  given.items.add(new File([text], "run.jsonl"));
  document.getElementById("form").dispatchEvent(new DragEvent("drop", { dataTransfer: given, cancelable: true }));
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    with served(folder, "--verifier", "tests.serving:Hashed", environment={"SWE_RM_TOKENS": TOKEN}) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        launched = started.chromium.launch(executable_path=found)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any, server: Server) -> Iterator[Any]:
    """The page with the token given; it asked nobody but its server, and its console is empty of errors."""
    opened = browser.new_page(viewport={"width": 360, "height": 740})
    asked: list[str] = []
    said: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: said.append(message.text) if "status of" not in message.text else None)
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto(f"http://127.0.0.1:{server.port}/")
    opened.fill("#token", TOKEN)
    yield opened
    assert all(url.startswith(f"http://127.0.0.1:{server.port}/") for url in asked)
    assert not [line for line in said if "favicon" not in line]
    assert opened.title() == "swe-rm"
    opened.close()


def log(number: int, said: str = "I trim the wick.") -> dict[str, Any]:
    more = [{"role": "user", "content": "More?"}, {"role": "assistant", "content": said}]
    return {**row(number), "messages": row()["messages"] + more * 3}


def settled(page: Any) -> str:
    """What it says once it is done; asking disables the button at once."""
    page.locator("#judge:enabled").wait_for()
    return str(page.inner_text("#status"))


def test_a_pasted_attempt_gets_its_verdict_and_its_curve(page: Any) -> None:
    page.fill("#text", json.dumps(log(1)))
    page.focus("#judge")
    page.keyboard.press("Enter")
    assert settled(page) == "done"
    assert page.inner_text("#results h2") == "tinkers__lantern-1 / mill / 1"
    assert page.inner_text("#results .score").startswith("P(resolved) = 0.")
    assert page.locator("#results svg.curve circle").count() == 4
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it fits a phone"


def test_a_dropped_file_gets_a_verdict_for_each_attempt(page: Any) -> None:
    page.evaluate(DROP, "\n".join(json.dumps(log(number)) for number in (1, 2, 3)) + '\n{"lamp": 1}\n')
    settled(page)
    assert page.locator("#results h2").count() == 3
    assert "refused: /run.jsonl line 4" in page.inner_text("#results")


def test_what_was_given_last_is_judged(page: Any) -> None:
    file = {"name": "run one.jsonl", "mimeType": "text/plain", "buffer": json.dumps(log(1)).encode()}
    page.set_input_files("#file", file)
    page.click("#judge")
    settled(page)
    assert page.inner_text("#results h2") == "tinkers__lantern-1 / mill / 1"
    page.fill("#text", json.dumps(log(2)))
    page.click("#judge")
    settled(page)
    assert page.inner_text("#results h2") == "tinkers__lantern-1 / mill / 2"
    page.set_input_files("#file", file)
    page.click("#judge")
    settled(page)
    assert page.inner_text("#results h2") == "tinkers__lantern-1 / mill / 1"


def test_text_says_that_it_is_text_only_and_hostile_text_is_text(page: Any) -> None:
    page.fill("#text", f"The lamp hums. {HOSTILE}\n\n{HOSTILE}")
    page.click("#judge")
    settled(page)
    assert "text only" in page.inner_text("#results")
    page.evaluate(DROP, json.dumps({**log(1), "policy": HOSTILE}))
    settled(page)
    assert HOSTILE in page.inner_text("#results h2")


def test_errors_are_told_in_words(page: Any) -> None:
    page.fill("#text", "no log at all")
    page.click("#judge")
    assert settled(page).startswith("unreadable: ")
    page.fill("#token", "some-other-token-of-nobody")
    page.click("#judge")
    assert settled(page).startswith("unauthorized: ")
