"""`load_docstrings`: real texts from the documentation of four libraries, which every installation has.

The source files are parsed, not imported: this is fast and has no side effects.
"""

import ast
import contextlib
import gc
import gzip
import inspect
import json
import os
import re
import tempfile
import threading
import warnings
import zlib
from collections.abc import Iterable, Iterator
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch

# The distribution names of the packages, for importlib.metadata.
_DISTRIBUTIONS = {"numpy": "numpy", "scipy": "scipy", "sklearn": "scikit-learn", "torch": "torch"}

_SKIPPED_FOLDERS = {
    # tests
    *("test", "testing", "tests"),
    # third-party code
    *("_build_utils", "_external", "_vendor", "array_api_compat", "array_api_extra", "externals"),
    # part of numpy, on some Python versions only
    "distutils",
    # torch internals: half of its files, with few user-facing texts
    *("ao", "distributed", "fx", "onnx"),
}
# Most of numpy's public functions are defined here.
_PUBLIC_UNDERSCORE_FOLDERS = {"_core"}
# The functions by which the three compiled libraries document C functions; the text is one of the arguments.
_DOCUMENTING_CALLS = {"add_newdoc", "add_docstr", "add_docstr_all"}

_MIN_WORDS = 8
_MAX_TEXTS_PER_PACKAGE = 1000
_parse_lock = threading.Lock()
_CACHE_FORMAT = 1  # to be raised whenever a code change alters the texts of the same installation

_MASK = "package"
# Longer identifiers that contain a name are masked as a whole ("from_numpy", "pytorch"); the two aliases only as words.
_PACKAGE_WORD = re.compile(
    r"\b(?:\w*(?:numpy|scipy|sklearn|scikit(?:[-_ ]?learn)?|torch)\w*|(?:np|sp)\b)", re.IGNORECASE
)
_IMPORT_LINE = re.compile(
    r"^[ \t]*(?:(?:>>>|\.\.\.)[ \t]*)?(?:import|from)[ \t]+(?:numpy|scipy|sklearn|torch)\b.*\n?", re.MULTILINE
)
# "{out}" or "%(axis)s" alone on a line: a placeholder that torch or scipy fills in at import.
_TEMPLATE_LINE = re.compile(r"^[ \t]*(?:\{\w+\}|%\(\w+\)s)[ \t]*\n?", re.MULTILINE)

_DESCR = f"""\
Documentation strings of Python packages
----------------------------------------

One text per public function, class or method of the installed packages; the class is the package.
Package names are masked, duplicates are removed, and each package contributes at most {_MAX_TEXTS_PER_PACKAGE} texts.
The texts change with the versions of the packages.
"""


