"""save_model, load_model and load_predictor: a saved model is restored bit by bit; every other file is an error."""

import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import make_pipeline

import seqclf
from _factories import assert_same_predictions
from _fitted_models import (
    BINARY,
    LABELS,
    METHODS,
    MODELS,
    NEW_TEXTS,
    RAGGED,
    SERIES,
    SMALL,
    TEXTS,
    TOKENS,
    VALUES,
    fitted,
    length_tags,
)
from seqclf import (
    ModelFileError,
    RNNClassifier,
    RNNRegressor,
    RNNTagger,
    RNNTextClassifier,
    SequencePadder,
    TextTokenizer,
    load_model,
    load_predictor,
    save_model,
)
from seqclf._model_files import container
from seqclf._model_files.states import read_states, write_states

FORMATS = Path(__file__).parent / "model_files"


@pytest.mark.parametrize(
    ("name", "file"),
    [*((name, "model.zip") for name in MODELS), ("texts, two classes", "model"), ("tags of series", "model")],
)
def test_load_model_restores_the_estimator(name, file, tmp_path):
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
def test_save_model_of_a_loaded_model_writes_the_same_bytes(name, tmp_path):
    model, _ = fitted(name)
    save_model(model, tmp_path / "one.zip")
    save_model(load_model(tmp_path / "one.zip"), tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


@pytest.mark.parametrize("name", ["texts, three classes, gru", "matrix", "tags of tokens", "texts, values"])
def test_loaded_model_can_be_trained_further(name, tmp_path):
    model, _ = fitted(name)
    save_model(model, tmp_path / "model")
    X, y = {
        "texts, three classes, gru": (TEXTS, LABELS),
        "matrix": (SERIES, LABELS),
        "tags of tokens": (TOKENS, length_tags(TOKENS)),
        "texts, values": (TEXTS, VALUES),
    }[name]
    loaded = load_model(tmp_path / "model").set_params(warm_start=True).fit(X, y)
    unpickled = pickle.loads(pickle.dumps(model)).set_params(warm_start=True).fit(X, y)
    assert_same_predictions(loaded.predict(X), unpickled.predict(X))
    updated = load_model(tmp_path / "model").set_params(schedule="constant").partial_fit(X, y)
    assert updated.n_iter_ == model.n_iter_ + 1
    assert clone(loaded).fit(X, y).n_iter_ > 0


@pytest.mark.parametrize(
    "estimator", [RNNTextClassifier(units=(3, 4)), RNNRegressor(), TextTokenizer(), SequencePadder()]
)
def test_unfitted_estimator_is_loaded_by_load_model_only(estimator, tmp_path):
    save_model(estimator, tmp_path / "model.zip")
    loaded = load_model(tmp_path / "model.zip")
    assert repr(loaded) == repr(estimator) and vars(loaded) == vars(estimator)
    with pytest.raises(ModelFileError, match="load_model"):
        load_predictor(tmp_path / "model.zip")


@pytest.mark.parametrize("level", ["word", "char", "subword"])
def test_load_model_restores_a_tokenizer(level, tmp_path):
    tokenizer = TextTokenizer(level=level, vocab_size=300, max_length=4).fit(TEXTS)
    save_model(tokenizer, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert vars(loaded).keys() == vars(tokenizer).keys()
    ids = tokenizer.transform(NEW_TEXTS)
    assert_same_predictions(loaded.transform(NEW_TEXTS), ids)
    assert loaded.inverse_transform(ids) == tokenizer.inverse_transform(ids)


def test_load_model_and_load_predictor_restore_a_subword_model(tmp_path):
    model = RNNTextClassifier(TextTokenizer(level="subword", vocab_size=300), **SMALL).fit(TEXTS, LABELS)
    save_model(model, tmp_path / "model")
    for load in (load_model, load_predictor):
        assert_same_predictions(load(tmp_path / "model").predict_proba(NEW_TEXTS), model.predict_proba(NEW_TEXTS))


def test_load_model_restores_a_padder(tmp_path):
    padder = SequencePadder().fit(RAGGED)
    save_model(padder, tmp_path / "model")
    assert_same_predictions(load_model(tmp_path / "model").transform(RAGGED), padder.transform(RAGGED))


def test_load_model_and_load_predictor_restore_column_names(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(SERIES, columns=[f"t{i}" for i in range(14)])
    model = RNNClassifier(**SMALL).fit(frame, LABELS)
    save_model(model, tmp_path / "model")
    loaded, predictor = load_model(tmp_path / "model"), load_predictor(tmp_path / "model")
    assert loaded.feature_names_in_.tolist() == model.feature_names_in_.tolist()
    assert_same_predictions(predictor.predict_proba(frame), model.predict_proba(frame))
    for restored in (loaded, predictor):
        with pytest.raises(ValueError, match="t0"):
            restored.predict(frame.rename(columns={"t0": "first"}))


def test_load_model_sets_device_and_does_not_restore_checkpoint_dir(tmp_path):
    model = RNNClassifier(**SMALL, device="cpu", checkpoint_dir=tmp_path / "checkpoints").fit(SERIES, LABELS)
    save_model(model, tmp_path / "model")
    assert load_model(tmp_path / "model").device == "auto"
    assert load_model(tmp_path / "model", device="cpu").device == "cpu"
    assert load_model(tmp_path / "model").checkpoint_dir is None


def test_load_model_ignores_a_forged_checkpoint_dir(tmp_path):
    save_model(fitted("matrix")[0], tmp_path / "model.zip")
    states = read_states(tmp_path / "model.zip")
    states["model"]["parameters"]["checkpoint_dir"] = str(tmp_path)
    write_states(tmp_path / "forged", states)
    assert load_model(tmp_path / "forged").checkpoint_dir is None


def test_save_model_names_what_a_file_cannot_hold(tmp_path):
    class Splits(BaseEstimator):
        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return [[2] * len(text.split()) for text in X]

    generator = RNNClassifier(**(SMALL | {"random_state": np.random.RandomState(0)})).fit(SERIES, LABELS)
    for model, message in (
        (generator, "random_state.*Pass an int"),
        (RNNTextClassifier(Splits(), **SMALL), "tokenizer is a Splits"),
        (RNNTextClassifier(Splits(), **SMALL).fit(TEXTS, LABELS), "tokenizer.? is a Splits"),
        (make_pipeline(TextTokenizer(), RNNTextClassifier()), "Pipeline.*SKOPS_TRUSTED_TYPES"),
        (object(), "got an instance of builtins.object"),
        (type("RNNClassifier", (RNNClassifier,), {})(), r"got an instance of [a-z_.]+\.RNNClassifier"),
    ):
        with pytest.raises(TypeError, match=f"(?s){message}"):
            save_model(model, tmp_path / "model")
        assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("file", sorted(FORMATS.glob("*.zip")), ids=lambda file: file.stem)
def test_load_model_and_load_predictor_read_files_of_all_formats(file):
    """Each file was written by a version with that format; its predictions are saved next to it."""
    loaded = load_model(file)
    if file.stem.endswith("TextTokenizer"):
        assert loaded.transform(["good film"])[0].tolist() == [3, 2]
        return
    if file.stem.endswith("SequencePadder"):
        assert loaded.transform([[2, 3]]).tolist() == [[2, 3, 0]]
        return
    expected = np.load(file.with_suffix(".npz"))
    X = expected["X"] if expected["X"].ndim > 1 else expected["X"].tolist()
    if file.stem.endswith("RNNTagger"):
        X = [text.split() for text in X]
    for model in (loaded, load_predictor(file)):
        found = model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)
        found = np.concatenate(list(found)) if found.dtype == object else found
        np.testing.assert_allclose(found, expected["found"], rtol=0, atol=1e-5)


def test_format_1_has_a_file_of_each_estimator():
    names = {file.stem.partition("_")[2] for file in FORMATS.glob("format1_*.zip")}
    assert names == {name.rpartition(".")[2] for name in seqclf.SKOPS_TRUSTED_TYPES}


def test_load_model_rejects_a_pickle(tmp_path):
    (tmp_path / "model.zip").write_bytes(pickle.dumps(RNNClassifier()))
    with pytest.raises(ModelFileError, match="pickle"):
        load_model(tmp_path / "model.zip")


def test_load_model_and_load_predictor_reject_an_unlisted_class(tmp_path):
    save_model(RNNClassifier(), tmp_path / "model.zip")
    documents, arrays = container.read(tmp_path / "model.zip")
    assert documents["model"]["class"] == "RNNClassifier"
    documents["model"]["class"] = "os.system"
    container.write(tmp_path / "forged.zip", documents, arrays)
    for load in (load_model, load_predictor):
        with pytest.raises(ModelFileError, match="class"):
            load(tmp_path / "forged.zip")


def test_load_model_and_load_predictor_reject_a_model_document_that_is_no_dict(tmp_path):
    container.write(tmp_path / "model.zip", {"model": [1]}, {})
    for load in (load_model, load_predictor):
        with pytest.raises(ModelFileError, match="its document 'model' is not a dict"):
            load(tmp_path / "model.zip")


def test_save_model_rejects_a_model_that_could_not_be_loaded(tmp_path):
    model = RNNClassifier(**SMALL).fit(SERIES, BINARY)
    save_model(model, tmp_path / "model.zip")
    before = (tmp_path / "model.zip").read_bytes()
    model.network_.head.bias.data.fill_(np.nan)
    message = r"can't be saved, because it could not be loaded again: .*head\.bias holds NaN"
    with pytest.raises(ValueError, match=message):
        save_model(model, tmp_path / "model.zip")
    assert (tmp_path / "model.zip").read_bytes() == before


def test_save_model_does_not_replace_files_that_are_not_models(tmp_path):
    for name, content in (("text.zip", b"notes"), ("empty.zip", b"")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileExistsError, match="not a model of seqclf"):
            save_model(RNNClassifier(), tmp_path / name)
        assert (tmp_path / name).read_bytes() == content
    assert set(os.listdir(tmp_path)) == {"text.zip", "empty.zip"}


def test_path_must_be_a_string_or_path():
    for call in (lambda path: save_model(RNNClassifier(), path), load_model, load_predictor):
        with pytest.raises(TypeError, match="path is b'model': expected a string or a Path"):
            call(b"model")
        with pytest.raises(TypeError, match="path is 3: expected a string or a Path"):
            call(3)


def test_load_model_rejects_an_invalid_device(tmp_path):
    save_model(RNNClassifier(), tmp_path / "model")
    with pytest.raises(ValueError, match="device='gpu'"):
        load_model(tmp_path / "model", device="gpu")
    with pytest.raises(TypeError, match="device=None is not supported: expected 'auto'"):
        load_model(tmp_path / "model", device=None)


def test_save_model_explains_the_order_of_its_arguments(tmp_path):
    with pytest.raises(TypeError, match=r"got an instance of builtins\.str\. The estimator is the first argument"):
        save_model(str(tmp_path / "model"), RNNTagger())


def test_save_model_rejects_a_class(tmp_path):
    with pytest.raises(TypeError, match=r"got the class RNNTagger: pass an estimator, RNNTagger\(\.\.\.\)"):
        save_model(RNNTagger, tmp_path / "model")


def test_save_model_writes_the_same_files_to_a_zip_and_a_folder(tmp_path):
    model, _ = fitted("texts, two classes")
    save_model(model, tmp_path / "model")
    save_model(model, tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            file.name: file.read_bytes() for file in (tmp_path / "model").iterdir()
        }
