"""Model files: what was saved comes back, to the bit, as an estimator and as a predictor; anything else is an error."""

import copy
import os
import pickle
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import make_pipeline

import seqclf
from _factories import assert_same_predictions
from seqclf import (
    ModelFileError,
    RNNClassifier,
    RNNRegressor,
    RNNTagger,
    RNNTextClassifier,
    RNNTextRegressor,
    SequencePadder,
    TextTokenizer,
    load_model,
    load_predictor,
    save_model,
)
from seqclf._model_files.states import read_states, write_states

FORMATS = Path(__file__).parent / "model_files"
SMALL = {"units": 3, "max_epochs": 2, "random_state": 0, "n_threads": 1}
RNG = np.random.default_rng(0)
WORDS = "good bad fine poor film plot actor scene not very too never ever and or but so if as".split()
TEXTS = [" ".join(RNG.choice(WORDS, n)) for n in RNG.integers(1, 9, 60)]
NEW_TEXTS = [*TEXTS[:5], "", "unknown words only", "good Films, néver séen!"]
TOKENS = [text.split() for text in TEXTS]
IDS = [[2 + WORDS.index(word) for word in text.split()] for text in TEXTS]
LABELS = np.array(["yes", "no", "maybe"])[RNG.integers(0, 3, 60)]
TWO = np.where(LABELS == "yes", 1, 0)
SERIES = RNG.normal(size=(60, 14))
RAGGED = [RNG.normal(size=(n, 2)) for n in RNG.integers(1, 20, 60)]
INDICATOR = RNG.integers(0, 2, (60, 3))
NUMBERS = RNG.normal(size=60)


def tags(rows):
    return [[str(len(str(step)) % 3) for step in row] for row in rows]


# A model, what it is fitted on, and what it predicts.
MODELS = {
    "texts, two classes": lambda: (RNNTextClassifier(**SMALL).fit(TEXTS, TWO), NEW_TEXTS),
    "texts, three classes, gru": lambda: (RNNTextClassifier(**SMALL, cell="gru").fit(TEXTS, LABELS), NEW_TEXTS),
    "texts, labels": lambda: (RNNTextClassifier(**SMALL).fit(TEXTS, INDICATOR), NEW_TEXTS),
    "texts, one-hot, alone": lambda: (
        RNNTextClassifier(**SMALL, embedding_dim=None, wide=False, nb_ngrams=0).fit(TEXTS, LABELS),
        NEW_TEXTS,
    ),
    "characters": lambda: (
        RNNTextClassifier(TextTokenizer(level="char"), **SMALL).fit(TEXTS, LABELS),
        NEW_TEXTS,
    ),
    "tokens": lambda: (RNNTextClassifier(**SMALL, pooling="attention").fit(TOKENS, LABELS), [["good", "new"], []]),
    "ids": lambda: (RNNTextClassifier(**SMALL, class_weight={"yes": 2.0}).fit(IDS, LABELS), [[2, 99], [], [3]]),
    "scattered ids": lambda: (
        RNNTextClassifier(**SMALL).fit([[one * 10**9 for one in row] for row in IDS], LABELS),
        [[2 * 10**9, 5], []],
    ),
    "texts, numbers": lambda: (RNNTextRegressor(**SMALL).fit(TEXTS, NUMBERS), NEW_TEXTS),
    "table": lambda: (RNNClassifier(**SMALL).fit(SERIES, LABELS), SERIES),
    "table with holes": lambda: (RNNClassifier(**SMALL, missing="interpolate").fit(SERIES, TWO), holes(SERIES)),
    "ragged series": lambda: (
        RNNClassifier(**(SMALL | {"units": (3, 2)}), cell="rnn", activation="relu", pooling="last").fit(RAGGED, LABELS),
        RAGGED,
    ),
    "series, labels": lambda: (RNNClassifier(**SMALL, conv_filters=0, scale=False).fit(RAGGED, INDICATOR), RAGGED),
    "series, numbers": lambda: (RNNRegressor(**SMALL).fit(SERIES, np.stack([NUMBERS, -NUMBERS], axis=1)), SERIES),
    "series, one number": lambda: (RNNRegressor(**SMALL, loss="huber", cell="mgu").fit(RAGGED, NUMBERS), RAGGED),
    "tags of tokens": lambda: (RNNTagger(**SMALL).fit(TOKENS, tags(TOKENS)), [["good", "new"], []]),
    "tags of ids": lambda: (RNNTagger(**SMALL, wide=False).fit(IDS, tags(IDS)), [[2, 3, 99], []]),
    "tags of series": lambda: (RNNTagger(**SMALL).fit(RAGGED, [[len(r) % 2] * len(r) for r in RAGGED]), RAGGED),
    "bio tags": lambda: (
        RNNTagger(**SMALL, transitions="bio").fit(TOKENS, [["O", *["B-x", "I-x"] * 9][: len(r)] for r in TOKENS]),
        TOKENS[:5],
    ),
}
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function")