def load_docstrings(
    *, packages: Iterable[str] = ("numpy", "scipy", "sklearn", "torch"), return_X_y: bool = False
) -> Any:
    """Load the documentation strings of installed packages, labelled by package.

    These are real English texts for classification, and need no download: every full installation of this package
    includes the four packages. The packages are not imported; their source files are parsed.

    The names of all four packages (and ``np``, ``sp``, and longer words that contain a name) are replaced by the word
    "package", and lines that import from them are removed. Texts shorter than 8 words are dropped, and so are texts
    that occur in several packages. At most 1,000 texts per package are selected, with a fixed seed, so that the classes
    are of similar size although the packages are not.

    The first call takes some seconds and writes the texts to scikit-learn's data home; later calls read them from
    there.

    Parameters
    ----------
    packages : iterable of {"numpy", "scipy", "sklearn", "torch"}, default=all four
        The packages to read, which are also the classes. Their order doesn't matter.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : Bunch
        With the fields

        data : list of str
            The texts, shuffled with a fixed seed: the order is the same for the same versions of the packages.
        target : ndarray of int, shape (n_samples,)
            The class of each text, an index into `target_names`.
        target_names : list of str
            The packages, sorted.
        names : list of str
            The qualified name of the object that each text documents.
        DESCR : str
            A description of the data set.
    (data, target) : tuple if `return_X_y` is True
        Only these two fields.

    Raises
    ------
    ValueError
        If `packages` is empty or names another package.
    ModuleNotFoundError
        If a package isn't installed.

    Notes
    -----
    Libraries often document a method of several classes in nearly the same words. Such near duplicates are not removed,
    so the accuracy on a random split is somewhat optimistic.

    Examples
    --------
    >>> from seqclf.datasets import load_docstrings
    >>> docstrings = load_docstrings(packages=["numpy", "sklearn"])
    >>> docstrings.target_names
    ['numpy', 'sklearn']
    >>> len(docstrings.data) == len(docstrings.target)
    True
    """
    target_names = _check_packages(packages)
    versions = {package: _version(package) for package in target_names}
    path = _cache_path(versions)
    rows = _read_cache(path, versions)
    if rows is None:
        with _parsing():
            rows = _sample([(package, _read_package(package, _find_package(package))) for package in target_names])
        _write_cache(path, versions, rows)

    data = rows["texts"]
    target = np.array([target_names.index(package) for package in rows["packages"]], dtype=np.int64)
    if return_X_y:
        return data, target
    return Bunch(data=data, target=target, target_names=target_names, names=rows["names"], DESCR=_DESCR)


def _check_packages(packages: Iterable[str]) -> list[str]:
    names = [packages] if isinstance(packages, str) else sorted(set(packages))
    if not names or not set(names) <= set(_DISTRIBUTIONS):
        raise ValueError(f"packages must be one or more of {sorted(_DISTRIBUTIONS)}. Got {packages!r} instead.")
    return names


def _version(package: str) -> str:
    return metadata.version(_DISTRIBUTIONS[package])


def _find_package(package: str) -> Path:
    spec = util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"load_docstrings needs {package}, which is not installed.", name=package)
    return Path(spec.origin).parent


@contextlib.contextmanager
def _parsing() -> Iterator[None]:
    """Disable warnings (about invalid escapes in third-party files) and the garbage collector.

    A syntax tree has no cycles, but its many objects would trigger collections that take longer than the parsing. The
    lock is needed because two threads would restore each other's settings.
    """
    with _parse_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        enabled = gc.isenabled()
        gc.disable()
        try:
            yield
        finally:
            if enabled:
                gc.enable()


def _read_package(package: str, root: Path) -> dict[str, str]:
    """Cleaned texts by qualified name, sorted by name and without duplicates."""
    found: dict[str, str] = {}
    for path in _source_files(root):
        module = ".".join((package, *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__")
        try:
            tree = ast.parse(path.read_bytes())
        except SyntaxError:  # a file for newer versions of Python
            continue
        for name, docstring in _docstrings(tree, module):
            found.setdefault(name, docstring)

    texts: dict[str, str] = {}
    seen: set[str] = set()
    for name, docstring in sorted(found.items()):
        text = _clean(docstring)
        key = _normalize(text)
        if len(text.split()) >= _MIN_WORDS and key not in seen:
            seen.add(key)
            texts[name] = text
    return texts


def _source_files(root: Path) -> Iterator[Path]:
    # Sorted, because the first of two equal names is used, and file systems list files in different orders.
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).parts):
        folders = path.relative_to(root).parts[:-1]
        private = folders[:1] and folders[0].startswith("_") and folders[0] not in _PUBLIC_UNDERSCORE_FOLDERS
        if not private and _SKIPPED_FOLDERS.isdisjoint(folders) and path.name != "conftest.py":
            yield path


def _docstrings(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, str]]:
    for child in node.body:
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Call):
            documented = _documenting_call(child.value)
            if documented is not None:
                name, text = documented
                package = prefix.partition(".")[0]
                yield name if name.startswith(f"{package}.") else f"{prefix}.{name}", text
        elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if child.name.startswith("_"):
                continue
            name = f"{prefix}.{child.name}"
            docstring = ast.get_docstring(child)
            if docstring:
                yield name, docstring
            if isinstance(child, ast.ClassDef):
                yield from _docstrings(child, name)


