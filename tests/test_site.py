"""The sources of the site, AGENTS.md and llms.txt: complete, and without names of what does not exist."""

import ast
import posixpath
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import seqclf
from seqclf import datasets, inspection

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
ASSISTANTS = ["AGENTS.md", "llms.txt"]
GENERATED = ("_build", "auto_examples", "generated")


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def public_names():
    names = set(seqclf.__all__) - {"datasets", "inspection", "__version__"}
    modules = {"datasets": datasets, "inspection": inspection}
    return names | {f"{folder}.{name}" for folder, module in modules.items() for name in module.__all__}


def names_of_reference(text):
    """The entries of all autosummary tables, and of single objects."""
    blocks = re.findall(r"^\.\. autosummary::\n((?:[ ]+.*\n|\n)+)", text + "\n", re.MULTILINE)
    entries = [line.strip() for block in blocks for line in block.splitlines()]
    single = re.findall(r"^\.\. (?:data|autodata|autofunction|autoclass):: (\S+)", text, re.MULTILINE)
    return [*(entry for entry in entries if entry and not entry.startswith(":")), *single]


def test_reference_lists_every_public_name_once():
    assert Counter(names_of_reference(read("docs/api.rst"))) == Counter(public_names())


def test_names_of_reference_are_those_of_tables_and_objects():
    text = ".. autosummary::\n   :toctree: generated\n\n   One\n   two.three\n\nText\n\n.. data:: FOUR\n   :type: int\n"
    assert names_of_reference(text) == ["One", "two.three", "FOUR"]


def pages():
    """The names of all pages, as toctrees have them."""
    paths = [path.relative_to(DOCS) for path in DOCS.rglob("*") if path.suffix in (".md", ".rst")]
    return sorted(path.with_suffix("").as_posix() for path in paths if path.parts[0] not in (*GENERATED, "_templates"))


def toctree_entries(page, text):
    """The pages in the toctrees of a page, relative to docs/."""
    markdown = re.findall(r"^(?:```|:::)\{toctree\}\n(.*?)^(?:```|:::)", text, re.DOTALL | re.MULTILINE)
    rst = re.findall(r"^\.\. toctree::\n((?:[ ]+.*\n|\n)+)", text + "\n", re.MULTILINE)
    lines = [line.strip() for block in markdown + rst for line in block.splitlines()]
    entries = [re.sub(r".*<(.*)>$", r"\1", line) for line in lines if line and not line.startswith(":")]
    # An entry that begins with a slash is relative to docs/, any other to the folder of the page.
    paths = [posixpath.join("/", posixpath.dirname(page), entry) for entry in entries]
    return [posixpath.normpath(path).lstrip("/") for path in paths]


def test_each_page_is_in_one_toctree():
    paths = {page: DOCS / f"{page}.md" for page in pages()}
    paths = {page: path if path.exists() else path.with_suffix(".rst") for page, path in paths.items()}
    texts = {page: path.read_text(encoding="utf-8") for page, path in paths.items()}
    entries = Counter(entry for page, text in texts.items() for entry in toctree_entries(page, text))
    generated = {entry for entry in entries if entry.startswith(GENERATED)}
    assert entries == Counter(set(texts) - {"index"} | generated)


def test_toctree_entries_are_relative_to_their_page():
    markdown = "```{toctree}\n:hidden:\n\nseries\nText <text>\n../api\n/more\n```\n"
    assert toctree_entries("guide/index", markdown) == ["guide/series", "guide/text", "api", "more"]
    assert toctree_entries("index", ".. toctree::\n   :hidden:\n\n   api\n   guide/index\n") == ["api", "guide/index"]


GALLERY = sorted(ROOT.glob("examples/**/plot_*.py"))
DRAWING = re.compile(r"\b(plt|pyplot)\.(figure|subplots|subplot_mosaic|plot|bar|scatter|hist|imshow)\(|Display\b.*\(")


def has_title(docstring):
    lines = (docstring or "").strip().splitlines()
    return len(lines) > 2 and set(lines[1]) == {"="} and len(lines[1]) >= len(lines[0]) > 0


