"""Workers that are killed, forks and threads during fits, and a disk that is full."""

import os
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="signals and forks")]


def test_a_killed_worker_of_a_grid_search_is_an_error_and_the_next_search_works(run_program, tmp_path):
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
        one = Deadly(max_epochs=1, random_state=0, wide=False, conv_filters=0)
        return GridSearchCV(one, {"units": units}, n_jobs=2, cv=2, error_score="raise").fit(X, y)

    try:
        search([4, 13])
    except Exception as error:
        print(type(error).__name__)
    print(search([4, 5]).best_params_["units"] in (4, 5))
    """
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    assert run_program(code, environment=environment).split() == ["TerminatedWorkerError", "True"]


def test_fits_in_threads_and_forks_at_once(run_program):
    """Each thread fits while others do, and children that are forked meanwhile predict; all have the same bits."""
    code = """
    import threading, warnings
    warnings.simplefilter("ignore")  # Python's own about forks in a process with threads

    one = series().fit(X, y)
    expected, wrong, stop = one.decision_function(X), [], threading.Event()

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
                code = 0 if np.array_equal(one.decision_function(X), expected) else 2
            finally:
                os._exit(code)
        statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    stop.set()
    for thread in threads:
        thread.join()
    print(statuses, len(wrong))
    """
    assert run_program(code) == "[0, 0, 0, 0, 0, 0] 0"


def test_a_full_disk_is_an_error_that_leaves_the_model(run_program):
    code = """
    import errno, pickle
    import joblib

    one = series().fit(X, y)
    expected = one.decision_function(X)
    for save in (lambda file: pickle.dump(one, file), lambda file: joblib.dump(one, file)):
        try:
            with open("/dev/full", "wb") as file:
                save(file)
        except OSError as error:
            print(errno.errorcode[error.errno])
    np.testing.assert_array_equal(one.decision_function(X), expected)
    """
    assert run_program(code).split() == ["ENOSPC", "ENOSPC"]
