"""threadpoolctl lists the compiled library and limits its threads, and workers of joblib share the processors."""

import os
import shutil
import sys
import threading

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from _factories import run_python, series_classifier
from seqclf._kernels import torch_threads
from seqclf._label_features.ridge import fit_ridge
from seqclf._native import library
from seqclf._native.threads import chosen_threads, default_threads, kernel_threads, n_threads, thread_limit
from seqclf._training.device import use_threads

pytestmark = pytest.mark.skipif(not library.available()[0], reason=f"no compiled kernels: {library.available()[1]}")
needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")

COUNT_WORKERS = """
import os

def n_workers():
    "The number of threads that the compiled library has started in this process."
    tasks = os.listdir("/proc/self/task")
    return sum(open(f"/proc/self/task/{task}/comm").read() == "seqclf\\n" for task in tasks)
"""


def entries():
    return [entry for entry in threadpool_info() if entry["user_api"] == "seqclf"]


def test_threadpool_info_lists_the_library_once():
    (entry,) = entries()
    assert entry["internal_api"] == "seqclf" and entry["num_threads"] == n_threads()
    assert os.path.samefile(entry["filepath"], library.find_library())
    assert entry["version"].isdecimal()


def test_threadpool_limits_apply_to_default_and_chosen_numbers():
    with torch_threads(6), kernel_threads(4):
        with threadpool_limits(3, user_api="seqclf"):
            assert (entries()[0]["num_threads"], n_threads(), chosen_threads(), default_threads()) == (3, 3, 3, 3)
            with kernel_threads(2), threadpool_limits(1):
                assert (n_threads(), chosen_threads(), default_threads()) == (1, 1, 1)
            assert thread_limit() == 3
            with threadpool_limits({"seqclf": 5}):  # an inner limit replaces an outer one, as for other libraries
                assert (n_threads(), default_threads()) == (4, 5)
        assert (n_threads(), chosen_threads(), default_threads()) == (4, 4, 6)


def test_no_limit_remains_after_limits_of_other_libraries():
    """threadpoolctl sets the numbers of all libraries that it finds, also after a limit on BLAS."""
    with torch_threads(1):
        with threadpool_limits(1, user_api="blas"), threadpool_limits(1):
            pass
        fit_ridge(np.ones((4, 2), np.float32), np.ones((4, 1)), np.ones(4), np.arange(4) % 2)
        with threadpool_limits(limits=threadpool_info()):  # the numbers as they are
            assert thread_limit() is None
    assert thread_limit() is None
    with torch_threads(7):
        assert n_threads() == 7


def test_a_limit_applies_to_the_calling_thread_only():
    seen = []
    with threadpool_limits(1, user_api="seqclf"):
        other = threading.Thread(target=lambda: seen.append(thread_limit()))
        other.start()
        other.join()
    assert seen == [None]


def test_a_limit_applies_to_torch_without_native_kernels():
    before = torch.get_num_threads()
    with threadpool_limits(2, user_api="seqclf"), use_threads(before + 5, torch.device("cuda"), "lstm", "tanh"):
        assert torch.get_num_threads() == min(2, before + 5)
    assert torch.get_num_threads() == before


def test_predictions_are_equal_under_a_limit(tune):
    tune(min_parallel_work=0)
    X = np.random.default_rng(0).normal(size=(30, 20))
    model = series_classifier(n_threads=3).fit(X, np.arange(30) % 2)
    expected = model.predict_proba(X)
    with threadpool_limits(1):
        np.testing.assert_array_equal(model.predict_proba(X), expected)


@needs_proc
def test_fit_and_predict_start_no_thread_under_a_limit_of_one():
    code = f"""{COUNT_WORKERS}
import numpy as np
from threadpoolctl import threadpool_limits
from seqclf import RNNClassifier
from seqclf._native import call

call._MIN_PARALLEL_WORK = 0
call.loaded()  # threadpool_limits does not reach libraries that are loaded later
X, y = np.random.default_rng(0).normal(size=(30, 20)), np.arange(30) % 2
model = RNNClassifier(units=4, max_epochs=1, batch_size=30, n_threads=3, random_state=0)
with threadpool_limits(1):
    model.fit(X, y).predict(X)
print(n_workers())
model.fit(X, y).predict(X)
print(n_workers())
"""
    assert run_python(code).split() == ["0", "2"]


def test_a_library_with_another_name_is_listed(tmp_path):
    copy = shutil.copy(library.find_library(), tmp_path / "Other.so")
    code = f"""
    import os
    os.environ["SEQCLF_KERNELS_LIBRARY"] = {str(copy)!r}
    from threadpoolctl import threadpool_info, threadpool_limits
    threadpool_info()  # threadpoolctl remembers which files are not libraries with threads
    from seqclf._native import library
    from seqclf._native.threads import n_threads
    library.load()
    with threadpool_limits(1):
        print(*(entry["prefix"] for entry in threadpool_info() if entry["user_api"] == "seqclf"), n_threads())
    """
    assert run_python(code).split() == ["other.so", "1"]


def test_the_library_loads_without_threadpoolctl():
    code = """
    import sys
    sys.modules["threadpoolctl"] = None
    from seqclf._native import library
    print(library.available()[0])
    """
    assert run_python(code).split() == ["True"]


GRID_SEARCH = """
import joblib
import numpy as np
from sklearn.model_selection import GridSearchCV
from seqclf import RNNClassifier

def report(model, X, y):
    "The numbers of threads in a worker, as scores."
    import torch
    from seqclf._native import call
    from seqclf._native.threads import n_threads

    call._MIN_PARALLEL_WORK = 0
    model.fit(X, y).predict(X)
    return {"pid": os.getpid(), "default": n_threads(), "torch": torch.get_num_threads(), "used": 1 + n_workers()}

X, y = np.random.default_rng(0).normal(size=(40, 20)), np.arange(40) % 2
model = RNNClassifier(units=4, max_epochs=1, batch_size=40, random_state=0)
with joblib.parallel_config(backend="loky", inner_max_num_threads=INNER):
    search = GridSearchCV(model, {"cell": ["rnn", "gru"]}, scoring=report, refit=False, cv=2, n_jobs=2).fit(X, y)
scores = lambda name: {int(score) for split in range(2) for score in search.cv_results_[f"split{split}_test_{name}"]}
print(os.getpid() in scores("pid"), *(scores(name) for name in ("default", "torch", "used")), sep="\\n")
"""


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("inner", [None, 1])
def test_workers_of_a_parallel_search_use_their_part_of_the_processors(inner, monkeypatch):
    """By default (`inner` is None) joblib divides the processors among the workers."""
    import joblib

    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    expected = inner or max(joblib.cpu_count() // 2, 1)
    in_parent, *numbers = run_python(COUNT_WORKERS + GRID_SEARCH.replace("INNER", str(inner))).splitlines()
    assert in_parent == "False", "the fits did not run in workers"
    assert numbers == [str({expected})] * 3
