"""The import map: what each file of the package may import, read with `ast` so that it stays true.

A stage imports only what stands left of it on the way of the data:

    _native, _data -> _validation, _text, _label_features
    _native -> _kernels -> _nn -> _training -> _base -> RNN*

The table below is the rule; a file that it does not cover fails. The standard library and numpy may be imported
anywhere but in `__init__.py`, whose import has to stay cheap.
"""

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import seqclf

PACKAGE = Path(seqclf.__file__).parent


@dataclass(frozen=True)
class May:
    """What one file, or every file of a folder, may import."""

    modules: tuple[str, ...] = ()  # of seqclf; a folder named "_nn/" allows all in it, "_nn" only its __init__
    libraries: tuple[str, ...] = ()  # anywhere in the file
    in_functions: tuple[str, ...] = ()  # libraries and modules imported only where they are used
    numpy: bool = True
    dynamic: bool = False  # import_module(<a variable>)


# A file's own line wins over its folder's.
MAP = {
    "__init__.py": May(
        modules=(
            "datasets",
            "_rnn_classifier",
            "_rnn_text_classifier",
            "_sequence_padder",
            "_show_versions",
            "_text_tokenizer",
        ),
        numpy=False,
        dynamic=True,
    ),
    "_show_versions.py": May(in_functions=("seqclf", "seqclf._kernels", "torch"), numpy=False),
    "_text_tokenizer.py": May(("_validation/", "_data/", "_text/"), ("sklearn",), ("tokenizers",)),
    "_sequence_padder.py": May(("_validation/", "_data/"), ("sklearn",)),
    "_rnn_text_classifier.py": May(
        ("_base", "_validation/", "_data/", "_label_features/", "_text_tokenizer"), ("sklearn",)
    ),
    "_rnn_classifier.py": May(("_base", "_validation/", "_data/"), ("scipy", "sklearn")),
    "_base.py": May(
        ("_validation/", "_data/", "_label_features/", "_nn/", "_training/"), ("scipy", "sklearn", "torch")
    ),
    "_native/": May(("_native/",)),
    "_data/": May(("_data/",)),
    "_validation/": May(("_validation/", "_data/"), ("sklearn",)),
    "_text/": May(("_text/", "_data/", "_native/")),
    "_label_features/": May(("_label_features/", "_data/"), ("scipy",)),
    "_kernels/": May(("_kernels/", "_native/"), ("torch",)),
    "_nn/": May(("_nn/", "_kernels/"), ("torch",)),
    "_training/data.py": May(("_training/", "_validation/", "_label_features/"), ("sklearn", "torch")),
    "_training/": May(("_training/", "_label_features/", "_nn/", "_kernels/", "_native/"), ("skorch", "torch", "tqdm")),
    "datasets/": May(("datasets/",), ("sklearn.utils", "sklearn.datasets")),
}


@dataclass(frozen=True)
class Import:
    """One imported module: `top` at the head of the file, `function` inside one, `typing` for type checkers only."""

    name: str
    where: str
    line: int


def imports_of(source, file, root=PACKAGE):
    """Every import in `source`, the text of `file` (a path below `root`); relative ones made absolute.

    `from a import b` counts as `a.b` where that is a module of the package, else as `a`.
    """
    package = ["seqclf", *Path(file).parent.parts]
    found = []

    def add(name, where, line):
        found.append(Import(name, where, line))

    def visit(node, where):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            where = "function"
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for child in node.body:
                visit(child, "typing")
            for child in node.orelse:
                visit(child, where)
            return
        elif isinstance(node, ast.Import):
            for alias in node.names:
                add(alias.name, where, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, node.module] if node.module else base)
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                add(whole if is_module(whole, root) else module, where, node.lineno)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
            "import_module",
            "__import__",
        ):
            constant = node.args and isinstance(node.args[0], ast.Constant)
            add(node.args[0].value if constant else "<dynamic>", where, node.lineno)
        for child in ast.iter_child_nodes(node):
            visit(child, where)

    visit(ast.parse(source), "top")
    return found


def is_module(name, root):
    parts = name.split(".")
    if parts[0] != "seqclf":
        return False
    path = root.joinpath(*parts[1:])
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def rule_for(file):
    """The line of the map for a path such as "_nn/pooling.py", or None."""
    if file in MAP:
        return MAP[file]
    folder, slash, _ = file.partition("/")
    return MAP.get(folder + slash) if slash else None


def allowed(imported, rule):
    name, _, _ = imported.name.partition(".")
    if imported.name == "<dynamic>":
        return rule.dynamic
    if name in sys.stdlib_module_names:
        return True
    if name == "numpy":
        return rule.numpy
    if imported.where != "top" and any(within(imported.name, entry) for entry in rule.in_functions):
        return True
    if name == "seqclf":
        inner = imported.name.removeprefix("seqclf").removeprefix(".")
        return any(inner == m or (m.endswith("/") and within(inner, m[:-1])) for m in rule.modules)
    return any(within(imported.name, library) for library in rule.libraries)


