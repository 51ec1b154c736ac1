import gc
import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from seqclf.datasets import _docstrings, load_docstrings

PACKAGES = ["numpy", "scipy", "sklearn", "torch"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The parsed texts of the installed packages, and the data home with their cache."""
    home = tmp_path_factory.mktemp("data_home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCIKIT_LEARN_DATA", str(home))
        return load_docstrings(), home


@pytest.fixture
def write_package(tmp_path, monkeypatch):
    """A function that writes a package that replaces an installed one. The data home is empty."""
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    monkeypatch.setattr(_docstrings, "_find_package", lambda package: tmp_path / package)
    monkeypatch.setattr(_docstrings, "_version", lambda package: "1.0")

    def write(package, files):
        for name, source in files.items():
            path = tmp_path / package / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")

    return write


def words(subject):
    return f"Here are more than eight words that describe one {subject} well."


def function(name, text):
    return f'def {name}():\n    """{text}"""\n'


def as_dict(bunch):
    return {**bunch, "target": bunch.target.tolist()}


def cache_file(home):
    (path,) = (Path(home) / "seqclf").iterdir()
    return path


def test_classes_are_large_and_of_similar_size(installed):
    bunch, _ = installed
    assert bunch.target_names == PACKAGES
    counts = np.bincount(bunch.target)
    assert counts.shape == (4,)
    assert counts.min() > 500
    assert counts.max() <= 1000
    assert len(bunch.data) == len(bunch.names) == len(bunch.target)
    assert all(
        name.startswith(bunch.target_names[label] + ".") for name, label in zip(bunch.names, bunch.target, strict=True)
    )


def test_texts_contain_no_package_name(installed):
    name = re.compile(r"numpy|scipy|sklearn|scikit|torch|\bnp\b|\bsp\b", re.IGNORECASE)
    assert [text for text in installed[0].data if name.search(text)] == []


def test_texts_are_long_enough_and_distinct(installed):
    texts = [" ".join(text.lower().split()) for text in installed[0].data]
    assert min(len(text.split()) for text in texts) >= 8
    assert len(set(texts)) == len(texts)


def test_texts_of_compiled_functions_are_found(installed):
    assert any(name.startswith("torch._tensor_docs.") for name in installed[0].names)
    with _docstrings._parsing():
        texts = _docstrings._read_package("numpy", _docstrings._find_package("numpy"))
    assert "Return evenly spaced values" in texts["numpy._core.multiarray.arange"]


def test_texts_are_shuffled(installed):
    assert set(installed[0].target[:50]) == {0, 1, 2, 3}


def test_cache_returns_the_parsed_texts(installed, monkeypatch):
    bunch, home = installed
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(home))
    monkeypatch.setattr(_docstrings, "_read_package", None)
    assert as_dict(load_docstrings()) == as_dict(bunch)


def test_parsing_is_deterministic(monkeypatch, tmp_path):
    bunches = []
    for name in ("first", "second"):
        monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / name))
        bunches.append(as_dict(load_docstrings(packages=["numpy"])))
    assert bunches[0] == bunches[1]


def test_return_X_y_returns_data_and_target(installed, monkeypatch):
    bunch, home = installed
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(home))
    data, target = load_docstrings(return_X_y=True)
    assert data == bunch.data
    assert_array_equal(target, bunch.target)


def test_load_docstrings_does_not_import_torch(tmp_path):
    code = (
        "import sys; from seqclf.datasets import _docstrings, load_docstrings;"
        "_docstrings._source_files = lambda root: sorted(root.glob('*.py'));"  # without subfolders, for speed
        "print(len(load_docstrings(packages=['torch']).data) > 100, 'torch' in sys.modules)"
    )
    environment = {**os.environ, "SCIKIT_LEARN_DATA": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("A NumPy array, np.ndarray or numpy.matrix.", "A package array, package.ndarray or package.matrix."),
        ("scikit-learn, scikit learn, sklearn.base", "package, package, package.base"),
        ("PyTorch's tensor: torch.Tensor, torchvision", "package's tensor: package.Tensor, package"),
        ("from_numpy and __torch_function__ and SciPy", "package and package and package"),
        ("https://docs.scipy.org/doc", "https://docs.package.org/doc"),
        ("input spans the snp", "input spans the snp"),
        ("before\n>>> import numpy as np\n    from torch import nn\nafter", "before\nafter"),
        ("import data from a file", "import data from a file"),
        ("first\n{out}\n    %(axis)s\nsecond {out}", "first\nsecond {out}"),
    ],
)
def test_clean_masks_package_names(text, masked):
    assert _docstrings._clean(text) == masked


def test_public_functions_classes_and_methods_are_found(write_package):
    write_package(
        "numpy",
        {
            "__init__.py": f'"""{words("module")}"""\n' + function("top", words("top")),
            "_impl.py": function("inside", words("inside")) + function("_hidden", words("hidden")),
            "sub/things.py": f'class Thing:\n    """{words("thing")}"""\n\n'
            f'    def method(self):\n        """{words("method")}"""\n\n'
            f'    def _hidden(self):\n        """{words("hidden method")}"""\n',
        },
    )
    bunch = load_docstrings(packages=["numpy"])
    assert dict(zip(bunch.names, bunch.data, strict=True)) == {
        "numpy.top": words("top"),
        "numpy._impl.inside": words("inside"),
        "numpy.sub.things.Thing": words("thing"),
        "numpy.sub.things.Thing.method": words("method"),
    }


@pytest.mark.parametrize(
    "name", ["tests/a.py", "sub/tests/a.py", "sub/_vendor/a.py", "externals/a.py", "_internal/a.py", "conftest.py"]
)
def test_tests_vendored_and_private_files_are_skipped(write_package, name):
    write_package("scipy", {"public.py": function("kept", words("kept")), name: function("other", words("other"))})
    assert load_docstrings(packages=["scipy"]).names == ["scipy.public.kept"]


def test_files_with_syntax_errors_are_skipped(write_package):
    write_package("numpy", {"a.py": function("f", words("kept")), "b.py": "def new syntax():\n"})
    assert load_docstrings(packages=["numpy"]).names == ["numpy.a.f"]


def test_parsing_restores_the_garbage_collector(write_package):
    write_package("numpy", {"a.py": function("f", words("kept"))})
    load_docstrings(packages=["numpy"])
    assert gc.isenabled()
    gc.disable()
    try:
        with _docstrings._parsing():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_texts_of_add_docstr_and_add_newdoc_are_found(write_package):
    write_package(
        "torch",
        {
            "_docs.py": f'add_docstr(torch.abs, r"""\n{words("abs")}\n""" + "More.\\n{{out}}\\n".format(**common))\n'
            f'_C.add_docstr_all("add_", """{words("add")}""")\n'
            f'add_newdoc("torch.core", "array", """{words("array")}""")\n'
            f'add_newdoc("torch.core", "ndarray", ("T", """{words("transpose")}"""))\n'
            f'add_newdoc("torch.core", "_hidden", """{words("hidden")}""")\n'
            f'print("torch.core", """{words("print")}""")\n'
        },
    )
    bunch = load_docstrings(packages=["torch"])
    texts = dict(zip(bunch.names, bunch.data, strict=True))
    assert texts == {
        "torch.abs": words("abs") + "\nMore.",
        "torch._docs.add_": words("add"),
        "torch.core.array": words("array"),
        "torch.core.ndarray.T": words("transpose"),
    }


def test_duplicates_and_short_texts_are_dropped(write_package):
    both = words("thing in both")
    write_package(
        "numpy",
        {
            "a.py": function("once", words("thing")) + function("short", "Only a few words."),
            "b.py": function("again", words("thing").upper()) + function("both", both),
        },
    )
    write_package("scipy", {"a.py": function("both", both) + function("own", words("own"))})
    bunch = load_docstrings(packages=["scipy", "numpy"])
    assert sorted(bunch.names) == ["numpy.a.once", "scipy.a.own"]
    assert load_docstrings(packages=["scipy"]).target_names == ["scipy"]


def test_texts_that_differ_only_in_the_package_name_are_duplicates(write_package):
    for package in ("numpy", "scipy"):
        write_package(package, {"a.py": function("f", words(package)) + function("own", words(f"own_{package[:2]}"))})
    assert sorted(load_docstrings(packages=["numpy", "scipy"]).names) == ["numpy.a.own", "scipy.a.own"]


def test_number_of_texts_per_package_is_limited(write_package, tune):
    tune(max_texts_per_package=5)
    write_package("numpy", {"a.py": "".join(function(f"f{i}", words(i)) for i in range(9))})
    write_package("scipy", {"a.py": function("few", words("few"))})
    assert_array_equal(np.bincount(load_docstrings(packages=["numpy", "scipy"]).target), [5, 1])


def test_cache_is_separate_for_each_version(write_package, monkeypatch):
    write_package("numpy", {"a.py": function("f", words("old"))})
    assert load_docstrings(packages=["numpy"]).data == [words("old")]
    write_package("numpy", {"a.py": function("f", words("new"))})
    assert load_docstrings(packages=["numpy"]).data == [words("old")]
    monkeypatch.setattr(_docstrings, "_version", lambda package: "2.0")
    assert load_docstrings(packages=["numpy"]).data == [words("new")]
    monkeypatch.setattr(_docstrings, "_version", lambda package: "1.0")
    assert load_docstrings(packages=["numpy"]).data == [words("old")]


def test_cache_is_separate_for_each_choice_of_packages(write_package):
    for package in ("numpy", "scipy"):
        write_package(package, {"a.py": function("f", words(package[::-1]))})
    assert load_docstrings(packages=["numpy"]).names == ["numpy.a.f"]
    assert sorted(load_docstrings(packages=("scipy", "numpy")).names) == ["numpy.a.f", "scipy.a.f"]
    assert load_docstrings(packages="scipy").names == ["scipy.a.f"]


def compressed(content):
    return gzip.compress(json.dumps(content).encode())


@pytest.mark.parametrize(
    "damage",
    [
        lambda good: b"",
        lambda good: b"no gzip",
        lambda good: good[: len(good) // 2],
        lambda good: good[:12] + b"\xff" * 8 + good[20:],
        lambda good: gzip.compress(b"no json"),
        lambda good: compressed([]),
        lambda good: compressed({"versions": {"numpy": "1.0"}, "rows": {"packages": [], "names": []}}),
        lambda good: compressed({**json.loads(gzip.decompress(good)), "versions": {"numpy": "0.9"}}),
        lambda good: compressed(
            {"versions": {"numpy": "1.0"}, "rows": {"packages": ["numpy"], "names": ["a", "b"], "texts": ["t"]}}
        ),
    ],
    ids=["empty", "not gzip", "cut", "bits", "not json", "list", "missing column", "other version", "unequal columns"],
)
def test_damaged_cache_is_rebuilt(write_package, tmp_path, damage):
    write_package("numpy", {"a.py": function("f", words("kept"))})
    expected = load_docstrings(packages=["numpy"])
    path = cache_file(tmp_path / "home")
    good = path.read_bytes()
    path.write_bytes(damage(good))
    assert as_dict(load_docstrings(packages=["numpy"])) == as_dict(expected)
    assert json.loads(gzip.decompress(path.read_bytes())) == json.loads(gzip.decompress(good))


def test_unwritable_cache_raises_a_warning(write_package, tmp_path):
    write_package("numpy", {"a.py": function("f", words("kept"))})
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "seqclf").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="Could not save the docstrings"):
        assert load_docstrings(packages=["numpy"]).data == [words("kept")]


def test_missing_data_home_is_ignored(write_package, tmp_path, monkeypatch):
    write_package("numpy", {"a.py": function("f", words("kept"))})
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "file" / "home"))
    assert load_docstrings(packages=["numpy"]).data == [words("kept")]


@pytest.mark.parametrize("packages", [[], ["pandas"], "pandas", ["numpy", "os"]])
def test_unknown_packages_raise_value_error(packages):
    with pytest.raises(ValueError, match="packages must be one or more of"):
        load_docstrings(packages=packages)


def test_missing_package_raises_module_not_found_error(monkeypatch, tmp_path):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    monkeypatch.setitem(_docstrings._DISTRIBUTIONS, "absent", "absent-package-of-a-test")
    with pytest.raises(ModuleNotFoundError, match="absent"):
        load_docstrings(packages=["absent"])
