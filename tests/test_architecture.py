"""The structure of the package: allowed imports, layers, and the length of files and functions.

A module imports only from layers below its own; docs/floors.svg shows the layers. The table below lists the allowed
imports, and a file without a line in it fails. The standard library and numpy can be imported everywhere except in
`__init__.py`, whose import must stay cheap.
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
class Allowed:
    """The imports allowed in one file, or in every file of a folder."""

    modules: tuple[str, ...] = ()  # of seqclf; "_nn/" allows everything in the folder, "_nn" only its __init__
    libraries: tuple[str, ...] = ()  # anywhere in the file
    in_functions: tuple[str, ...] = ()  # libraries and modules that are imported only inside functions
    numpy: bool = True
    dynamic: bool = False  # import_module(<a variable>)


# The line of a file takes precedence over the line of its folder.
IMPORT_RULES = {
    "__init__.py": Allowed(
        modules=(
            "datasets",
            "inspection",
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
    "_show_versions.py": Allowed(in_functions=("seqclf", "seqclf._kernels", "seqclf._native", "torch"), numpy=False),
    "_text_tokenizer.py": Allowed(
        ("_validation/", "_data/", "_text/", "_saved", "_state", "_unpickling", "_warn"), ("sklearn",)
    ),
    "_sequence_padder.py": Allowed(("_validation/", "_data/", "_saved", "_state", "_unpickling"), ("sklearn",)),
    "_series_from_frame.py": Allowed(("_validation/", "_data/"), ("narwhals",)),
    "_rnn_text_classifier.py": Allowed(("_base_classifier", "_base_text")),
    "_rnn_classifier.py": Allowed(("_base_classifier", "_base_series")),
    "_rnn_text_regressor.py": Allowed(("_base_regressor", "_base_text")),
    "_rnn_regressor.py": Allowed(("_base_regressor", "_base_series")),
    "_rnn_tagger.py": Allowed(("_base_tagger",)),
    "_base_tagger.py": Allowed(
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
    "_base_classifier.py": Allowed(("_base", "_tasks/", "_validation/"), ("sklearn",)),
    "_base_regressor.py": Allowed(("_base", "_tasks/", "_validation/"), ("sklearn",)),
    "_base_text.py": Allowed(
        ("_base", "_inputs/", "_tasks/", "_label_features/", "_text_tokenizer", "_validation/", "_data/"), ("sklearn",)
    ),
    "_base_series.py": Allowed(
        ("_base", "_inputs/", "_text_tokenizer", "_tasks/", "_label_features/", "_validation/", "_data/"), ("sklearn",)
    ),
    "_base.py": Allowed(
        (
            "_base_saved",
            "_callbacks",
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
    "_base_saved.py": Allowed(
        (
            "_callbacks",
            "_saved_model",
            "_text_tokenizer",
            "_inputs/",
            "_inference/",
            "_tasks/",
            "_label_features/",
            "_validation/",
            "_saved",
            "_state",
            "_unpickling",
        ),
        ("sklearn",),
        in_functions=("seqclf._nn", "seqclf._training"),
    ),
    "_callbacks.py": Allowed(libraries=("sklearn.callback",), numpy=False),
    "_device_prediction.py": Allowed(("_training/", "_prediction", "_data/")),
    "_devices.py": Allowed(numpy=False),
    "_persistence.py": Allowed(
        ("_devices", "_model_files/", "_model_file_error", "_predictor", "_saved_model", "_saved", "_skops_types"),
        in_functions=("seqclf._training",),
        numpy=False,
        dynamic=True,
    ),
    "_predictor.py": Allowed(("_inputs/", "_inference/", "_tasks/", "_label_features/", "_data/", "_prediction")),
    "_prediction.py": Allowed(("_label_features/", "_native/", "_data/")),
    "_saved_model.py": Allowed(
        ("_predictor", "_inputs/", "_inference/", "_tasks/", "_label_features/", "_text/", "_saved"), numpy=False
    ),
    "_inputs/": Allowed(("_inputs/", "_label_features/", "_validation/", "_text/", "_data/", "_saved")),
    "_skops_types.py": Allowed(numpy=False),
    "_training_parts.py": Allowed(("_training/", "_tasks/", "_nn/", "_validation/", "_data/"), ("torch",)),
    "_fit.py": Allowed(
        (
            "_callbacks",
            "_training_parts",
            "_training/",
            "_tasks/",
            "_nn/",
            "_label_features/",
            "_validation/",
            "_data/",
            "_state",
            "_identity",
        ),
        ("sklearn", "torch"),
    ),
    "_partial_fit.py": Allowed(
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
    "_state.py": Allowed(numpy=False),
    "_saved.py": Allowed(),
    "_model_file_error.py": Allowed(numpy=False),
    "_model_files/": Allowed(("_model_files/", "_model_file_error"), in_functions=("safetensors",)),
    "_numeric.py": Allowed(),
    "_identity.py": Allowed(("_data/", "_native/"), ("joblib", "torch")),
    "_warn.py": Allowed(numpy=False),
    "_unpickling.py": Allowed(("_saved", "_warn"), in_functions=("seqclf",)),
    "_sequences/": Allowed(("_unpickling",)),
    "_native/": Allowed(("_native/",)),
    "_native/threadpool_controller.py": Allowed(("_native/",), ("threadpoolctl",), numpy=False),
    "_data/": Allowed(("_data/", "_warn")),
    "_validation/": Allowed(("_validation/", "_data/", "_saved", "_warn"), in_functions=("narwhals", "sklearn")),
    "_text/": Allowed(("_text/", "_data/", "_native/", "_saved"), in_functions=("tokenizers",)),
    "_label_features/": Allowed(
        ("_label_features/", "_data/", "_native/", "_numeric", "_saved"), in_functions=("scipy",)
    ),
    "_label_features/ridge.py": Allowed(("_label_features/", "_data/"), ("scipy", "threadpoolctl")),
    "_label_features/blas.py": Allowed(libraries=("scipy",)),
    "_tasks/": Allowed(
        ("_tasks/", "_validation/", "_data/", "_numeric", "_saved"),
        in_functions=("scipy", "seqclf._label_features.supervision", "sklearn", "torch"),
    ),
    "_cells/": Allowed(("_cells/",)),
    "_inference/": Allowed(("_inference/", "_cells/", "_native/", "_data/", "_saved")),
    "_kernels/": Allowed(("_kernels/", "_inference/", "_cells/", "_native/", "_warn"), ("torch",)),
    "_nn/": Allowed(("_nn/", "_kernels/", "_inference/"), ("torch",)),
    "_training/": Allowed(
        ("_training/", "_tasks/", "_nn/", "_kernels/", "_inference/", "_native/", "_data/", "_warn"),
        ("filelock", "skorch", "torch", "tqdm"),
    ),
    "inspection/_explained_model.py": Allowed(("inspection/", "_predictor", "_prediction", "_data/")),
    "inspection/_target.py": Allowed(("_tasks/", "_validation/", "_data/")),
    "inspection/_leave_out.py": Allowed(("inspection/", "_validation/", "_data/")),
    "inspection/_integrated_gradients.py": Allowed(
        ("inspection/", "_nn/", "_kernels/", "_training/", "_validation/"), ("torch",)
    ),
    "inspection/_integrated_outputs.py": Allowed(("inspection/", "_label_features/")),
    "datasets/": Allowed(("datasets/",), ("sklearn.utils", "sklearn.datasets")),
    "inspection/": Allowed(
        (
            "inspection/",
            "_base",
            "_text_tokenizer",
            "_inputs/",
            "_inference/",
            "_label_features/",
            "_validation/",
            "_data/",
        ),
        in_functions=("matplotlib",),
    ),
    "inspection/__init__.py": Allowed(("inspection/",), numpy=False, dynamic=True),
}


@dataclass(frozen=True)
class Import:
    """One imported module; `scope` is "top" (module level), "function", or "typing" (under TYPE_CHECKING)."""

    name: str
    scope: str
    line: int


def imports_of(source, file, root=PACKAGE):
    """All imports in `source`, the text of `file` (a path below `root`), with relative names made absolute.

    `from a import b` counts as `a.b` if that is a module of the package, otherwise as `a`.
    """
    package = ["seqclf", *Path(file).parent.parts]
    found = []

    def add(name, scope, line):
        found.append(Import(name, scope, line))

    def visit(node, scope):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            scope = "function"
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for child in node.body:
                visit(child, "typing")
            for child in node.orelse:
                visit(child, scope)
            return
        elif isinstance(node, ast.Import):
            for alias in node.names:
                add(alias.name, scope, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, node.module] if node.module else base)
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                add(whole if is_module(whole, root) else module, scope, node.lineno)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
            "import_module",
            "__import__",
        ):
            constant = node.args and isinstance(node.args[0], ast.Constant)
            add(node.args[0].value if constant else "<dynamic>", scope, node.lineno)
        for child in ast.iter_child_nodes(node):
            visit(child, scope)

    visit(ast.parse(source), "top")
    return found


def is_module(name, root):
    parts = name.split(".")
    if parts[0] != "seqclf":
        return False
    path = root.joinpath(*parts[1:])
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def rule_for(file):
    """The rule for a path such as "_nn/pooling.py", or None."""
    if file in IMPORT_RULES:
        return IMPORT_RULES[file]
    folder, slash, _ = file.partition("/")
    return IMPORT_RULES.get(folder + slash) if slash else None


def is_allowed(imported, rule):
    name, _, _ = imported.name.partition(".")
    if imported.name == "<dynamic>":
        return rule.dynamic
    if name in sys.stdlib_module_names:
        return True
    if name == "numpy":
        return rule.numpy
    if imported.scope != "top" and any(is_within(imported.name, entry) for entry in rule.in_functions):
        return True
    if name == "seqclf":
        inner = imported.name.removeprefix("seqclf").removeprefix(".")
        return any(inner == m or (m.endswith("/") and is_within(inner, m[:-1])) for m in rule.modules)
    return any(is_within(imported.name, library) for library in rule.libraries)


def is_within(name, package):
    if package == "seqclf":  # the package itself, not everything in it
        return name == package
    return name == package or name.startswith(package + ".")


def violations(source, file, root=PACKAGE):
    """A message for each import of `file` that its rule does not allow."""
    rule = rule_for(file)
    if rule is None:
        return [f"{file} has no line in IMPORT_RULES: add one"]
    return [
        f"seqclf/{file}:{found.line} imports {found.name} ({found.scope}), which IMPORT_RULES does not allow"
        for found in imports_of(source, file, root)
        if not is_allowed(found, rule)
    ]


FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("file", FILES)
def test_imports_are_allowed(file):
    found = violations((PACKAGE / file).read_text(encoding="utf-8"), file)
    assert not found, "\n".join(found)


NETWORK = ("socket", "ssl", "http", "urllib", "ftplib", "smtplib", "requests", "huggingface_hub")


def test_only_fetch_imdb_imports_network_modules():
    """SECURITY.md promises it."""
    importing = {
        file
        for file in FILES
        for found in imports_of((PACKAGE / file).read_text(encoding="utf-8"), file)
        if any(is_within(found.name, module) for module in NETWORK)
    }
    assert importing == {"datasets/_imdb.py"}


def test_import_rules_name_existing_files():
    for path in IMPORT_RULES:
        assert (PACKAGE / path).exists(), f"{path} has a line in IMPORT_RULES but is not in the package"


def test_every_module_has_a_docstring():
    for file in FILES:
        assert ast.get_docstring(ast.parse((PACKAGE / file).read_text(encoding="utf-8"))), file


def test_every_cpp_file_begins_with_a_comment():
    """tools/list_modules shows its first sentence."""
    for file in CPP_FILES:
        assert (PACKAGE / file).read_text(encoding="utf-8").startswith("// "), file


@pytest.mark.parametrize("tool", ["draw_floors", "list_modules"])
def test_generated_documentation_is_up_to_date(tool):
    done = subprocess.run([sys.executable, ROOT / "tools" / tool, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_init_files_of_folders_import_nothing():
    """Exceptions: `_cells` lists the cells, `_kernels` the operations on tensors and what they use."""
    for file in FILES:
        folder, _, name = file.rpartition("/")
        if name != "__init__.py" or folder in ("", "datasets", "inspection"):
            continue
        names = {found.name for found in imports_of((PACKAGE / file).read_text(encoding="utf-8"), file)}
        kernels = ("seqclf._kernels", "seqclf._cells", "seqclf._native.forced")
        listed = {"_cells": ("seqclf._cells",), "_kernels": kernels}
        assert all(any(is_within(name, module) for module in listed.get(folder, ())) for name in names), file


# Lengths do not count docstrings, comments and blank lines.
MAX_FILE, MAX_MEDIAN_FILE, MAX_FUNCTION, MAX_PARAMETERS = 350, 150, 60, 8
# They store one parameter per line.
CONSTRUCTORS = {
    f"{kind}.__init__"
    for kind in ("RNNClassifier", "RNNTextClassifier", "RNNRegressor", "RNNTextRegressor", "RNNTagger")
}


def code_lines(source):
    """The line numbers of code."""
    not_code = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in not_code:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return lines


def functions_of(source):
    """(name, node) of all functions; methods are named with their class."""
    for outer in ast.walk(ast.parse(source)):
        prefix = f"{outer.name}." if isinstance(outer, ast.ClassDef) else ""
        for node in ast.iter_child_nodes(outer):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield prefix + node.name, node


@pytest.mark.parametrize("file", FILES)
def test_length_of_files_and_functions_is_limited(file):
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


def test_median_length_of_files_is_limited():
    assert median(len(code_lines((PACKAGE / file).read_text(encoding="utf-8"))) for file in FILES) < MAX_MEDIAN_FILE


def test_code_lines_omits_docstrings_comments_and_blank_lines():
    assert code_lines('"""Doc.\n\nmore"""\n\n# why\nx = (\n    1,\n)\n\n\ndef f():\n    """Doc."""\n') == {6, 7, 8, 11}


CPP_FILES = sorted(
    path.relative_to(PACKAGE).as_posix()
    for path in (PACKAGE / "_native" / "csrc").rglob("*.*")
    if path.suffix in (".cpp", ".h")
)
BRANCH_ON_A_CELL = re.compile(r"if constexpr \([^)]*\bCell\b")


def cpp_code_lines(source):
    """The lines of code; all comments start with `//`."""
    return [line for line in source.splitlines() if line.partition("//")[0].strip()]


@pytest.mark.parametrize("file", CPP_FILES)
def test_cpp_files_are_short_and_branch_on_a_cell_only_in_cells(file):
    source = (PACKAGE / file).read_text(encoding="utf-8")
    assert len(cpp_code_lines(source)) <= MAX_FILE
    assert "/cells/" in file or not BRANCH_ON_A_CELL.search(source)


def test_cpp_rules_find_what_they_look_for():
    assert any("/cells/" in file for file in CPP_FILES)
    assert cpp_code_lines("// why\n\nint a;  // what\n  // more\n}") == ["int a;  // what", "}"]
    assert BRANCH_ON_A_CELL.search("  else if constexpr (Cell::has_memory) {")
    assert not BRANCH_ON_A_CELL.search("if constexpr (ROWS > 1) next<Cell>();")


def test_import_rules_form_layers():
    """The rules have no cycle, so that each module allows only imports from lower layers."""
    below = {}
    for path, rule in IMPORT_RULES.items():
        inner = {module.split(".")[0].rstrip("/") for module in rule.modules}
        below.setdefault(path.partition("/")[0].removesuffix(".py"), set()).update(inner)
    graph = {module: inner - {module} for module, inner in below.items()}
    list(TopologicalSorter(graph).static_order())  # raises CycleError


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
def test_violations_reports_a_forbidden_import(file, source):
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
def test_violations_accepts_an_allowed_import(file, source):
    assert violations(source, file) == []
