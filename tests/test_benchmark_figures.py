"""The computations behind the results of `benchmarks/accuracy.py`, `ablation.py` and `tagging.py`, by value."""

import json
import re
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from sklearn.model_selection import StratifiedKFold

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"

pytestmark = pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="the benchmarks are not part of an installed package")


@pytest.fixture
def benchmark(monkeypatch):
    """A function that imports modules of the benchmarks; they are removed from sys.modules afterwards."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield import_module
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(BENCHMARKS)):
            del sys.modules[name]


def test_calibration_error_by_value(benchmark):
    figures = benchmark("_figures")
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.51, 0.51])
    hits = np.array([1, 1, 1, 0, 1, 0])
    assert figures.calibration_error(confidence, hits) == pytest.approx((0.8 + 0.02) / 6)


def test_error_by_chance_decreases_with_rows(benchmark):
    figures = benchmark("_figures")
    few, many = (figures.error_by_chance(np.full(n, 0.8)) for n in (100, 10_000))
    # one bin: the mean absolute deviation of a proportion is about 0.8 of its standard deviation
    assert few == pytest.approx(0.8 * np.sqrt(0.8 * 0.2 / 100), rel=0.5)
    assert many < few / 5
    assert figures.error_by_chance(np.ones(100)) == 0


def test_paired_difference_by_value(benchmark):
    figures = benchmark("_figures")
    ours, rival = np.array([1.0, 1, 1, 0, 1, 0, 1, 1]), np.array([1.0, 0, 1, 0, 0, 1, 1, 1])
    mean, error = figures.paired_difference(ours, rival)
    assert mean == pytest.approx(1 / 8)
    assert error == pytest.approx(np.std(ours - rival) / np.sqrt(8))
    # repeating every row adds no information
    twice = figures.paired_difference(np.tile(ours, 2), np.tile(rival, 2), np.tile(np.arange(8), 2))
    assert twice == pytest.approx((mean, error))


def test_row_of_stores_hits_and_scores(benchmark):
    figures = benchmark("_figures")
    y = np.array([0, 1, 2, 1, 0, 2, 2, 1, 0, 0, 1])
    wrong = np.where(np.arange(11) % 3 == 0, 5, y)
    runs = [figures.Run(y, None, 1.0, 2.0), figures.Run(wrong, None, 3.0, 4.0)]
    row = figures.row_of("any", "model", "ours", runs, y, 7)
    assert row.accuracies == pytest.approx([1, 7 / 11])
    np.testing.assert_array_equal(figures.mean_hits(row), np.where(wrong == y, 1, 0.5))
    assert row.calibration_error is None
    assert row.n_rows == (7, 11)
    # class 5 has no test row, so it is not part of the mean
    assert row.macro_f1[1] == pytest.approx(np.mean([2 * 2 / 6, 2 * 3 / 7, 2 * 2 / 5]))


def test_cross_validated_equals_vectorising_each_fold(benchmark):
    rivals = benchmark("_rivals")
    rng = np.random.default_rng(0)
    words = np.array("good bad film plot slow warm dull witty a the of".split())
    texts = [" ".join(rng.choice(words, 6)) for _ in range(150)]
    y = np.array([("good" in text) ^ (rng.random() < 0.2) for text in texts]).astype(int)
    texts[0] += " once"  # a word in one fold only
    names = rivals.columns(without_spaces=True)
    accuracies = rivals.cross_validated(names, texts, y)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(texts, y))
    for name in names:
        scores = []
        for rows, held_out in folds:
            model = rivals.linear_model(name).fit([texts[i] for i in rows], y[rows])
            scores.append(model.score([texts[i] for i in held_out], y[held_out]))
        assert accuracies[name] == pytest.approx(np.mean(scores))
    assert len(set(accuracies.values())) > 1


def test_chosen_row_takes_the_best_column_of_each_draw(benchmark):
    figures, summary = benchmark("_figures"), benchmark("_summary")
    y = np.array([0, 1, 0, 1])
    correct, half, wrong = y, np.array([0, 1, 1, 0]), 1 - y
    columns = [
        figures.row_of("imdb-200", name, "column", [figures.Run(p, None, 1.0, 1.0) for p in each], y, 9)
        for name, each in {"words": (correct, wrong), "pairs": (half, half)}.items()
    ]
    choice = [{"words": 0.9, "pairs": 0.8}, {"words": 0.7, "pairs": 0.75}]
    row = summary.chosen_row("imdb-200", choice, columns)
    assert row.accuracies == [1.0, 0.5]
    assert row.extra["chosen"] == ["words", "pairs"]
    np.testing.assert_array_equal(figures.mean_hits(row), [1, 1, 0.5, 0.5])


def test_nb_svm_of_several_classes_predicts_all_of_them(benchmark):
    model = benchmark("_rivals").nb_svm(C=10)
    texts = [f"{word} {other}" for word in ("red", "green", "blue") for other in "the of a plot film".split()] * 4
    y = np.repeat(["r", "g", "b"], 5).tolist() * 4
    model.fit(texts, np.array(y))
    assert model.predict(["the red film", "a green plot", "blue of the"]).tolist() == ["r", "g", "b"]


def test_nb_features_by_value(benchmark):
    features = benchmark("_rivals").NBFeatures()
    X = sparse.csr_array([[1.0, 0, 1], [1, 1, 0], [0, 1, 0]])
    shown = features.fit_transform(X, np.array([1, 1, 0])).toarray()
    of_one, of_zero = np.array([3, 2, 2]) / 7, np.array([1, 2, 1]) / 4
    np.testing.assert_allclose(shown, X.toarray() * np.log(of_one / of_zero))


def test_collect_keeps_all_seeds_and_the_fastest_times(benchmark, tmp_path):
    figures, collect = benchmark("_figures"), benchmark("collect")
    y = np.array([0, 1, 0])

    def run(predicted, *cpu_seconds):
        return figures.Run(predicted, None, 9.0, 9.0, None, *cpu_seconds)

    for i, each in enumerate(([run(y, 5.0, 2.0), run(1 - y, 5.0, 2.0)], [run(1 - y, 3.0, 4.0)])):
        row = figures.row_of("mpqa", "model", "ours", each, y, 7)
        (tmp_path / f"{i}.json").write_text(json.dumps({"machine": "two cores", "rows": [asdict(row)]}))
    content = collect.collect([tmp_path / "0.json", tmp_path / "1.json"])
    assert content["machine"] == "two cores"
    assert content["rows"] == [
        {
            "data": "mpqa",
            "model": "model",
            "role": "ours",
            "n_train": 7,
            "n_test": 3,
            "accuracies": [1.0, 0.0],
            "fit_cpu_seconds": 3.0,
            "predict_cpu_seconds": 2.0,
        }
    ]


def test_labels_of_the_figure_do_not_overlap(benchmark):
    draw = benchmark("draw_results")
    points = [draw.Point(model, 10.0, 0.9) for model in draw.MODELS]
    labels = "\n".join(draw.marks(draw.panel_of(points, 0), points))
    heights = sorted({float(y) for y in re.findall(r'<text x="[^"]+" y="([^"]+)"', labels)})
    assert len(heights) == 2 * len(points)
    assert min(np.diff(heights)) >= 14


def test_summary_marks_models_that_are_behind(benchmark, capsys):
    figures, summary = benchmark("_figures"), benchmark("_summary")
    y = np.arange(100) % 2

    def row(data, role, wrong):
        predicted = np.where(np.isin(np.arange(100), wrong), 1 - y, y)
        return figures.row_of(data, role, role, [figures.Run(predicted, None, 1.0, 1.0)], y, 9)

    def behind(data, ours, rival):
        summary.print_summary([row(data, "ours", ours), row(data, "rival", rival), row(data, "column", rival)])
        return "**behind**" in capsys.readouterr().out

    assert behind("mpqa", range(30), range(20))
    assert not behind("mpqa", range(20), range(30))
    assert not behind("mpqa", range(10), range(50, 59))  # one row behind, nineteen rows differ
    assert behind("GunPoint", range(13), range(10))
    assert not behind("GunPoint", range(12), range(10))


def test_inner_splits_use_the_training_half_only(benchmark):
    sets = benchmark("_sets")
    texts = [f"text {i % 80}" for i in range(100)]  # twenty of them twice
    y = np.array([(i % 80) // 20 for i in range(100)])
    y[79] = 9  # a class with one row
    splits = sets.inner_splits(sets.Split(texts, y, ["test"], np.array([7])), 3, 1_000)
    assert len(splits) == 3
    assert len({tuple(rows) for _, rows in splits}) == 3
    for split, rows in splits:
        assert not set(split.X_train) & set(split.X_test)
        assert split.X_test == [texts[i] for i in rows]
        assert sorted(split.X_train + split.X_test) == sorted(texts)
        assert len(set(split.X_test)) == 16
        counts = np.bincount([int(text.split()[1]) // 20 for text in set(split.X_test)])
        assert counts.min() >= 3 and counts.max() <= 5
    ((split, _),) = sets.inner_splits(sets.Split(texts, y, ["test"], np.array([7])), 1, 50)
    assert len(split.X_train) + len(split.X_test) == 50


def test_spans_and_span_f1_by_value(benchmark):
    tagging = benchmark("tagging")
    assert tagging.spans(["B-x", "I-x", "O", "B-y"]) == {(0, 2, "x"), (3, 4, "y")}
    assert tagging.spans(["B-x", "B-x", "I-y"]) == {(0, 1, "x"), (1, 2, "x"), (2, 3, "y")}
    assert tagging.spans(["O", "I-x", "I-x"]) == {(1, 3, "x")}
    assert tagging.span_f1([["B-x", "I-x", "B-y"], ["O"]], [["B-x", "O", "B-y"], ["B-x"]]) == pytest.approx(2 / 5)
    assert tagging.token_accuracy([["a", "b", "c"], ["a"]], [["a", "b", "b"], ["b"]]) == 0.5


def test_features_of_contains_the_token_and_its_neighbours(benchmark):
    first, second = benchmark("_tag_features").features_of(["McGregor", "9:30"])
    assert first["shape"] == "XxXx" and first["suffix 3"] == "gor" and first["lower -1"] == "outside"
    assert first["lower +1"] == "9:30" and first["shape +1"] == "0:0"
    assert second["lower -1"] == "mcgregor" and second["suffix 3 -1"] == "gor"


def test_step_costs_are_found_from_epochs(benchmark):
    costs = benchmark("_costs")
    true = costs.StepCosts(per_batch=2e-3, per_token=3e-6)
    points = [
        {"n_batches": n, "n_steps": n * tokens, "epoch_seconds": n * true.step(tokens)}
        for n, tokens in ((1_000, 200), (100, 2_000), (10, 20_000))
    ]
    found = costs.StepCosts.from_points(points)
    assert (found.per_batch, found.per_token) == pytest.approx((2e-3, 3e-6))


def test_exchange_of_gradients_by_value(benchmark):
    costs = benchmark("_costs")
    network = costs.Network(bytes_per_second=1e6, latency=0.25)
    assert costs.Gradient(n_dense=500).exchange(network, 1, n_rows=7) == 0
    # two processes receive each gradient once, in two messages; many receive it almost twice
    assert costs.Gradient(n_dense=500).exchange(network, 2, n_rows=7) == pytest.approx(2_000 / 1e6 + 0.5)
    assert costs.Gradient(n_dense=500).received_bytes(1_000, 7) == pytest.approx(4_000, rel=2e-3)
    # rows of 3 values with an index: 16 bytes, from each of the other processes
    assert costs.Gradient(n_dense=0, row_width=3).received_bytes(5, n_rows=10) == 4 * 10 * 16
    assert costs.Network.of_gigabits(10).bytes_per_second == 1.25e9
    training = costs.Training(
        costs.StepCosts(0, 1), costs.Gradient(0, 3), 100, 10, tokens=8, distinct=0.5, vocab_size=9
    )
    assert [training.n_embedding_rows(n) for n in (1, 2, 5)] == [9, 9, 8]


def test_processes_help_until_the_exchange_takes_the_time(benchmark):
    costs = benchmark("_costs")

    def training(batch_size):
        return costs.Training(costs.StepCosts(1e-3, 1e-6), costs.Gradient(250_000), 10_000_000, batch_size, tokens=100)

    slow, fast = costs.Network.of_gigabits(1), costs.Network.of_gigabits(25)
    few, many = training(1_000), training(100_000)
    assert few.epoch(slow, 1) == pytest.approx(10_000 * 0.101)
    assert few.efficiency(slow, 1) == 1
    # a message of one megabyte takes 8 ms in each direction
    assert few.epoch(slow, 2) == pytest.approx(10_000 * (0.051 + 0.008 + 2 * 50e-6))
    assert few.max_processes(slow) < few.max_processes(fast) < many.max_processes(fast)
    assert many.efficiency(fast, many.max_processes(fast)) >= 0.5 > many.efficiency(fast, 2 * many.max_processes(fast))