def holes(series):
    series = series.copy()
    series[::3, 4:7] = np.nan
    return series


@pytest.fixture(scope="module")
def fitted():
    """Each model once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = MODELS[name]()
        return made[name]

    return get


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("file", ["model", "model.zip"])
def test_an_estimator_comes_back(name, file, fitted, tmp_path):
    model, X = fitted(name)
    save_model(model, tmp_path / file)
    loaded = load_model(tmp_path / file)
    assert type(loaded) is type(model)
    assert loaded.get_params(deep=False).keys() == model.get_params(deep=False).keys()
    assert repr(loaded) == repr(model)
    assert (vars(loaded).keys() - {"_network"}) == (vars(model).keys() - {"network_"})
    for method in METHODS:
        assert hasattr(loaded, method) == hasattr(model, method)
        if hasattr(model, method):
            assert_same_predictions(getattr(loaded, method)(X), getattr(model, method)(X))
    assert_same_predictions(loaded.hidden_states(X), model.hidden_states(X))
    assert loaded.history_ == model.history_ and loaded.n_parameters_ == model.n_parameters_
    assert loaded.n_iter_ == model.n_iter_ and loaded.best_epoch_ == model.best_epoch_
    assert loaded.network_.to_arrays().keys() == model.network_.to_arrays().keys()
    assert_same_predictions(loaded.predict(X), model.predict(X))  # now that network_ is a torch module again


@pytest.mark.parametrize("name", MODELS)
def test_a_predictor_gives_the_same(name, fitted, tmp_path):
    model, X = fitted(name)
    save_model(model, tmp_path / "model")
    predictor = load_predictor(tmp_path / "model")
    for method in METHODS:
        assert hasattr(predictor, method) == hasattr(model, method)
        if hasattr(model, method):
            assert_same_predictions(getattr(predictor, method)(X), getattr(model, method)(X))
    assert hasattr(predictor, "classes_") == hasattr(model, "classes_")
    if hasattr(model, "classes_"):
        assert_same_predictions(predictor.classes_, model.classes_)


@pytest.mark.parametrize("name", MODELS)
def test_saving_what_was_loaded_gives_the_same_bytes(name, fitted, tmp_path):
    model, _ = fitted(name)
    save_model(model, tmp_path / "one.zip")
    save_model(load_model(tmp_path / "one.zip"), tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


@pytest.mark.parametrize("name", ["texts, three classes, gru", "table", "tags of tokens", "texts, numbers"])
def test_a_loaded_model_is_trained_further(name, fitted, tmp_path):
    model, _ = fitted(name)
    save_model(model, tmp_path / "model")
    X, y = {
        "texts, three classes, gru": (TEXTS, LABELS),
        "table": (SERIES, LABELS),
        "tags of tokens": (TOKENS, tags(TOKENS)),
        "texts, numbers": (TEXTS, NUMBERS),
    }[name]
    warm = load_model(tmp_path / "model").set_params(warm_start=True).fit(X, y)
    same = pickle.loads(pickle.dumps(model)).set_params(warm_start=True).fit(X, y)
    assert_same_predictions(warm.predict(X), same.predict(X))
    streamed = load_model(tmp_path / "model").set_params(schedule="constant").partial_fit(X, y)
    assert streamed.n_iter_ == model.n_iter_ + 1
    assert clone(warm).fit(X, y).n_iter_ > 0


@pytest.mark.parametrize(
    "estimator", [RNNTextClassifier(units=(3, 4)), RNNRegressor(), TextTokenizer(), SequencePadder()]
)
def test_what_was_not_fitted_comes_back(estimator, tmp_path):
    save_model(estimator, tmp_path / "model.zip")
    loaded = load_model(tmp_path / "model.zip")
    assert repr(loaded) == repr(estimator) and vars(loaded) == vars(estimator)
    with pytest.raises(ModelFileError, match="load_model"):
        load_predictor(tmp_path / "model.zip")


@pytest.mark.parametrize("level", ["word", "char", "subword"])
def test_tokenizers_come_back(level, tmp_path):
    tokenizer = TextTokenizer(level=level, vocab_size=300, max_length=4).fit(TEXTS)
    save_model(tokenizer, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert vars(loaded).keys() == vars(tokenizer).keys()
    assert_same_predictions(loaded.transform(NEW_TEXTS), tokenizer.transform(NEW_TEXTS))
    assert loaded.inverse_transform(loaded.transform(NEW_TEXTS)) == tokenizer.inverse_transform(
        tokenizer.transform(NEW_TEXTS)
    )


def test_a_subword_model_comes_back(tmp_path):
    model = RNNTextClassifier(TextTokenizer(level="subword", vocab_size=300), **SMALL).fit(TEXTS, LABELS)
    save_model(model, tmp_path / "model")
    assert_same_predictions(load_model(tmp_path / "model").predict_proba(NEW_TEXTS), model.predict_proba(NEW_TEXTS))
    assert_same_predictions(load_predictor(tmp_path / "model").predict_proba(NEW_TEXTS), model.predict_proba(NEW_TEXTS))


def test_padders_come_back(tmp_path):
    padder = SequencePadder().fit(RAGGED)
    save_model(padder, tmp_path / "model")
    assert_same_predictions(load_model(tmp_path / "model").transform(RAGGED), padder.transform(RAGGED))


def test_frames_keep_the_names_of_their_columns(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(SERIES, columns=[f"t{i}" for i in range(14)])
    model = RNNClassifier(**SMALL).fit(frame, LABELS)
    save_model(model, tmp_path / "model")
    loaded, predictor = load_model(tmp_path / "model"), load_predictor(tmp_path / "model")
    assert loaded.feature_names_in_.tolist() == model.feature_names_in_.tolist()
    assert_same_predictions(predictor.predict_proba(frame), model.predict_proba(frame))
    for other in (loaded, predictor):
        with pytest.raises(ValueError, match="t0"):
            other.predict(frame.rename(columns={"t0": "first"}))


def test_the_device_is_that_of_the_caller_and_no_path_is_kept(tmp_path):
    model = RNNClassifier(**SMALL, device="cpu", checkpoint_dir=tmp_path / "checkpoints").fit(SERIES, LABELS)
    save_model(model, tmp_path / "model")
    assert load_model(tmp_path / "model").device == "auto"
    assert load_model(tmp_path / "model", device="cpu").device == "cpu"
    assert load_model(tmp_path / "model").checkpoint_dir is None


def test_what_a_file_can_not_hold_is_refused_by_its_name(tmp_path):
    class Splits(BaseEstimator):
        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return [[2] * len(text.split()) for text in X]

    generator = RNNClassifier(**(SMALL | {"random_state": np.random.RandomState(0)})).fit(SERIES, LABELS)
    for model, words in (
        (generator, "random_state.*pass an int"),
        (RNNTextClassifier(Splits(), **SMALL), "tokenizer is a Splits"),
        (RNNTextClassifier(Splits(), **SMALL).fit(TEXTS, LABELS), "tokenizer.? is a Splits"),
        (make_pipeline(TextTokenizer(), RNNTextClassifier()), "Pipeline.*SKOPS_TRUSTED_TYPES"),
        (object(), "got a object"),
        (type("RNNClassifier", (RNNClassifier,), {})(), "got a RNNClassifier"),
    ):
        with pytest.raises(TypeError, match=f"(?s){words}"):
            save_model(model, tmp_path / "model")
        assert not (tmp_path / "model").exists()


def run_without(modules, code, **variables):
    """A process in which these modules can't be imported."""
    head = f"import sys\nfor name in {modules!r}: sys.modules[name] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", head + code], env=os.environ | variables, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


