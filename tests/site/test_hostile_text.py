"""The HTML of displays, estimators and summaries shows texts verbatim and runs nothing, whatever they contain."""

import re

import pytest

from seqclf import RNNTextClassifier, TextTokenizer
from seqclf.inspection import TokenAttributionDisplay, model_summary

pytest.importorskip("selenium", reason="selenium is not installed here: run `make site-test`")

HOSTILE = [
    "<script>window.ran = 1</script>",
    "</script><script>window.ran = 2</script>",
    "<img src=missing.png onerror='window.ran = 3'>",
    "\"><svg onload=\"window.ran = 4\">' onmouseover='window.ran = 5'",
    "</style></title></textarea><iframe srcdoc='<script>parent.ran = 6</script>'></iframe>",
    "&lt;script&gt; &amp;amp; &#60; &nbsp;",
    "<a href='javascript:window.ran = 7'>javascript:window.ran = 8</a>",
    "left \u202eright to left\u202c \u2066isolated\u2069 \u200f mark",
    "${window.ran = 9} {{window.ran = 10}} <!-- <b>comment</b> --> <![CDATA[ data ]]>",
]
PLAIN = "a plain text"
# The display shows these as U+FFFD, and the tokenizer removes them from tokens.
CONTROLS = re.compile("[\u200f\u202c\u202e\u2066\u2069]")
MADE_OF_TEXT = "script, img, svg, iframe, a, style, textarea, [onerror], [onload], [onmouseover]"


@pytest.fixture(scope="module")
def model(site):
    """A model of hostile texts and classes; `site` skips it where there is no browser."""
    texts, classes = [*HOSTILE, PLAIN] * 4, [*HOSTILE, PLAIN] * 4
    tokenizer = TextTokenizer(level="char")
    return RNNTextClassifier(tokenizer=tokenizer, units=2, max_epochs=1, random_state=0).fit(texts, classes)


@pytest.fixture
def opened(visit_html, browser):
    """A function that opens HTML in the body of a page, checks that nothing ran, and returns the visible text."""

    def open_html(html):
        seen = visit_html(f"<title>seqclf</title><div id='tested'>{html}</div>")
        assert browser.execute_script("return window.ran ?? null") is None
        assert [url for url in seen.requests if "missing.png" in url] == []
        return browser.execute_script("return document.getElementById('tested').innerText")

    return open_html


def missing_texts(shown, replacement="\ufffd"):
    return [text for text in HOSTILE if CONTROLS.sub(replacement, text) not in shown]


def elements_made_of_text(browser):
    script = "return document.querySelectorAll(arguments[0].split(', ').map((s) => '#tested ' + s).join()).length"
    return browser.execute_script(script, MADE_OF_TEXT)


@pytest.mark.parametrize("method", ["integrated_gradients", "leave_out"])
def test_attribution_shows_texts_verbatim(method, model, opened, browser):
    display = TokenAttributionDisplay.from_estimator(model, HOSTILE, method=method)
    shown = opened(display._repr_html_())
    assert missing_texts(shown) == []
    assert elements_made_of_text(browser) == 0


def test_attribution_shows_hostile_classes_verbatim(model, opened, browser):
    display = TokenAttributionDisplay.from_estimator(model, [PLAIN] * len(HOSTILE), target=HOSTILE[0])
    assert HOSTILE[0] in opened(display._repr_html_())
    assert elements_made_of_text(browser) == 0


def test_attribution_shows_tokens_verbatim(opened, browser):
    rows = [[text, "token"] for text in HOSTILE]
    model = RNNTextClassifier(tokenizer=TextTokenizer(lowercase=False), units=2, max_epochs=1, random_state=0)
    model.fit([*rows, *rows], ["yes"] * len(rows) + ["no"] * len(rows))
    shown = opened(TokenAttributionDisplay.from_estimator(model, rows)._repr_html_())
    assert missing_texts(shown, "") == []
    assert elements_made_of_text(browser) == 0


def test_summary_shows_classes_verbatim(opened, browser):
    classes = sorted([HOSTILE[0], HOSTILE[2]])
    model = RNNTextClassifier(units=2, max_epochs=1, random_state=0).fit(["a text"] * 4, classes * 2)
    assert f"2: {classes[0]!r}, {classes[1]!r}" in opened(model_summary(model)._repr_html_())
    assert elements_made_of_text(browser) == 0


def test_fitted_estimator_runs_nothing(model, opened):
    """Of hostile classes and tokens; scikit-learn's HTML has a script of its own."""
    assert "RNNTextClassifier" in opened(model._repr_html_())


@pytest.mark.parametrize("text", HOSTILE)
def test_estimator_with_a_hostile_parameter_runs_nothing(text, opened):
    estimator = RNNTextClassifier(cell=text, tokenizer=TextTokenizer(level=text))
    assert "RNNTextClassifier" in opened(estimator._repr_html_())


@pytest.mark.parametrize("text", [HOSTILE[0], HOSTILE[2], HOSTILE[3], HOSTILE[4]])
def test_text_that_is_not_escaped_is_found(text, visit_html, browser):
    visit_html(f"<title>seqclf</title><div id='tested'>{text}</div>")
    assert elements_made_of_text(browser) > 0
    assert browser.execute_script("return window.ran ?? null") is not None
