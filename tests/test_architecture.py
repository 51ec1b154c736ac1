"""The house: what each file of the package may import, how the floors lie, and how long things may get.

A place imports only what is on a floor below it; docs/floors.svg shows the floors as the imports make them. The table
below is the rule; a file that it does not cover fails. The standard library and numpy may be imported anywhere but in
`__init__.py`, whose import has to stay cheap.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from statistics import median

import pytest

import seqclf

PACKAGE = Path(seqclf.__file__).parent
ROOT = Path(__file__).resolve().parents[1]


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
            "_model_file_error",
            "_persistence",
            "_rnn_classifier",
            "_rnn_regressor",
            "_rnn_tagger",
            "_rnn_text_classifier",
            "_rnn_text_regressor",
            "_sequence_padder",
            "_series_from_frame",
            "_show_versions",
            "_skops_types",
            "_text_tokenizer",
        ),
        numpy=False,
        dynamic=True,
    ),
    "_show_versions.py": May(in_functions=("seqclf", "seqclf._kernels", "seqclf._native", "torch"), numpy=False),
    "_text_tokenizer.py": May(
        ("_validation/", "_data/", "_text/", "_saved", "_state", "_unpickling", "_warn"), ("sklearn",)
    ),
    "_sequence_padder.py": May(("_validation/", "_data/", "_saved", "_state", "_unpickling"), ("sklearn",)),
    "_series_from_frame.py": May(("_validation/", "_data/"), ("narwhals",)),
    "_rnn_text_classifier.py": May(("_base_classifier", "_base_text")),
    "_rnn_classifier.py": May(("_base_classifier", "_base_series")),
    "_rnn_text_regressor.py": May(("_base_regressor", "_base_text")),
    "_rnn_regressor.py": May(("_base_regressor", "_base_series")),
    "_rnn_tagger.py": May(("_base_tagger",)),
    "_base_tagger.py": May(
        (
            "_base",
            "_inputs/",
            "_prediction",
            "_base_series",
            "_base_text",
            "_tasks/",
            "_label_features/",
            "_text_tokenizer",
            "_validation/",
            "_data/",
        ),
        ("sklearn",),
    ),
    "_base_classifier.py": May(("_base", "_tasks/", "_validation/"), ("sklearn",)),
    "_base_regressor.py": May(("_base", "_tasks/", "_validation/"), ("sklearn",)),
    "_base_text.py": May(
        ("_base", "_inputs/", "_tasks/", "_label_features/", "_text_tokenizer", "_validation/", "_data/"), ("sklearn",)
    ),
    "_base_series.py": May(
        ("_base", "_inputs/", "_text_tokenizer", "_tasks/", "_label_features/", "_validation/", "_data/"), ("sklearn",)
    ),
    "_base.py": May(
        (
            "_base_saved",
            "_training.config",
            "_tasks/",
            "_inference/",
            "_cells/",
            "_label_features/",
            "_validation/",
            "_data/",
            "_prediction",
            "_devices",
            "_state",
        ),
        ("sklearn",),
        in_functions=("seqclf._fit", "seqclf._partial_fit", "seqclf._device_prediction"),
    ),
    "_base_saved.py": May(
        (
            "_saved_model",
            "_text_tokenizer",
            "_inputs/",
            "_inference/",
            "_tasks/",
            "_label_features/",
            "_validation/",
            "_saved",
            "_unpickling",
        ),
        ("sklearn",),
        in_functions=("seqclf._nn", "seqclf._training"),
    ),
    "_device_prediction.py": May(("_training/", "_prediction")),
    "_devices.py": May(numpy=False),
    "_persistence.py": May(
        ("_devices", "_model_files/", "_model_file_error", "_predictor", "_saved_model", "_saved", "_skops_types"),
        in_functions=("seqclf._training",),
        numpy=False,
        dynamic=True,
    ),
    "_predictor.py": May(("_inputs/", "_inference/", "_tasks/", "_label_features/", "_data/", "_prediction")),
    "_prediction.py": May(("_label_features/", "_native/", "_data/")),
    "_saved_model.py": May(
        ("_predictor", "_inputs/", "_inference/", "_tasks/", "_label_features/", "_text/", "_saved"), numpy=False
    ),
    "_inputs/": May(("_inputs/", "_label_features/", "_validation/", "_text/", "_data/", "_saved")),
    "_skops_types.py": May(numpy=False),
    "_training_parts.py": May(("_training/", "_tasks/", "_nn/", "_validation/", "_data/"), ("torch",)),
    "_fit.py": May(
        (
            "_training_parts",
            "_training/",
            "_tasks/",
            "_label_features/",
            "_validation/",
            "_data/",
            "_state",
            "_identity",
        ),
        ("sklearn", "torch"),
    ),
    "_partial_fit.py": May(
        (
            "_training_parts",
            "_training/",
            "_tasks/",
            "_label_features/",
            "_validation/",
            "_data/",
            "_state",
            "_warn",
        ),
        ("sklearn", "torch"),
    ),
    "_state.py": May(numpy=False),
    "_saved.py": May(),
    "_model_file_error.py": May(numpy=False),
    "_model_files/": May(("_model_files/", "_model_file_error"), in_functions=("safetensors",)),
    "_numeric.py": May(),
    "_identity.py": May(("_data/", "_native/"), ("joblib",)),
    "_warn.py": May(numpy=False),
    "_unpickling.py": May(("_saved", "_warn"), in_functions=("seqclf",)),
    "_sequences/": May(("_unpickling",)),
    "_native/": May(("_native/",)),
    "_data/": May(("_data/", "_warn")),
    "_validation/": May(("_validation/", "_data/", "_saved", "_warn"), in_functions=("narwhals", "sklearn")),
    "_text/": May(("_text/", "_data/", "_native/", "_saved"), in_functions=("tokenizers",)),
    "_label_features/": May(("_label_features/", "_data/", "_native/", "_numeric", "_saved"), in_functions=("scipy",)),
    "_label_features/ridge.py": May(("_label_features/", "_data/"), ("scipy", "threadpoolctl")),
    "_label_features/blas.py": May(libraries=("scipy",)),
    "_tasks/": May(
        ("_tasks/", "_validation/", "_data/", "_numeric", "_saved"),
        in_functions=("scipy", "seqclf._label_features.supervision", "sklearn", "torch"),
    ),
    "_cells/": May(("_cells/",)),
    "_inference/": May(("_inference/", "_cells/", "_native/", "_data/", "_saved")),
    "_kernels/": May(("_kernels/", "_inference/", "_cells/", "_native/", "_warn"), ("torch",)),
    "_nn/": May(("_nn/", "_kernels/", "_inference/"), ("torch",)),
    "_training/": May(
        ("_training/", "_tasks/", "_nn/", "_kernels/", "_inference/", "_native/", "_data/", "_warn"),
        ("filelock", "skorch", "torch", "tqdm"),
    ),
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
        return [f"{file} is not in the import map: give it a line, and CONTRIBUTING.md a row in the table of places"]
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


NETWORK = ("socket", "ssl", "http", "urllib", "ftplib", "smtplib", "requests", "huggingface_hub")


def test_only_fetch_imdb_can_reach_the_network():
    """SECURITY.md promises it."""
    reaching = {
        file
        for file in FILES
        for found in imports_of((PACKAGE / file).read_text(encoding="utf-8"), file)
        if any(within(found.name, module) for module in NETWORK)
    }
    assert reaching == {"datasets/_imdb.py"}


def test_every_line_of_the_map_names_something():
    for place in MAP:
        assert (PACKAGE / place).exists(), f"{place} is in the import map but not in the package"


def test_the_places_are_explained():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    house = text.partition("## The house")[2].partition("\n## ")[0]
    places = {file.partition("/")[0] + ("/" if "/" in file else "") for file in FILES}
    assert not [place for place in places if f"`{place}`" not in house]


def test_every_file_says_what_it_is():
    for file in FILES:
        assert ast.get_docstring(ast.parse((PACKAGE / file).read_text(encoding="utf-8"))), file


def test_the_picture_of_the_floors_is_that_of_the_imports():
    done = subprocess.run([sys.executable, ROOT / "tools" / "draw_floors", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_folder_is_a_list_of_names_from_elsewhere():
    """An `__init__.py` has a docstring; cells are listed too, and operations on tensors with what these use."""
    for file in FILES:
        folder, _, name = file.rpartition("/")
        if name != "__init__.py" or not folder or folder == "datasets":
            continue
        names = {found.name for found in imports_of((PACKAGE / file).read_text(encoding="utf-8"), file)}
        kernels = ("seqclf._kernels", "seqclf._cells", "seqclf._native.forced")
        listed = {"_cells": ("seqclf._cells",), "_kernels": kernels}
        assert all(any(within(name, place) for place in listed.get(folder, ())) for name in names), file


# Lengths are counted without docstrings, comments and blank lines.
MAX_FILE, MAX_MEDIAN_FILE, MAX_FUNCTION, MAX_PARAMETERS = 350, 150, 60, 8
# They store one parameter a line.
CONSTRUCTORS = {
    f"{kind}.__init__"
    for kind in ("RNNClassifier", "RNNTextClassifier", "RNNRegressor", "RNNTextRegressor", "RNNTagger")
}


def code_lines(source):
    """The numbers of the lines that hold code."""
    nothing = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in nothing:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


def functions_of(source):
    """(name, node) of all functions, a method with the name of its class."""
    for outer in ast.walk(ast.parse(source)):
        prefix = f"{outer.name}." if isinstance(outer, ast.ClassDef) else ""
        for node in ast.iter_child_nodes(outer):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield prefix + node.name, node


@pytest.mark.parametrize("file", FILES)
def test_files_and_functions_stay_short(file):
    source = (PACKAGE / file).read_text(encoding="utf-8")
    lines = code_lines(source)
    assert len(lines) <= MAX_FILE
    for name, node in functions_of(source):
        if name in CONSTRUCTORS:
            continue
        length = len([line for line in lines if node.lineno <= line <= node.end_lineno])
        assert length <= MAX_FUNCTION, f"{name} has {length} lines"
        n_parameters = len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs)
        assert n_parameters <= MAX_PARAMETERS, f"{name} has {n_parameters} parameters"


def test_most_files_are_short():
    assert median(len(code_lines((PACKAGE / file).read_text(encoding="utf-8"))) for file in FILES) < MAX_MEDIAN_FILE


def test_code_lines_leave_out_what_is_no_code():
    assert code_lines('"""Doc.\n\nmore"""\n\n# why\nx = (\n    1,\n)\n\n\ndef f():\n    """Doc."""\n') == {6, 7, 8, 11}


CPP_FILES = sorted(
    path.relative_to(PACKAGE).as_posix()
    for path in (PACKAGE / "_native" / "csrc").rglob("*.*")
    if path.suffix in (".cpp", ".h")
)
BRANCH_ON_A_CELL = re.compile(r"if constexpr \([^)]*\bCell\b")


def cpp_code_lines(source):
    """The lines that hold code; `//` begins every comment."""
    return [line for line in source.splitlines() if line.partition("//")[0].strip()]


@pytest.mark.parametrize("file", CPP_FILES)
def test_cpp_files_stay_short_and_only_cells_know_how_cells_differ(file):
    source = (PACKAGE / file).read_text(encoding="utf-8")
    assert len(cpp_code_lines(source)) <= MAX_FILE
    assert "/cells/" in file or not BRANCH_ON_A_CELL.search(source)


def test_cpp_rules_see_what_they_are_for():
    assert any("/cells/" in file for file in CPP_FILES)
    assert cpp_code_lines("// why\n\nint a;  // what\n  // more\n}") == ["int a;  // what", "}"]
    assert BRANCH_ON_A_CELL.search("  else if constexpr (Cell::has_memory) {")
    assert not BRANCH_ON_A_CELL.search("if constexpr (ROWS > 1) next<Cell>();")


def test_the_map_has_no_way_up():
    """Each line allows only places on floors below its own."""
    below = {}
    for place, rule in MAP.items():
        inner = {module.split(".")[0].rstrip("/") for module in rule.modules}
        below.setdefault(place.partition("/")[0].removesuffix(".py"), set()).update(inner)
    graph = {place: inner - {place} for place, inner in below.items()}
    list(TopologicalSorter(graph).static_order())  # a circle is an error


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("_kernels/reference.py", "import sklearn"),
        ("_kernels/reference.py", "from seqclf._nn import network"),
        ("_nn/pooling.py", "from sklearn.utils import check_array"),
        ("_nn/pooling.py", "from .._training.loop import TrainingLoop"),
        ("_nn/pooling.py", "def pool():\n    from seqclf import _training"),
        ("_data/ragged.py", "import torch"),
        ("_data/__init__.py", "from seqclf._training.batches import Batch"),
        ("_text_tokenizer.py", "import torch.nn.functional as F"),
        ("_cells/gru.py", "import torch"),
        ("_cells/gru.py", "from seqclf._inference.layout import BatchLayout"),
        ("_inference/network.py", "def outputs():\n    import torch"),
        ("_inference/network.py", "from scipy.special import expit"),
        ("_inference/config.py", "from seqclf._kernels import CELLS"),
        ("_native/library.py", "import torch"),
        ("_native/abi.py", "def address(tensor):\n    from torch import Tensor"),
        ("_native/threads.py", "from seqclf._kernels import StepLayout"),
        ("_data/ragged.py", "from seqclf._native import abi"),
        ("_kernels/cpu/call.py", "from seqclf._nn.embedding import Embedding"),
        ("_text/word_splitter.py", "from seqclf._kernels.cpu.call import address"),
        ("_text/subwords.py", "import tokenizers"),
        ("_text_tokenizer.py", "from seqclf._training import batches"),
        ("_base.py", "import skorch"),
        ("_base.py", "class A:\n    def fit(self):\n        import matplotlib.pyplot as plt"),
        ("_tasks/task.py", "from seqclf._nn.head import Head"),
        ("_tasks/task.py", "import torch"),
        ("_tasks/task.py", "from seqclf._label_features.supervision import Supervision"),
        ("_validation/frames.py", "import narwhals"),
        ("_tasks/task.py", "from seqclf._label_features.ngrams import NGrams"),
        ("_label_features/ngrams.py", "import torch"),
        ("_training/session.py", "from seqclf._label_features.ngrams import NGrams"),
        ("_base.py", "from seqclf._tasks.classification import Classification\nimport scipy"),
        ("_rnn_classifier.py", "import torch"),
        ("_rnn_classifier.py", "from seqclf._kernels import reference"),
        ("_training/loop.py", "from seqclf._base import BaseRNN"),
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
        ("_text/subwords.py", "def train():\n    import tokenizers\n    from tokenizers.models import BPE"),
        (
            "_text/subwords.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tokenizers import Tokenizer",
        ),
        ("__init__.py", "import importlib\ndef __getattr__(name):\n    return importlib.import_module(name)"),
    ],
)
def test_an_allowed_import_passes(file, source):
    assert violations(source, file) == []