HEAVY = "torch skorch sklearn scipy joblib narwhals threadpoolctl pandas polars tqdm filelock tokenizers".split()


@pytest.mark.parametrize("name", MODELS)
def test_a_predictor_needs_numpy_and_safetensors_alone(name, fitted, tmp_path):
    model, X = fitted(name)
    save_model(model, tmp_path / "model.zip")
    answers = [(method, getattr(model, method)(X)) for method in METHODS if hasattr(model, method)]
    (tmp_path / "X.pickle").write_bytes(pickle.dumps((X, answers)))
    run_without(
        HEAVY,
        f"""
import pickle, numpy as np
from seqclf import load_predictor
X, answers = pickle.load(open({str(tmp_path / "X.pickle")!r}, "rb"))
predictor = load_predictor({str(tmp_path / "model.zip")!r})
for method, expected in answers:
    found = getattr(predictor, method)(X)
    pairs = zip(found, expected) if expected.dtype == object and expected.ndim == 1 else [(found, expected)]
    for one, other in pairs:
        np.testing.assert_array_equal(one, other)
""",
    )


@pytest.mark.parametrize("name", ["texts, three classes, gru", "table", "tags of tokens", "bio tags", "tokens"])
def test_without_the_library_a_predictor_differs_by_rounding_alone(name, fitted, tmp_path):
    model, X = fitted(name)
    if not hasattr(model, "predict_proba"):
        pytest.skip("it has no probabilities")
    save_model(model, tmp_path / "model")
    (tmp_path / "X.pickle").write_bytes(pickle.dumps(X))
    for loader in ("load_predictor", "load_model"):
        code = f"""
import pickle, numpy as np
from seqclf import {loader} as load
model = load({str(tmp_path / "model")!r})
found = model.predict_proba(pickle.load(open({str(tmp_path / "X.pickle")!r}, "rb")))
np.save({str(tmp_path / loader)!r}, np.concatenate(list(found)) if found.dtype == object else found)
"""
        run_without([], code, SEQCLF_KERNELS="reference")
    one, other = (np.load(tmp_path / f"{loader}.npy") for loader in ("load_predictor", "load_model"))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
    expected = model.predict_proba(X)
    expected = np.concatenate(list(expected)) if expected.dtype == object else expected
    np.testing.assert_allclose(one, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["texts, three classes, gru", "table", "tags of tokens"])
