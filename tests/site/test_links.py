"""The links of all pages lead to files and anchors of the site, or to addresses with encryption."""

import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("selenium", reason="selenium is not installed here: run `make site-test`")


class _Page(HTMLParser):
    """The addresses and ids of a page."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.ids = set(), {"", "top"}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src", "data") and value:
                self.addresses.add(value)
            elif name in ("id", "name") and value:
                self.ids.add(value)


def is_broken(address, path, folder, parsed):
    """Whether a link of the page `path` leads to no file of the folder, no anchor of a page, or without encryption."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return parts.scheme not in ("https", "mailto", "data")
    page = folder / path
    target = (page.parent / unquote(parts.path) if parts.path else page).resolve()
    if not (target.is_relative_to(folder) and target.is_file()):
        return True
    name = target.relative_to(folder).as_posix()
    return name in parsed and unquote(parts.fragment) not in parsed[name].ids


def broken_links(folder, paths):
    """The broken links of these pages, each with its page."""
    folder = folder.resolve()
    parsed = {path: _Page((folder / path).read_text(encoding="utf-8")) for path in paths}
    links = [(path, address) for path, page in parsed.items() for address in sorted(page.addresses)]
    return [f"{path}: {address}" for path, address in links if is_broken(address, path, folder, parsed)]


def test_links_lead_to_files_and_anchors(site, pages):
    found = broken_links(site, pages)
    assert not found, "\n".join(["", *found])


def test_links_of_llms_txt_lead_to_pages(site):
    links = re.findall(r"\]\(([^)]+)\)", (site / "llms.txt").read_text(encoding="utf-8"))
    assert links and [link for link in links if not (site / link).is_file()] == []


def test_broken_links_are_found(tmp_path):
    good = ["b.html", "b.html#here", "#top", "https://example.org", "data:,"]
    bad = ["c.html", "b.html#there", "#there", "../b.html", "http://example.org", "javascript:f()", "missing.css"]
    (tmp_path / "a.html").write_text("".join(f"<a href='{address}'></a>" for address in good + bad))
    (tmp_path / "b.html").write_text("<p id='here'></p>")
    assert broken_links(tmp_path, ["a.html", "b.html"]) == sorted(f"a.html: {address}" for address in bad)
