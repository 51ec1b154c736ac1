"""`TokenAttributionDisplay`: HTML, text and pictures show every token once, and nothing that a text contains is run."""

import dataclasses
import itertools
import re
from functools import cache
from html.parser import HTMLParser

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.patches import Rectangle

from _factories import SMALL, run_python
from _taggers import make_tagger, token_rows
from seqclf import RNNClassifier, RNNTextClassifier
from seqclf.inspection import Contributions, TokenAttributionDisplay, token_contributions
from seqclf.inspection._attribution_plot import wrap
from seqclf.inspection._colours import LOWERS, RAISES, colour
from seqclf.inspection._text_pieces import Piece, text_pieces

TEXTS, LABELS = ["a good film", "a bad film"] * 20, ["praise", "blame"] * 20
HOSTILE = '<img src=x onerror="alert(1)"> & good\x1b[31m $x_{1$ \u202eevil\ud800 \x00film</div>'
SERIES = np.random.default_rng(0).normal(size=(20, 30, 2))


@cache
def text_model():
    return RNNTextClassifier(units=8, batch_size=8, random_state=0, n_threads=1).fit(TEXTS, LABELS)


@cache
def series_model():
    return RNNClassifier(**SMALL).fit(SERIES, np.arange(20) % 2)


def display_of(texts):
    return TokenAttributionDisplay.from_estimator(text_model(), texts)


def row(tokens, values, target="praise", spans=None):
    values = np.array(values, dtype=float)
    return Contributions(tokens=tokens, contributions=values, spans=spans, target=target, output=1.5, baseline=-0.5)