def test_a_loaded_estimator_predicts_and_is_shown_without_torch(name, fitted, tmp_path):
    model, X = fitted(name)
    save_model(model, tmp_path / "model")
    (tmp_path / "X.pickle").write_bytes(pickle.dumps((X, model, model.predict(X))))
    for load in ("load_model(folder)", "pickle.load(open(file, 'rb'))[1]"):
        run_without(
            [],  # scipy looks into sys.modules for torch
            f"""
import pickle, sys, numpy as np
import seqclf._devices
seqclf._devices.has_gpu_driver = lambda: False
from seqclf import load_model
file, folder = {str(tmp_path / "X.pickle")!r}, {str(tmp_path / "model")!r}
model = {load}
X, _, expected = pickle.load(open(file, "rb"))
for one, other in zip(model.predict(X), expected):
    np.testing.assert_array_equal(one, other)
assert "network_" not in vars(model)
assert "units" in model._repr_html_()
pickle.loads(pickle.dumps(model)).predict(X)
assert not {{"torch", "skorch"}} & sys.modules.keys()
""",
        )


@pytest.mark.parametrize("file", sorted(FORMATS.glob("*.zip")), ids=lambda file: file.stem)
def test_files_of_earlier_formats_are_read(file):
    """They were written by the version whose format they have; their predictions are kept with them."""
    loaded = load_model(file)
    if file.stem.endswith("TextTokenizer"):
        assert loaded.transform(["good film"])[0].tolist() == [3, 2]
        return
    if file.stem.endswith("SequencePadder"):
        assert loaded.transform([[2, 3]]).tolist() == [[2, 3, 0]]
        return
    answers = np.load(file.with_suffix(".npz"))
    X = answers["X"] if answers["X"].ndim > 1 else answers["X"].tolist()
    if file.stem.endswith("RNNTagger"):
        X = [text.split() for text in X]
    for model in (loaded, load_predictor(file)):
        found = model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)
        found = np.concatenate(list(found)) if found.dtype == object else found
        np.testing.assert_allclose(found, answers["found"], rtol=0, atol=1e-5)