def has_figure(source):
    return DRAWING.search(source) is not None


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_examples_of_the_gallery_have_title_and_figure(path):
    source = path.read_text(encoding="utf-8")
    assert has_title(ast.get_docstring(ast.parse(source), clean=False)), "begin with a title, underlined with ="
    assert has_figure(source)


def test_missing_title_or_figure_is_found():
    assert GALLERY and has_title("\nTitle\n=====\n\nText.\n") and has_figure("_, axes = plt.subplots()")
    assert not any(map(has_title, [None, "Title", "Title\n===\n\nText.", "Title\nText.\n\nText."]))
    assert not has_figure("import matplotlib.pyplot as plt\nplt.show()")


def test_requirements_of_the_site_are_pinned_at_allowed_versions():
    project = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]["site"]
    allowed = {canonicalize_name(each.name): each.specifier for each in map(Requirement, project)}
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)", read("docs/requirements.txt"), re.MULTILINE))
    versions = {canonicalize_name(name): version for name, version in pinned.items()}
    assert allowed
    assert {name: versions.get(name) for name in allowed if versions.get(name) not in allowed[name]} == {}


def make_targets():
    return set(re.findall(r"^([a-z-]+):(?!=)", read("Makefile"), re.MULTILINE))


def unknown_names(text):
    """Files, targets of make and public names in a text that don't exist."""
    code = "\n".join(re.findall(r"```.*?```|`[^`]+`", text, re.DOTALL))
    paths = set(re.findall(r"\]\(([^)#\s]+)\)", text))
    paths |= set(re.findall(r"(?<![\w./{])((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:md|txt|toml))", code))
    installed = {path for path in paths if path.startswith((".venv/", "https://"))}
    files = {path for path in paths - installed if not (ROOT / path).exists()}
    targets = set(re.findall(r"\bmake ([a-z-]+)", code)) - make_targets() - {"help"}
    known = {name.rpartition(".")[2] for name in public_names()}
    classes = set(re.findall(r"\bRNN\w+|\b\w+Display\b|\b(?:load|save|fetch)_\w+|\bmake_order\w+", code)) - known
    imported = re.findall(r"^from seqclf(?:\.(\w+))? import (.+)$", code, re.MULTILINE)
    modules = {"datasets", "inspection"}
    names = {name.strip() for _, names in imported for name in names.split(",")} - known - modules
    return sorted(files | targets | classes | names)


@pytest.mark.parametrize("path", ASSISTANTS)
def test_files_for_assistants_name_what_exists(path):
    assert unknown_names(read(path)) == []


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("`make test`, `README.md`, `seqclf/_fit.py`, [a page](docs/api.rst), `RNNTagger`, `.venv/bin/python`", []),
        ("`make nothing`", ["nothing"]),
        ("`NOTHING.md`", ["NOTHING.md"]),
        ("`seqclf/_nothing.py`", ["seqclf/_nothing.py"]),
        ("[a page](docs/nothing.md)", ["docs/nothing.md"]),
        ("`RNNNothing(units=8)`", ["RNNNothing"]),
        ("```python\nfrom seqclf import RNNTagger, nothing\n```", ["nothing"]),
    ],
)
def test_unknown_names_are_found(text, unknown):
    assert unknown_names(text) == unknown


def test_llms_txt_has_the_form_of_llmstxt_org():
    title, _, summary, *rest = read("llms.txt").splitlines()
    assert title == "# seqclf" and summary.startswith("> ")
    text = re.sub(r"^```.*?^```", "", "\n".join(rest), flags=re.DOTALL | re.MULTILINE)
    sections = re.split(r"^## .+$", text, flags=re.MULTILINE)[1:]
    assert sections and not re.search(r"^(# |###)", text, re.MULTILINE)
    lines = [line for section in sections for line in section.splitlines() if line]
    assert [line for line in lines if not re.match(r"- \[[^]]+\]\([^)]+\)(: .+)?$", line)] == []


def test_llms_txt_code_prints_its_comments(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # it writes a model
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", read("llms.txt"), re.DOTALL | re.MULTILINE))
    expected = re.findall(r"# -> (.*)", code)
    exec(compile(code, "llms.txt", "exec"), {"__name__": "llms"})
    assert len(expected) == code.count("print(") >= 5
    assert capsys.readouterr().out.splitlines() == expected
