"""`model_summary`: the tables of every kind of fitted model."""

import pickle
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from _factories import run_python, series_classifier, text_classifier
from _fitted_models import MODELS, TEXTS, fitted
from seqclf import RNNClassifier, RNNTagger, RNNTextRegressor, SequencePadder, load_model, save_model
from seqclf.inspection import model_summary


class Cells(HTMLParser):
    """The text of every cell of a page, and its tags."""

    def __init__(self, page):
        super().__init__()
        self.cells, self.tags, self._open = [], set(), []
        self.feed(page)
        self.close()
        assert not self._open, "a tag is not closed"

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self._open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] in ("td", "th"):
            self.cells[-1] += data


@pytest.mark.parametrize("name", MODELS)
def test_weights_of_the_layers_add_up_to_n_parameters(name):
    model, X = fitted(name)
    summary = model_summary(model)
    assert summary.n_parameters == sum(layer.n_weights for layer in summary.layers) == model.n_parameters_
    assert summary.title == f"{type(model).__name__}: {model._task.kind}"
    *_, last = [layer for layer in summary.layers if layer.name.startswith("recurrent")]
    assert last.output_shape == ("steps", model.hidden_states(X)[0].shape[1])
    assert list(summary.facts)[::3] == ["inputs", "training"]


@pytest.mark.parametrize("name", MODELS)
def test_text_and_html_have_the_same_cells(name):
    summary = model_summary(fitted(name)[0])
    title, table, facts = str(summary).split("\n\n")
    assert title == summary.title
    assert len({len(line) for line in table.splitlines()}) == 1, "columns are aligned"
    html = Cells(summary._repr_html_())
    assert html.tags == {"div", "p", "strong", "table", "thead", "tbody", "tfoot", "tr", "th", "td"}
    without_rules = table.replace("-" * table.index("\n"), "")
    assert "".join(html.cells).replace(" ", "") == "".join((without_rules + facts).split())
    assert repr(summary) == str(summary)


def test_layers_of_a_classifier_of_texts():
    summary = model_summary(fitted("texts, two classes")[0])
    assert [(layer.name, layer.settings, layer.output_shape, layer.n_weights) for layer in summary.layers] == [
        ("embedding", "21 token ids", ("steps", 32), 21 * 32),
        ("step features", "log-count ratios of n-grams of 1 to 3 tokens", ("steps", 3), 0),
        ("recurrent 1", "lstm, 2 directions of 3 units", ("steps", 6), 2 * 12 * (35 + 3 + 1)),
        ("pooling", "max", (6,), 0),
        ("pooling", "mean of the step features", (3,), 0),
        ("head", "linear, 9 inputs", (1,), 10),
        ("linear model", "its scores, weighted and added", (1,), 1),
    ]


def test_layers_of_a_classifier_of_series():
    summary = model_summary(fitted("ragged series")[0])
    assert [(layer.name, layer.settings, layer.output_shape) for layer in summary.layers] == [
        ("input", "2 channels", ("steps", 2)),
        ("recurrent 1", "rnn, 2 directions of 3 units, relu", ("steps", 6)),
        ("recurrent 2", "rnn, 2 directions of 2 units, relu", ("steps", 4)),
        ("pooling", "last", (4,)),
        ("convolution 1", "32 filters of 15 steps, next to the recurrent layers", ("steps", 32)),
        ("convolution 2", "32 filters of 9 steps, next to the recurrent layers", ("steps", 32)),
        ("convolution 3", "32 filters of 5 steps, next to the recurrent layers", ("steps", 32)),
        ("pooling", "mean of the convolutions", (32,)),
        ("head", "linear, 36 inputs", (3,)),
        ("linear model", "its scores, weighted and added", (3,)),
    ]


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        (
            "texts, three classes, gru",
            {
                "inputs": "texts, split into words; 21 token ids, with padding and unknown",
                "classes": "3: 'maybe', 'no', 'yes'",
            },
        ),
        ("characters", {"inputs": "texts, split into characters; 22 token ids, with padding and unknown"}),
        ("ids", {"inputs": "21 token ids, with padding and unknown"}),
        ("texts, one-hot, without label features", {"linear model": "none"}),
        ("texts, values", {"targets": "1 number per row; loss 'squared_error'"}),
        (
            "series, values",
            {"targets": "2 numbers per row; loss 'squared_error'", "inputs": "table of 14 steps, scaled"},
        ),
        ("series, labels", {"inputs": "series of 2 channels", "classes": "3: 0, 1, 2"}),
        (
            "bio tags",
            {
                "inputs": "lists of tokens; 21 token ids, with padding and unknown",
                "classes": "3: 'B-x', 'I-x', 'O'; transitions 'bio'",
            },
        ),
    ],
)
def test_facts(name, facts):
    assert facts.items() <= model_summary(fitted(name)[0]).facts.items()


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("texts, two classes", "TF-IDF of n-grams of 1 to 2 tokens and of characters"),
        ("ids", "TF-IDF of n-grams of 1 to 2 tokens"),
        ("tags of tokens", "spelling and neighbours of a token"),
        ("ragged series", "random convolutions"),
    ],
)
def test_linear_model(name, features):
    model = fitted(name)[0]
    n_weights = model.wide_.coef_.size + model.wide_.intercept_.size
    expected = f"{len(model.wide_.coef_):,} features ({features}), {n_weights:,} weights"
    assert model_summary(model).facts["linear model"] == expected