def test_there_is_a_file_of_each_estimator():
    names = {file.stem.partition("_")[2] for file in FORMATS.glob("format1_*.zip")}
    assert names == {name.rpartition(".")[2] for name in seqclf.SKOPS_TRUSTED_TYPES}


def test_a_pickle_is_no_model_file(tmp_path):
    (tmp_path / "model.zip").write_bytes(pickle.dumps(RNNClassifier()))
    with pytest.raises(ModelFileError, match="pickle"):
        load_model(tmp_path / "model.zip")


def test_a_class_that_is_not_listed_is_not_made(tmp_path):
    from seqclf._model_files.container import read, write

    save_model(RNNClassifier(), tmp_path / "model.zip")
    documents, arrays = read(tmp_path / "model.zip")
    assert documents["model"]["class"] == "RNNClassifier"
    documents["model"]["class"] = "os.system"
    write(tmp_path / "other.zip", documents, arrays)
    for load in (load_model, load_predictor):
        with pytest.raises(ModelFileError, match="class"):
            load(tmp_path / "other.zip")


def changed(states, path, value):
    """A copy of a state with another value at this path."""
    states = copy.deepcopy(states)
    *folders, last = path
    holder = states
    for key in folders:
        holder = holder[key]
    holder[last] = value
    return states


def test_a_file_does_not_say_where_checkpoints_are_written(tmp_path, fitted):
    states = read_states_of(fitted("table")[0], tmp_path)
    write_states(tmp_path / "other", changed(states, ("model", "parameters", "checkpoint_dir"), str(tmp_path)))
    assert load_model(tmp_path / "other").checkpoint_dir is None


def read_states_of(model, tmp_path):
    save_model(model, tmp_path / "of.zip")
    return read_states(tmp_path / "of.zip")


# A model, and the part of it that is exchanged for the one of another model.
FITTED = ("model", "fitted")
MISFITS = [
    ("ids", "texts, three classes, gru", ("label_features",)),
    ("texts, three classes, gru", "texts, two classes", ("label_features",)),
    ("texts, three classes, gru", "table", ("label_features",)),
    ("table", "texts, three classes, gru", ("label_features",)),
    ("table", "ragged series", ("label_features",)),
    ("tags of tokens", "texts, three classes, gru", ("label_features",)),
    ("texts, three classes, gru", "tags of tokens", ("label_features",)),
    ("texts, three classes, gru", "tokens", ("tokenizer",)),
    ("texts, three classes, gru", "characters", ("tokenizer",)),
    ("table", "series, one number", (*FITTED, "task")),
    ("tags of series", "table", (*FITTED, "task")),
    ("ragged series", "table", (*FITTED, "input")),
    ("ids", "table", (*FITTED, "input")),
]


