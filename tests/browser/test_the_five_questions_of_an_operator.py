"""Five questions of an operator, each answered within a number of clicks; `make five-questions` takes the pictures."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.five_questions import PREPARE, QUESTIONS, Operator
from tests.support.site import Site


@pytest.fixture(scope="module")
def saraa(browser: Browser, site: Site) -> Iterator[Operator]:
    site.manage("shell", "-v0", "-c", PREPARE)
    window = browser.new_context(base_url=site.url, locale="en", viewport={"width": 1100, "height": 540})
    operator = Operator(window.new_page(), site)
    operator.sign_in()
    yield operator
    window.close()


@pytest.mark.parametrize("question", list(QUESTIONS))
def test_an_operator_needs_few_clicks(saraa: Operator, question: str):
    find, picture, most = QUESTIONS[question]
    answer = saraa.answer(question, find, picture)
    print(f"| {answer.question} | {answer.clicks} | {answer.seconds:.1f} |")  # noqa: T201  (of make five-questions)
    assert answer.clicks <= most
