"""The search, and the choice of a theme."""

import re
import time

import pytest

pytest.importorskip("selenium", reason="selenium is not installed here: run `make site-test`")


def search(browser, address, word):
    """The titles that a search finds, and the line above them, when it has ended."""
    browser.get(f"{address}search.html?q={word}")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        summary = browser.execute_script("return document.querySelector('.search-summary')?.innerText ?? ''")
        if re.search(r"\d+ page|did not match", summary):
            script = "return [...document.querySelectorAll('ul.search > li > a')].map((link) => link.innerText)"
            return browser.execute_script(script), summary
        time.sleep(0.05)
    raise AssertionError(f"the search for {word} did not end; its summary is {summary!r}")


@pytest.mark.parametrize(("word", "title"), [("dropout", "RNNTextClassifier"), ("glossary", "Glossary")])
def test_search_finds_a_page(word, title, browser, site_address):
    titles, _ = search(browser, site_address, word)
    assert any(title in found for found in titles), titles


def test_search_for_a_nonsense_word_finds_nothing(browser, site_address):
    titles, summary = search(browser, site_address, "qzxjvwpf")
    assert titles == [] and "did not match" in summary


def test_chosen_theme_is_kept_on_the_next_page(browser, site_address):
    browser.get(f"{site_address}index.html")
    state = "return [document.documentElement.dataset.mode, document.documentElement.dataset.theme]"
    for theme in ("light", "dark"):
        browser.execute_script(
            "document.querySelector(`.theme-change-button[data-mode=${arguments[0]}]`).click()", theme
        )
        assert browser.execute_script(state) == [theme, theme]
    browser.get(f"{site_address}api.html")
    assert browser.execute_script(state) == ["dark", "dark"]
    browser.execute_script("localStorage.clear()")