def test_best_epoch_and_seconds():
    X = np.random.default_rng(0).normal(size=(40, 6))
    model = series_classifier(max_epochs=4, patience=4, learning_rate=0.5).fit(X, np.arange(40) % 2)
    seconds = sum(epoch["seconds"] for epoch in model.history_)
    model.best_epoch_ = 2
    assert model_summary(model).facts["training"] == f"4 epochs in {seconds:.3g} s; weights of epoch 2, the best one"
    model.best_epoch_ = 4
    assert model_summary(model).facts["training"] == f"4 epochs in {seconds:.3g} s"


def test_a_stream():
    model = series_classifier(schedule="constant", max_epochs="auto")
    X = np.random.default_rng(0).normal(size=(20, 6))
    model.partial_fit(X, np.arange(20) % 2, classes=[0, 1])
    summary = model_summary(model)
    assert summary.facts["training"].startswith("1 epoch in ") and summary.n_parameters == model.n_parameters_


def test_names_are_escaped_and_long_lists_are_cut():
    rng = np.random.default_rng(0)
    series = [pd.DataFrame(rng.normal(size=(4, 2)), columns=["<b>", 'a"&']) for _ in range(40)]
    labels = np.array([f"<script>{n}</script>" for n in range(8)] * 5)
    summary = model_summary(series_classifier(wide=False, conv_filters=0).fit(series, labels))
    assert summary.facts["inputs"] == "series of 2 channels ('<b>', 'a\"&'), scaled"
    assert summary.facts["classes"] == "8: " + ", ".join(f"'<script>{n}</script>'" for n in range(5)) + ", ..."
    html = Cells(summary._repr_html_())
    assert not {"script", "b"} & html.tags
    assert summary.facts["classes"] in html.cells and summary.facts["inputs"] in html.cells
    many = model_summary(series_classifier(wide=False, conv_filters=0).fit(series, ["x" * 5_000, "y" * 5_000] * 20))
    assert len(str(many)) < 2_000


class CountingTokenizer:
    """A tokenizer of another package: the id of a text is its length."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return [[2 + len(text)] for text in X]

    def get_params(self, deep=True):
        return {}


def test_tokenizer_of_another_class():
    model = text_classifier(tokenizer=CountingTokenizer()).fit(TEXTS, np.arange(60) % 2)
    assert model_summary(model).facts["inputs"] == f"texts, {model.vocab_size_} token ids of CountingTokenizer"


@pytest.mark.parametrize("name", MODELS)
def test_saved_and_pickled_models_have_the_same_summary(name, tmp_path):
    model = fitted(name)[0]
    save_model(model, tmp_path / "model.zip")
    for other in (load_model(tmp_path / "model.zip"), pickle.loads(pickle.dumps(model))):
        assert str(model_summary(other)) == str(model_summary(model))
        assert "network_" not in vars(other)


def test_summary_of_a_loaded_model_imports_no_torch(tmp_path):
    path = tmp_path / "model.zip"
    save_model(fitted("texts, two classes")[0], path)
    code = f"""
    import sys
    from seqclf import load_model
    from seqclf.inspection import model_summary
    summary = model_summary(load_model({str(path)!r}))
    str(summary), summary._repr_html_()
    print({{"torch", "skorch", "matplotlib"}} & set(sys.modules))
    """
    assert run_python(code).strip() == "set()"


@pytest.mark.parametrize("estimator", [RNNClassifier(), RNNTextRegressor(), RNNTagger()])
def test_before_fit(estimator):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        model_summary(estimator)


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (None, "got a NoneType"),
        (RNNClassifier, "got the class RNNClassifier"),
        (SequencePadder(), "got a SequencePadder"),
        (make_pipeline(SequencePadder(), RNNClassifier()), r"got a Pipeline. Pass the last step of the pipeline"),
    ],
)
def test_other_objects(estimator, message):
    with pytest.raises(TypeError, match=rf"estimator must be a fitted estimator of seqclf.*{message}"):
        model_summary(estimator)


def test_a_search():
    X = np.random.default_rng(0).normal(size=(20, 6))
    search = GridSearchCV(series_classifier(), {"units": [2]}, cv=2).fit(X, np.arange(20) % 2)
    with pytest.raises(TypeError, match=r"search\.best_estimator_"):
        model_summary(search)
    assert model_summary(search.best_estimator_).n_parameters > 0


def test_the_model_does_not_change():
    model = fitted("texts, two classes")[0]
    before = pickle.dumps(model)
    str(model_summary(model))
    assert pickle.dumps(model) == before