def _documenting_call(call: ast.Call) -> tuple[str, str] | None:
    """Name and text of ``add_docstr(torch.abs, "...")`` or ``add_newdoc(module, "name", "...")``."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", None)
    if function not in _DOCUMENTING_CALLS:
        return None
    # The text can be a sum of strings or be followed by ".format(...)"; its pieces are joined in source order.
    strings = [
        node
        for argument in call.args
        for node in ast.walk(argument)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    strings.sort(key=lambda node: (node.lineno, node.col_offset))
    labels = [ast.unparse(argument) for argument in call.args if isinstance(argument, ast.Attribute)]
    labels += [str(node.value) for node in strings if str(node.value).replace(".", "").isidentifier()]
    text = "".join(str(node.value) for node in strings if len(str(node.value).split()) > 1)
    if not labels or not text or labels[-1].split(".")[-1].startswith("_"):
        return None
    return ".".join(labels), inspect.cleandoc(text)


def _clean(docstring: str) -> str:
    text = _TEMPLATE_LINE.sub("", _IMPORT_LINE.sub("", docstring))
    return _PACKAGE_WORD.sub(_MASK, text).strip()


def _normalize(text: str) -> str:
    return " ".join(text.lower().split())


def _sample(texts_by_package: list[tuple[str, dict[str, str]]]) -> dict[str, list[str]]:
    """Drop texts that several packages have, draw up to the maximum from each package, and shuffle."""
    counts: dict[str, int] = {}
    for _, texts in texts_by_package:
        for text in texts.values():
            key = _normalize(text)
            counts[key] = counts.get(key, 0) + 1

    rng = np.random.RandomState(0)
    rows: list[tuple[str, str, str]] = []
    for package, texts in texts_by_package:
        unique = [(package, name, text) for name, text in texts.items() if counts[_normalize(text)] == 1]
        rows += [unique[index] for index in rng.permutation(len(unique))[:_MAX_TEXTS_PER_PACKAGE]]
    rows = [rows[index] for index in rng.permutation(len(rows))]
    return {
        "packages": [package for package, _, _ in rows],
        "names": [name for _, name, _ in rows],
        "texts": [text for _, _, text in rows],
    }


def _cache_path(versions: dict[str, str]) -> Path | None:
    try:
        folder = Path(get_data_home()) / "seqclf"
    except OSError:  # without a data home the texts are parsed again in each call
        return None
    key = "-".join(f"{package}_{version}" for package, version in versions.items())
    return folder / f"docstrings-{_CACHE_FORMAT}-{key}.json.gz"


def _read_cache(path: Path | None, versions: dict[str, str]) -> dict[str, list[str]] | None:
    """The rows, or None if there is no valid cache."""
    if path is None:
        return None
    try:
        content = json.loads(gzip.decompress(path.read_bytes()))
        rows = {key: content["rows"][key] for key in ("packages", "names", "texts")}
        is_valid = (
            content["versions"] == versions
            and len({len(column) for column in rows.values()}) == 1
            and set(rows["packages"]) <= set(versions)
            and all(isinstance(text, str) for text in rows["texts"])
        )
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
        return None
    return rows if is_valid else None


def _write_cache(path: Path | None, versions: dict[str, str], rows: dict[str, list[str]]) -> None:
    if path is None:
        return
    content: dict[str, Any] = {"versions": versions, "rows": rows}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            temporary = Path(folder) / path.name
            temporary.write_bytes(gzip.compress(json.dumps(content).encode(), compresslevel=6))
            os.replace(temporary, path)
    except OSError as error:
        warnings.warn(f"Could not save the docstrings in {path}, so the next call parses again: {error}", stacklevel=3)
