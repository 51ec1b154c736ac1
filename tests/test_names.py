"""Identifiers do not contain words that are vague or private; docs/glossary.md has the terms to use."""

import io
import keyword
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = """
    ahead anew apart ask asks begun beside borrow foretold forget gives holder holders knows learnt least lend lies
    missed most nobody own place places rated refuse room say says share shares sleeper speak speaks tell tells votes
    wake wants whoever written
""".split()
# Names of numpy, of collections.Counter and of scikit-learn, and one standard idiom.
EXCEPTIONS = {"shares_memory", "most_common", "most_frequent", "at_least"}
CPP_COMMENTS_AND_STRINGS = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def python_identifiers(text):
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {token.string for token in tokens if token.type == tokenize.NAME and not keyword.iskeyword(token.string)}


def cpp_identifiers(text):
    return set(re.findall(r"[A-Za-z_]\w*", CPP_COMMENTS_AND_STRINGS.sub(" ", text)))


def words(identifier):
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)]


def forbidden_identifiers(identifiers):
    return sorted(name for name in identifiers - EXCEPTIONS if set(words(name)) & set(FORBIDDEN))


def source_files():
    folders = [ROOT / name for name in ("seqclf", "tests", "benchmarks", "examples")]
    paths = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".cpp", ".h")]
    return sorted(
        [
            *paths,
            *(path for path in (ROOT / "tools").rglob("*") if path.suffix in ("", ".py", ".cpp") and path.is_file()),
        ]
    )


@pytest.mark.parametrize("path", source_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_identifiers_have_no_forbidden_word(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix in (".cpp", ".h"):
        found = forbidden_identifiers(cpp_identifiers(text))
    else:
        is_python = path.suffix == ".py" or "python" in text.partition("\n")[0]  # other tools are shell scripts
        found = forbidden_identifiers(python_identifiers(text)) if is_python else []
    assert not found, f"docs/glossary.md has the words to use instead: {', '.join(found)}"


@pytest.mark.parametrize(
    ("identifiers", "found"),
    [
        ({"n_rows", "shared", "lender"}, []),
        ({"beside", "n_holders"}, ["beside", "n_holders"]),
        ({"ReadAhead", "SHARES", "shares_memory"}, ["ReadAhead", "SHARES"]),
    ],
)
def test_forbidden_identifiers_finds_whole_words(identifiers, found):
    assert sorted(forbidden_identifiers(identifiers)) == sorted(found)


def test_identifiers_are_those_of_the_code_alone():
    python = 'def place(x):  # anew\n    """nobody"""\n    return "votes"\n'
    cpp = '// ahead\nint rest = f("begun");'
    assert python_identifiers(python) == {"place", "x"} and cpp_identifiers(cpp) == {"int", "rest", "f"}
