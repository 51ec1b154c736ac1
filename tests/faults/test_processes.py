"""Killed workers, forks and threads during fits, and a full disk."""

import os
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="signals and forks")]


def test_grid_search_works_again_after_a_killed_worker(run_program, tmp_path):
    (tmp_path / "deadly.py").write_text(
        "import os, signal\nfrom seqclf import RNNClassifier\n\n\n"
        "class Deadly(RNNClassifier):\n"
        "    def fit(self, X, y, **kwargs):\n"
        "        if self.units == 13:\n            os.kill(os.getpid(), signal.SIGKILL)\n"
        "        return super().fit(X, y, **kwargs)\n"
    )
    code = """
    from sklearn.model_selection import GridSearchCV
    from deadly import Deadly

    def search(units):
        model = Deadly(max_epochs=1, random_state=0, wide=False, conv_filters=0)
        return GridSearchCV(model, {"units": units}, n_jobs=2, cv=2, error_score="raise").fit(X, y)

    try:
        search([4, 13])
    except Exception as error:
        print(type(error).__name__)
    print(search([4, 5]).best_params_["units"] in (4, 5))
    """
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    assert run_program(code, environment=environment).split() == ["TerminatedWorkerError", "True"]


def test_concurrent_fits_in_threads_and_predictions_in_forks_are_bitwise_equal(run_program):
    """Two threads fit repeatedly while forked children predict."""
    code = """
    import threading, warnings
    warnings.simplefilter("ignore")  # Python warns about forks in a process with threads

    model = series().fit(X, y)
    expected, wrong, stop = model.decision_function(X), [], threading.Event()

    def work():
        while not stop.is_set():
            if not np.array_equal(series().fit(X, y).decision_function(X), expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    statuses = []
    for _ in range(6):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if np.array_equal(model.decision_function(X), expected) else 2
            finally:
                os._exit(code)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    stop.set()
    for thread in threads:
        thread.join()
    print(statuses, len(wrong))
    """
    assert run_program(code) == "[0, 0, 0, 0, 0, 0] 0"


def test_pickling_to_a_full_disk_raises_and_leaves_the_model_unchanged(run_program):
    code = """
    import errno, pickle
    import joblib

    model = series().fit(X, y)
    expected = model.decision_function(X)
    for save in (lambda file: pickle.dump(model, file), lambda file: joblib.dump(model, file)):
        try:
            with open("/dev/full", "wb") as file:
                save(file)
        except OSError as error:
            print(errno.errorcode[error.errno])
    np.testing.assert_array_equal(model.decision_function(X), expected)
    """
    assert run_program(code).split() == ["ENOSPC", "ENOSPC"]
