"""Other ways to start Python: without assertions or docstrings, in development mode, without a home or a locale."""

import sys

import pytest


def test_without_docstrings_the_reason_is_named(run_program):
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
    assert len(errors) == 3 and all("cannot be imported under python -OO" in error for error in errors)
    assert all("Use python -O." in error for error in errors)


@pytest.mark.slow
def test_without_assertions_the_bits_are_the_same(run_program, expected_digest):
    assert run_program("print(digest())", "-O") == expected_digest


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["0", "1", "12345"])
def test_the_order_of_sets_has_no_say(run_program, expected_digest, seed):
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
def test_surroundings_have_no_say(run_program, expected_digest, environment):
    assert run_program("print(digest())", environment=environment) == expected_digest


@pytest.mark.slow
def test_in_development_mode_none_of_our_files_warns(run_program):
    """Neither of open files nor of anything else that Python is silent about elsewhere."""
    code = """
    import gc, pickle, warnings

    caught, show = [], warnings.showwarning
    warnings.showwarning = lambda message, category, file, *_: caught.append(f"{file}: {message}")
    warnings.simplefilter("always")
    digest()
    pickle.loads(pickle.dumps(series().fit(X, y))).predict(X)
    gc.collect()
    print(*(each for each in caught if os.path.dirname(seqclf.__file__) in each))
    """
    assert run_program(code, "-X", "dev") == ""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_many_small_fits_keep_nothing(run_program):
    """Neither memory, threads nor open files, after a first few that warm everything up."""
    code = """
    import gc, threading

    def taken():
        gc.collect()
        pages = int(open("/proc/self/statm").read().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))

    def fit(n):
        for _ in range(n):
            series(max_epochs=1, wide=False).fit(X, y).predict(X)
            words(max_epochs=1, wide=False).fit(texts, y).predict(texts)

    fit(20)
    before = taken()
    fit(100)
    after = taken()
    print(after[0] - before[0], after[1] - before[1], after[2] - before[2])
    """
    memory, threads, files = map(int, run_program(code, timeout=280).split())
    assert memory < 20e6, "200 fits of some 20 kB each"
    assert (threads, files) == (0, 0)
