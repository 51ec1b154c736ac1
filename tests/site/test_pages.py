"""Every page of the site in Chromium: titles, figures, formulas, colours and widths, and what the browser reports."""

from collections import Counter
from urllib.parse import urlsplit

import pytest

pytest.importorskip("selenium", reason="selenium is not installed here: run `make site-test`")


def untitled(visit):
    return [] if visit.title.endswith("seqclf") else [f"title {visit.title!r}"]


def errors_in_console(visit):
    return [entry["message"] for entry in visit.console if entry["level"] not in ("INFO", "DEBUG")]


def requests_elsewhere(visit):
    return [url for url in visit.requests if urlsplit(url).hostname != "127.0.0.1" and not url.startswith("data:")]


def images(visit):
    return [(theme, figure) for theme, facts in visit.themes.items() for figure in facts["figures"]]


def broken_figures(visit):
    return [figure["name"] for _, figure in images(visit) if figure["tag"] != "img" or not min(figure["size"])]


def empty_figures(visit):
    """Those of one colour; and, except thumbnails, those with less than one pixel in 200 that stands out."""
    shown = [(theme, figure) for theme, figure in images(visit) if "nColours" in figure]
    return [
        f"{theme}: {figure['name']}: {figure['nColours']} colours, {figure['standingOut']:.2%} stands out"
        for theme, figure in shown
        if figure["nColours"] == 1 or (figure["standingOut"] < 0.005 and not figure["label"])
    ]


def figures_without_text(visit):
    """An empty `alt` is right next to a label, such as that of a thumbnail. By default Sphinx writes the address."""
    return [
        f"{figure['name']}: alt={figure['alt']!r}"
        for figure in visit.light["figures"]
        if (not figure["alt"] and not figure["label"]) or figure["alt"] in (None, figure["address"])
    ]


def unrendered_markup(visit):
    return [*visit.light["formulas"]["failed"], *visit.light["formulas"]["raw"]]


def code_without_copy_button(visit):
    return visit.light["code"]["without"]


def faint_text(visit):
    return [f"{theme}: {found}" for theme, facts in visit.themes.items() for found in facts["text"]["faint"]]


def wide_elements(visit):
    return [f"at {width} px: {found}" for width, elements in visit.too_wide.items() for found in elements]


CHECKS = [
    untitled,
    errors_in_console,
    requests_elsewhere,
    broken_figures,
    empty_figures,
    figures_without_text,
    unrendered_markup,
    code_without_copy_button,
    faint_text,
    wide_elements,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_pages_have_no(check, visits):
    found = [f"{visit.path}: {problem}" for visit in visits for problem in check(visit)]
    assert not found, "\n".join(["", *found])


def test_titles_are_unique(visits):
    counts = Counter(visit.title for visit in visits)
    assert [title for title, count in counts.items() if count > 1] == []


def test_checks_looked_at_something(visits):
    facts = [visit.light for visit in visits]
    assert sum(each["text"]["n"] for each in facts) > 100 * len(facts)
    assert sum(each["formulas"]["n"] for each in facts) > 10
    assert sum(each["code"]["n"] for each in facts) > len(facts)
    assert sum("nColours" in figure for each in facts for figure in each["figures"]) > len(facts)


def test_first_page_has_buttons(visits):
    (first,) = (visit for visit in visits if visit.path == "index.html")
    assert first.buttons == ["Install", "First steps", "User guide"]


PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
# A black line without a background, which cannot be seen on a dark page.
LINE = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><path d='M1 1h7v2H1z'/></svg>"
FAULTS = {
    untitled: "<title>A page</title>",
    errors_in_console: "<script>console.error('failed')</script>",
    requests_elsewhere: "<script src='https://example.org/script.js'></script>",
    broken_figures: "<img src='missing.png' alt='A figure'>",
    empty_figures: f"<img src='{PIXEL}' alt='A figure'>",
    figures_without_text: f"<img src='{PIXEL}' alt=''>",
    unrendered_markup: "<article>A gate is \\(x + y\\).</article>",
    code_without_copy_button: "<div class='highlight'><pre>code</pre></div>",
    faint_text: "<p style='color: #777'>faint</p>",
    wide_elements: "<article><div style='overflow: hidden'><pre style='width: 500px'>wide</pre></div></article>",
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_each_check_finds_its_fault(check, visit_html):
    assert check(visit_html(FAULTS[check]))


def test_raw_table_is_found(visit_html):
    assert unrendered_markup(visit_html("<article><p>| data | ours | seconds | theirs |</p></article>"))


@pytest.mark.parametrize("source", [LINE, "missing.png"], ids=["line", "missing"])
def test_a_dark_figure_without_background_is_found_on_a_dark_page(source, visit_html):
    dark = "<style>@media (prefers-color-scheme: dark) { html { background: #14181e } }</style>"
    found = empty_figures(visit_html(f'{dark}<img src="{source}" alt="A figure">'))
    assert [problem.partition(":")[0] for problem in found] == (["dark"] if source == LINE else [])


@pytest.mark.parametrize(
    ("html", "n_problems"),
    [
        ("<p style='color: #777; font-size: 24px'>large</p>", 0),
        ("<p style='color: #666'>dark enough</p>", 0),
        ("<p style='color: rgb(0 0 0 / 40%)'>transparent</p>", 2),
        ("<p style='opacity: 0.4'>transparent</p>", 2),
        ("<div style='background: #666'><p>on grey<span style='color: #fff'>white</span></p></div>", 2),
        ("<p style='color: color-mix(in srgb, white 60%, black)'>a mixture</p>", 2),
        ("<p style='color: #eee; visibility: hidden'>not shown</p>", 0),
    ],
)
def test_contrast(html, n_problems, visit_html):
    assert len(faint_text(visit_html(html))) == n_problems


def test_wide_code_that_scrolls_in_its_box_is_no_fault(visit_html):
    html = "<article><div style='overflow: auto'><pre style='width: 5000px'>wide</pre></div></article>"
    assert wide_elements(visit_html(html)) == []
    assert wide_elements(visit_html(html.replace("auto", "visible")))
    assert wide_elements(visit_html(f"<div style='overflow: auto'>{html.replace('auto', 'visible')}</div>"))