class Parser(HTMLParser):
    """Collects tags, attributes and the text of a page."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.text, self.attributes = [], [], "", set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_html_shows_the_text_as_given_and_escapes_it():
    page = display_of(["A GOOD  film!", HOSTILE])._repr_html_()
    found = Parser(page)
    assert not found.open
    assert set(found.tags) == {"div", "span", "b"}
    assert found.attributes <= {"style", "title", "dir"}
    assert "A GOOD  film!" in found.text
    assert '<img src=x onerror="alert(1)"> & good\ufffd[31m $x_{1$ \ufffdevil\ufffd \ufffdfilm</div>' in found.text
    page.encode()


@given(st.text())
@settings(max_examples=50)
def test_html_of_any_text_and_class_is_well_formed(text):
    spans = np.array([[i, i + 1] for i in range(0, len(text), 2)]).reshape(-1, 2)
    found = row([text[start:stop] for start, stop in spans], np.ones(len(spans)), text, spans)
    parsed = Parser(TokenAttributionDisplay([found], texts=[text])._repr_html_())
    assert not parsed.open
    assert set(parsed.tags) <= {"div", "span", "b"}


def test_line_breaks_of_every_system_are_line_breaks():
    page = Parser(display_of(["a good\r\nfilm\rfilm\nfilm"])._repr_html_())
    assert page.text.endswith("a good\nfilm\nfilm\nfilm")


def test_html_names_target_and_output_and_explains_the_colours():
    page = Parser(display_of(["a good film"])._repr_html_()).text
    found = token_contributions(text_model(), ["a good film"])[0]
    assert f"target praise: output {found.output:.2f}, baseline {found.baseline:.2f}" in page
    assert f"raises the output (by up to {np.abs(found.contributions).max():.3g})" in page
    assert "lowers it" in page


def test_tokens_that_raise_are_red_and_those_that_lower_are_blue():
    page = TokenAttributionDisplay([row(["up", "none", "down"], [2.0, 0.0, -1.0])])._repr_html_()
    found = re.findall(r'<span title="[^"]*"(?: style="background: (rgba[^;]*);[^"]*")?>(\w+)</span>', page)
    by_token = {token: style for style, token in found}
    assert by_token["up"].startswith(f"rgba({', '.join(map(str, RAISES))}")
    assert by_token["down"].startswith(f"rgba({', '.join(map(str, LOWERS))}")
    assert by_token["none"] == ""


def luminance(rgb):
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("page", "ink"), [(255, 17), (17, 238), (0, 255), (248, 36)])
@pytest.mark.parametrize("value", [1.0, -1.0, 0.5, -0.5])
def test_text_on_colours_is_readable_on_light_and_dark_pages(page, ink, value):
    *rgb, opacity = colour(value, 1.0)
    behind = luminance([opacity * part + (1 - opacity) * page for part in rgb])
    darker, lighter = sorted([behind, luminance([ink] * 3)])
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_small_contributions_have_no_colour():
    assert colour(0.001, 1.0) is colour(None, 1.0) is colour(0.0, 0.0) is None
    assert colour(5.0, 1.0) == colour(1.0, 1.0)


def test_str_marks_strong_tokens_without_control_characters():
    text = str(TokenAttributionDisplay([row(["go\x1b[1mod", "a", "bad"], [2.0, 0.1, -1.0])]))
    assert text.splitlines()[-2:] == ["target praise: output 1.50, baseline -0.50", "[go\ufffd[1mod +2] a [bad -1]"]
    assert "\x1b" not in str(display_of([HOSTILE]))


def test_ansi_colours_only_on_request():
    display = TokenAttributionDisplay([row(["good", "a", "bad"], [2.0, 0.1, -1.0])])
    assert display.to_text(ansi=True).splitlines()[-1] == "\x1b[1m\x1b[31mgood\x1b[0m a \x1b[34mbad\x1b[0m"
    assert str(display) == display.to_text()
    coloured = display_of([HOSTILE]).to_text(ansi=True)
    assert set(re.findall("\x1b.*?m", coloured)) <= {"\x1b[1m", "\x1b[31m", "\x1b[34m", "\x1b[0m"}


def test_series_are_strips_of_cells():
    display = TokenAttributionDisplay.from_estimator(series_model(), SERIES[:2], method="leave_out")
    assert len(display.contributions) == 2
    np.testing.assert_allclose(display.series[0], SERIES[0], atol=1e-5)
    parsed = Parser(display._repr_html_())
    assert parsed.text.count("channel 1") == 2
    assert parsed.tags.count("span") == 2 + 2 * 2 * (2 + 30)
    lines = [line for line in str(display).splitlines() if line.startswith("channel")]
    assert [len(line) for line in lines] == [len("channel 0  ") + 30] * 4
    assert set("".join(lines)) <= set("channel 01#+=-.")
    assert re.findall("\x1b[^m]*m", display.to_text(ansi=True))


def test_long_series_are_averaged_into_cells():
    values = np.zeros((960, 1))
    values[480:] = -1.0
    display = TokenAttributionDisplay([row(None, values)])
    assert str(display).splitlines()[-1] == "channel 0  " + 40 * "." + 40 * "="
    assert Parser(display._repr_html_()).tags.count("span") == 2 + 2 + 200


def test_a_row_without_a_baseline_has_none_in_its_title():
    without = dataclasses.replace(row(["good"], [1.0]), baseline=np.nan)
    assert str(TokenAttributionDisplay([without])).splitlines()[-2] == "target praise: output 1.50"


def drawn_tokens(axes):
    return [text.get_text() for text in axes.texts if text.get_text().strip()]


def test_pictures_have_every_word_and_a_rectangle_behind_each_token():
    display = display_of(["A good film", "one $very$ long text " * 30])
    assert display.plot() is display
    assert display.axes_[0].get_title(loc="left").startswith("target praise: output ")
    assert display.axes_[1].get_title(loc="left").startswith("target ")
    assert drawn_tokens(display.axes_[0]) == ["A", "good", "film"]
    assert len([patch for patch in display.axes_[0].patches if isinstance(patch, Rectangle)]) == 3
    assert "".join(drawn_tokens(display.axes_[1])) == "one$very$longtext" * 30
    assert len(display.figure_.legends) == 1
    display.figure_.canvas.draw()


def test_texts_stay_inside_the_figure_and_do_not_overlap():
    display = display_of(["a good film, not as bad as any other of its kind " * 12]).plot()
    display.figure_.canvas.draw()
    boxes = [text.get_window_extent() for text in display.axes_[0].texts]
    width, height = display.figure_.canvas.get_width_height()
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)
    for one, other in itertools.pairwise(boxes):
        assert one.x1 <= other.x0 + 3 or one.y0 > other.y0


def test_hostile_texts_and_classes_are_drawn():
    model = RNNTextClassifier(**SMALL).fit(TEXTS, ["$a_{", "<b>"] * 20)
    display = TokenAttributionDisplay.from_estimator(model, [HOSTILE.replace("\ud800", "")]).plot()
    display.figure_.canvas.draw()
    assert "".join(drawn_tokens(display.axes_[0])).startswith("<imgsrc=x")


def test_one_row_is_drawn_into_given_axes_in_a_font_that_fits():
    figure, axes = plt.subplots(1, 2, figsize=(6, 2))
    display = display_of(["a good film " * 40]).plot(ax=axes[0])
    assert display.figure_ is figure
    assert display.axes_ == [axes[0]]
    figure.canvas.draw()
    area = axes[0].get_window_extent()
    assert all(area.y0 - 2 <= text.get_window_extent().y0 for text in axes[0].texts)
    assert axes[0].texts[0].get_fontsize() < 10
    TokenAttributionDisplay.from_estimator(series_model(), SERIES[:1], method="leave_out").plot(ax=axes[1])
    assert len(axes[1].lines) == len(axes[1].images) == 2
    with pytest.raises(ValueError, match="ax is given, but the display has 2 rows"):
        display_of(["a", "good"]).plot(ax=axes[0])


def test_series_are_drawn_above_their_contributions():
    display = TokenAttributionDisplay.from_estimator(series_model(), SERIES[:1], method="leave_out").plot()
    (axes,) = display.axes_
    assert [label.get_text() for label in axes.get_yticklabels()] == ["channel 1", "channel 0"]
    for channel, image in enumerate(axes.images):
        np.testing.assert_allclose(image.get_array()[0], display.contributions[0].contributions[:, channel])
    display.figure_.canvas.draw()


def test_a_tagger_names_step_and_token():
    X, y = token_rows(20)
    display = TokenAttributionDisplay.from_estimator(make_tagger().fit(X, y), X[:1], target=(2, "NOUN"))
    assert f"target NOUN at step 2 ({X[0][2]}): output" in str(display)
    assert all(token in str(display) for token in X[0])


def test_texts_and_series_are_taken_by_position():
    found = token_contributions(text_model(), TEXTS[:2])
    texts = pd.Series(TEXTS[:2], index=[1, 0])
    assert str(TokenAttributionDisplay(found, texts=texts)) == str(TokenAttributionDisplay(found, texts=TEXTS[:2]))
    found = token_contributions(series_model(), SERIES[:2], method="leave_out")
    display = TokenAttributionDisplay(found, series=pd.Series([SERIES[0], SERIES[1]], index=[7, 8])).plot()
    assert len(display.axes_) == 2


@pytest.mark.parametrize(
    ("contributions", "arguments", "message"),
    [
        (row(["a"], [1.0]), {}, "got a Contributions: pass \\[contributions\\] for one row"),
        (None, {}, "contributions must be a list of Contributions, got a NoneType"),
        ([row(["a"], [1.0])], {"texts": "a"}, "texts must hold one of the texts for each row"),
        ([row(["a"], [1.0])], {"texts": ["a", "b"]}, "texts has 2 rows, but contributions has 1"),
        ([row(["a"], [1.0])], {"series": []}, "series has 0 rows, but contributions has 1"),
        ([row(["good"], [1.0], spans=np.array([[0, 4]]))], {"texts": ["bad"]}, "texts\\[0\\] is shorter than the text"),
    ],
)
def test_rows_that_do_not_match_are_errors(contributions, arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        TokenAttributionDisplay(contributions, **arguments)


def test_axes_of_another_type_are_an_error():
    display = display_of(["a good film"])
    with pytest.raises(TypeError, match="ax must be None, a matplotlib Axes or a sequence of Axes; got str"):
        display.plot("ax")
    axes = plt.figure().add_subplot()
    assert display.plot([axes]).axes_ == [axes]


def test_a_series_without_steps_is_drawn():
    display = TokenAttributionDisplay.from_estimator(series_model(), [np.empty((0, 2))], method="leave_out").plot()
    display.figure_.canvas.draw()
    assert not display.axes_[0].images


def test_a_display_of_empty_texts_and_of_no_rows():
    for display in (display_of(["", "good"]), TokenAttributionDisplay([])):
        str(display)
        Parser(display._repr_html_())
        assert len(display.plot().axes_) == len(display.contributions)


def test_without_matplotlib_plot_names_what_to_install():
    code = """
    import sys
    sys.modules["matplotlib"] = sys.modules["matplotlib.pyplot"] = None
    from seqclf.inspection import TokenAttributionDisplay
    try:
        TokenAttributionDisplay([]).plot()
    except ImportError as error:
        print(error)
    """
    assert run_python(code).startswith("TokenAttributionDisplay draws with matplotlib, which is not installed")


pieces = st.lists(
    st.builds(
        Piece, st.text(st.sampled_from("ab  \n\t한\u0301é"), min_size=1, max_size=8), st.none() | st.floats(-1, 1)
    ),
    max_size=12,
)


@given(pieces, st.integers(4, 12))
def test_wrapped_lines_hold_every_character_within_the_width(pieces, n_columns):
    fragments = wrap(pieces, n_columns)
    assert "".join("".join(f.text.split()) for f in fragments) == "".join("".join(p.text.split()) for p in pieces)
    assert all(f.text.strip() in pieces[f.piece].text for f in fragments)
    for one, other in itertools.pairwise(fragments):
        assert other.line > one.line or other.column == one.column + one.width
    assert all(f.column + f.width <= n_columns for f in fragments)


def test_words_are_not_divided_if_they_fit_into_a_line():
    found = wrap([Piece("one two", None), Piece("three", 1.0)], 9)
    assert [(f.text, f.line, f.column) for f in found if f.text.strip()] == [
        ("one", 0, 0.0),
        ("two", 1, 0.0),
        ("three", 1, 3.0),
    ]


def test_tokens_made_from_one_character_are_one_piece():
    found = row(["1", "⁄", "2", "x"], [1.0, 2.0, 3.0, 4.0], spans=np.array([[2, 3], [2, 3], [2, 3], [4, 5]]))
    assert text_pieces(found, "a ½ x!") == [
        Piece("a ", None),
        Piece("½", 6.0),
        Piece(" ", None),
        Piece("x", 4.0),
        Piece("!", None),
    ]
