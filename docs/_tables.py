"""Tables of the measured results for the pages of this folder, as Markdown text.

They are made from `benchmarks/results/texts.json`, which `benchmarks/collect.py` writes. Seconds are processor times on
one core. A cell is empty, and a mean is missing, where a model was not measured. A page displays a table with
`IPython.display.Markdown(results_table())`.
"""

import json
import statistics
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "benchmarks" / "results"
OURS, TFIDF, NB_SVM = "RNNTextClassifier()", "pairs + LR", "NB-SVM, words to triples"
KERAS = "Keras, LSTM(64)"
# What each data set is, and its number of classes, in the order of the tables.
DATA = {
    "imdb": ("film reviews (IMDB)", 2),
    "customer_reviews": ("sentences of product reviews", 2),
    "subjectivity": ("subjective and objective sentences", 2),
    "mpqa": ("opinion phrases (MPQA)", 2),
    "reuters_r8": ("newswire (Reuters R8)", 8),
    "offensive_tweets": ("offensive tweets", 3),
    "hwu64": ("requests (HWU64)", 64),
    "snips": ("requests (SNIPS)", 7),
    "atis_intents": ("questions to an airline (ATIS)", 22),
    "chinese_hotels": ("hotel reviews in Chinese", 2),
    "docstrings": ("docstrings of four packages", 4),
}
# In Chinese there are no spaces: characters instead of words.
_TFIDF_OF = {"chinese_hotels": "characters + LR"}
SHOWN_FIRST = ("imdb", "customer_reviews", "reuters_r8", "offensive_tweets", "hwu64", "chinese_hotels")


def load(name: str = "texts") -> dict:
    """The content of a file of results; `rows` are by data and model."""
    content = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    rows = {(row["data"], row["model"]): row for row in content["rows"]}
    of_characters = {(data, TFIDF): rows[data, model] for data, model in _TFIDF_OF.items()}
    return content | {"rows": rows | of_characters}


def measured() -> str:
    """The machine and the month of the measurement, as a sentence."""
    content = load()
    return f"Measured in {content['measured']} on {content['machine']}"


def _accuracy(row: dict | None) -> str:
    return "" if row is None else f"{statistics.mean(row['accuracies']):.3f}"


def _fit_time(row: dict | None) -> str:
    return "" if row is None else as_seconds(row["fit_cpu_seconds"])


def as_seconds(seconds: float) -> str:
    """One decimal below ten seconds."""
    return f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}"


def _both_times(row: dict | None) -> str:
    """The times of fit and of predict."""
    return "" if row is None else f"{_fit_time(row)} / {as_seconds(row['predict_cpu_seconds'])}"


def _with_bold_best(accuracies: list[str]) -> list[str]:
    """The cells of a row, with the highest accuracy in bold type."""
    best = max(accuracies)
    return [f"**{cell}**" if cell == best else cell for cell in accuracies]


def as_markdown(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def results_table(names: Iterable[str] = SHOWN_FIRST) -> str:
    """Accuracy on test rows and seconds of `fit` for each data set: ours, TF-IDF with logistic regression, Keras.

    Parameters
    ----------
    names : iterable of str
        Data sets, keys of `DATA`.

    Returns
    -------
    str
        A table in Markdown; six data sets by default, which is the table of README.
    """
    rows = load()["rows"]
    header = ["data", "ours", "s", "TF-IDF + LR", "s", "Keras LSTM", "s"]
    lines = []
    for name in names:
        of_models = [rows.get((name, model)) for model in (OURS, TFIDF, KERAS)]
        accuracies = _with_bold_best([_accuracy(row) for row in of_models])
        times = [_fit_time(row) for row in of_models]
        lines.append([DATA[name][0], *chain.from_iterable(zip(accuracies, times, strict=True))])
    return as_markdown(header, lines)


def accuracy_table() -> str:
    """Accuracy on test rows of every data set and model, with the mean over the ten data sets other than IMDB."""
    rows = load()["rows"]
    models = [OURS, TFIDF, NB_SVM, KERAS]
    header = ["data", "rows, classes", "ours", "seeds", "TF-IDF + LR", "NB-SVM", "Keras LSTM"]
    lines = []
    for name, (title, n_classes) in DATA.items():
        of_models = [rows.get((name, model)) for model in models]
        ours = of_models[0]
        first, *others = _with_bold_best([_accuracy(row) for row in of_models])
        size = f"{ours['n_train']:,} + {ours['n_test']:,}, {n_classes}"
        seeds = " / ".join(f"{accuracy:.4f}" for accuracy in ours["accuracies"])
        lines.append([title, size, first, seeds, *others])
    means = ["" if mean is None else f"{mean[0]:.3f}" for mean in map(means_besides_imdb, models)]
    first, *others = _with_bold_best(means)
    return as_markdown(header, [*lines, ["mean of all but IMDB", "", first, "", *others]])


def seconds_table() -> str:
    """Seconds of `fit` and `predict`, from raw texts to labels, for every data set and model."""
    rows = load()["rows"]
    models = {"ours": OURS, "TF-IDF + LR": TFIDF, "NB-SVM": NB_SVM, "Keras LSTM": KERAS}
    lines = []
    for name, (title, _) in DATA.items():
        lines.append([title, *(_both_times(rows.get((name, model))) for model in models.values())])
    return as_markdown(["data", *models], lines)


def means_besides_imdb(model: str) -> tuple[float, float] | None:
    """The mean accuracy and the mean seconds of `fit` over the data sets other than IMDB; None if one is missing."""
    rows = load()["rows"]
    of_model = [rows.get((name, model)) for name in DATA if name != "imdb"]
    if None in of_model:
        return None
    accuracy = statistics.mean(statistics.mean(row["accuracies"]) for row in of_model)
    return accuracy, statistics.mean(row["fit_cpu_seconds"] for row in of_model)


if __name__ == "__main__":
    print(results_table())