@pytest.mark.parametrize(("model", "other", "path"), MISFITS, ids=str)
def test_parts_of_other_models_are_refused(model, other, path, fitted, tmp_path):
    states, value = (read_states_of(fitted(name)[0], tmp_path) for name in (model, other))
    for key in path:
        value = value[key]
    write_states(tmp_path / "mixed", changed(states, path, value))
    words = "trained with|n-grams|outputs|linear model|tokenizer|units|is missing|its class is"
    for load in (load_model, load_predictor):
        with pytest.raises(ModelFileError, match=words):
            load(tmp_path / "mixed")


CLASSES = [
    ("texts, three classes, gru", "RNNClassifier"),
    ("table", "RNNTextClassifier"),
    ("series, one number", "RNNClassifier"),
    ("tags of tokens", "RNNTextClassifier"),
    ("texts, three classes, gru", "RNNTextRegressor"),
    ("texts, numbers", "RNNTextClassifier"),
]


@pytest.mark.parametrize(("model", "name"), CLASSES)
def test_a_class_that_reads_or_learns_something_else_is_refused(model, name, fitted, tmp_path):
    states = read_states_of(fitted(model)[0], tmp_path)
    parameters = getattr(seqclf, name)().get_params(deep=False)
    states = changed(changed(states, ("model", "class"), name), ("model", "parameters"), parameters)
    write_states(tmp_path / "other", states)
    for load in (load_model, load_predictor):
        with pytest.raises(ModelFileError, match=f"its class is {name}, and it reads|missing"):
            load(tmp_path / "other")


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    model = RNNClassifier(**SMALL).fit(SERIES, TWO)
    save_model(model, tmp_path / "model.zip")
    before = (tmp_path / "model.zip").read_bytes()
    model.network_.head.bias.data.fill_(np.nan)
    with pytest.raises(ValueError, match=r"can't be saved, because it could not be loaded: .*head\.bias holds NaN"):
        save_model(model, tmp_path / "model.zip")
    assert (tmp_path / "model.zip").read_bytes() == before


def test_other_files_are_not_replaced(tmp_path):
    for name, content in (("text.zip", b"notes"), ("empty.zip", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileExistsError, match="no model of seqclf"):
            save_model(RNNClassifier(), tmp_path / name)
        assert (tmp_path / name).read_bytes() == content


def test_paths_are_texts(tmp_path):
    for call in (lambda path: save_model(RNNClassifier(), path), load_model, load_predictor):
        with pytest.raises(TypeError, match="path is b'model'; expected a text or a Path"):
            call(b"model")


def test_threads_that_ask_at_once_get_one_network(tmp_path, fitted):
    save_model(fitted("table")[0], tmp_path / "model")
    for _ in range(10):
        model = load_model(tmp_path / "model")
        with ThreadPoolExecutor(4) as pool:
            assert len({id(one) for one in pool.map(lambda _, model=model: model.network_, range(4))}) == 1
        assert "_network" not in vars(model)


@pytest.mark.parametrize("name", MODELS)
def test_a_predictor_is_shown_and_pickled(name, fitted, tmp_path):
    model, X = fitted(name)
    save_model(model, tmp_path / "model")
    predictor = load_predictor(tmp_path / "model")
    predictor.predict(X)
    assert repr(predictor).startswith("<Predictor of ")
    assert [method in dir(predictor) for method in METHODS] == [hasattr(model, method) for method in METHODS]
    assert_same_predictions(pickle.loads(pickle.dumps(predictor)).predict(X), model.predict(X))


def test_a_device_that_is_none_is_refused_at_once(tmp_path):
    save_model(RNNClassifier(), tmp_path / "model")
    with pytest.raises(ValueError, match="device='gpu'"):
        load_model(tmp_path / "model", device="gpu")


def test_a_class_is_no_estimator(tmp_path):
    with pytest.raises(TypeError, match=r"got the class RNNTagger: pass an estimator, RNNTagger\(\.\.\.\)"):
        save_model(RNNTagger, tmp_path / "model")


def test_a_zip_holds_what_a_folder_holds(tmp_path, fitted):
    model, _ = fitted("texts, two classes")
    save_model(model, tmp_path / "model")
    save_model(model, tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()
        }
