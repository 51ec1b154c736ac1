"""Unusual Python environments: without assertions or docstrings, in development mode, without a home or a locale."""

import sys

import pytest


def test_import_under_python_oo_raises_a_clear_error(run_program):
    code = """
    print(seqclf.TextTokenizer().fit_transform(["a b"])[0].tolist())
    for name in ("RNNClassifier", "RNNTextClassifier", "RNNTagger"):
        try:
            getattr(seqclf, name)().fit([[1.0, 2.0]] * 4, [0, 1] * 2)
        except ImportError as error:
            print(error)
    """
    first, *errors = run_program(code, "-OO").splitlines()
    assert first == "[2, 3]"
    assert len(errors) == 3 and all("can't be imported with python -OO" in error for error in errors)
    assert all("Use python -O." in error for error in errors)


@pytest.mark.slow
def test_fit_is_bitwise_equal_under_python_o(run_program, expected_digest):
    assert run_program("print(digest())", "-O") == expected_digest


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["0", "1", "12345"])
def test_fit_does_not_depend_on_the_hash_seed(run_program, expected_digest, seed):
    assert run_program("print(digest())", environment={"PYTHONHASHSEED": seed}) == expected_digest


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"HOME": None, "XDG_CACHE_HOME": None, "SCIKIT_LEARN_DATA": None},
        {"HOME": "/nowhere", "TMPDIR": "/nowhere"},
    ],
)
def test_fit_does_not_depend_on_locale_home_and_temporary_folder(run_program, expected_digest, environment):
    assert run_program("print(digest())", environment=environment) == expected_digest


@pytest.mark.slow
def test_development_mode_shows_no_warning_of_this_package(run_program):
    """Development mode also warns about open files, for example."""
    code = """
    import gc, pickle, warnings

    caught, show = [], warnings.showwarning
    warnings.showwarning = lambda message, category, file, *_: caught.append(f"{file}: {message}")
    warnings.simplefilter("always")
    digest()
    pickle.loads(pickle.dumps(series().fit(X, y))).predict(X)
    gc.collect()
    print(*(line for line in caught if os.path.dirname(seqclf.__file__) in line))
    """
    assert run_program(code, "-X", "dev") == ""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_many_small_fits_leak_no_memory_threads_or_files(run_program):
    """The first fits, which allocate caches, are not counted."""
    code = """
    import gc, threading

    def resources():
        gc.collect()
        pages = int(open("/proc/self/statm").read().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

    def fit(n):
        for _ in range(n):
            series(max_epochs=1, wide=False).fit(X, y).predict(X)
            words(max_epochs=1, wide=False).fit(texts, y).predict(texts)

    fit(20)
    before = resources()
    fit(100)
    after = resources()
    print(after[0] - before[0], after[1] - before[1], after[2] - before[2])
    """
    memory, threads, files = map(int, run_program(code, timeout=280).split())
    assert memory < 20e6, "200 fits of about 20 kB each"
    assert (threads, files) == (0, 0)