def within(name, package):
    if package == "seqclf":  # the package itself, not everything in it
        return name == package
    return name == package or name.startswith(package + ".")


def violations(source, file, root=PACKAGE):
    """Sentences about what `file` imports against the map."""
    rule = rule_for(file)
    if rule is None:
        return [f"{file} is not in the import map: give it a line, and CONTRIBUTING.md a row in the house map"]
    return [
        f"seqclf/{file}:{found.line} imports {found.name} ({found.where}), which the import map does not allow"
        for found in imports_of(source, file, root)
        if not allowed(found, rule)
    ]


FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("file", FILES)
def test_file_keeps_to_the_map(file):
    found = violations((PACKAGE / file).read_text(encoding="utf-8"), file)
    assert not found, "\n".join(found)


def test_every_line_of_the_map_names_something():
    for place in MAP:
        assert (PACKAGE / place).exists(), f"{place} is in the import map but not in the package"


def test_the_house_map_shows_every_file():
    text = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    house_map = text.partition("## The house")[2].partition("\n## ")[0]
    missing = [file for file in FILES if f"`{file}`" not in house_map and not file.endswith("/__init__.py")]
    assert not missing, f"CONTRIBUTING.md, 'The house', does not show {missing}"


@pytest.mark.parametrize(
    ("library", "places"),
    [
        (
            "torch",
            {
                "_base.py",
                "_kernels/",
                "_nn/",
                "_training/",
                "_training/data.py",
            },
        ),
        ("skorch", {"_training/"}),
        ("matplotlib", set()),
    ],
)
def test_the_map_lets_in_a_library_only_here(library, places):
    assert {place for place, rule in MAP.items() if library in rule.libraries} == places


def test_the_map_keeps_scikit_learn_out_of_the_networks():
    for place in ("_native/", "_kernels/", "_nn/"):
        assert not any(library.startswith("sklearn") for library in MAP[place].libraries + MAP[place].in_functions)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("_kernels/reference.py", "import sklearn"),
        ("_kernels/reference.py", "from seqclf._nn import network"),
        ("_nn/pooling.py", "from sklearn.utils import check_array"),
        ("_nn/pooling.py", "from .._training.net import Net"),
        ("_nn/pooling.py", "def pool():\n    from seqclf import _training"),
        ("_data/ragged.py", "import torch"),
        ("_data/__init__.py", "from seqclf._training.batching import Batch"),
        ("_text_tokenizer.py", "import torch.nn.functional as F"),
        ("_native/library.py", "import torch"),
        ("_native/abi.py", "def address(tensor):\n    from torch import Tensor"),
        ("_native/threads.py", "from seqclf._kernels import StepLayout"),
        ("_data/ragged.py", "from seqclf._native import abi"),
        ("_kernels/cpu/call.py", "from seqclf._nn.embedding import Embedding"),
        ("_text/word_splitter.py", "from seqclf._kernels.cpu.call import address"),
        ("_text_tokenizer.py", "import tokenizers"),
        ("_text_tokenizer.py", "from seqclf._training import batching"),
        ("_base.py", "import skorch"),
        ("_base.py", "class A:\n    def fit(self):\n        import matplotlib.pyplot as plt"),
        ("_rnn_classifier.py", "import torch"),
        ("_rnn_classifier.py", "from seqclf._kernels import reference"),
        ("_training/net.py", "from seqclf._base import Base"),
        ("datasets/docstrings.py", "import importlib\nimportlib.import_module('torch')"),
        ("datasets/docstrings.py", "import importlib\nimportlib.import_module(name)"),
        ("datasets/docstrings.py", "try:\n    import pandas\nexcept ImportError:\n    pandas = None"),
        ("__init__.py", "import numpy as np"),
        ("__init__.py", "from seqclf._kernels import reference"),
        ("_rnn_dreamer.py", ""),
        ("_dreams/__init__.py", ""),
    ],
)
def test_a_planted_violation_is_caught(file, source):
    assert len(violations(source, file)) == 1


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("_kernels/reference.py", "import math\nimport numpy as np\nimport torch\nfrom seqclf._kernels import layout"),
        ("_nn/network.py", "from .pooling import pool\nfrom seqclf._kernels import layout"),
        ("_kernels/cpu/call.py", "import torch\nfrom seqclf._native import abi\nfrom seqclf._kernels import layout"),
        ("_text_tokenizer.py", "def train():\n    import tokenizers\n    from tokenizers.models import BPE"),
        (
            "_text_tokenizer.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tokenizers import Tokenizer",
        ),
        ("__init__.py", "import importlib\ndef __getattr__(name):\n    return importlib.import_module(name)"),
    ],
)
def test_an_allowed_import_passes(file, source):
    assert violations(source, file) == []
