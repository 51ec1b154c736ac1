"""
Saving a model and loading it elsewhere
=======================================

A fitted model can be saved in three ways: as a model file, which is safe to load; as a pickle, which contains
everything and runs code when it is loaded; or with skops, which also saves pipelines. For prediction alone,
:func:`~seqclf.load_predictor` reads a model file without torch and scikit-learn.
"""

# %%
# A small model
# -------------
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np

from seqclf import RNNTextClassifier, datasets, load_model, save_model

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

X, y = datasets.make_order_reviews(200 if QUICK else 600, random_state=0)
X_new, y_new = datasets.make_order_reviews(200, random_state=1)
classifier = RNNTextClassifier(max_epochs=15, random_state=0).fit(X, y)
print(f"accuracy on new reviews: {classifier.score(X_new, y_new):.3f}")

# %%
# A model file
# ------------
# A model file is a folder, or a single file if the name ends in .zip. It contains numbers and texts and nothing that
# could be run, so loading it is safe: a damaged or malformed file raises a :class:`~seqclf.ModelFileError`.
temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)
save_model(classifier, folder / "reviews")
save_model(classifier, folder / "reviews.zip")
for path in sorted((folder / "reviews").iterdir()):
    print(f"{path.name:<20} {path.stat().st_size:>8,} bytes")

# %%
# The loaded estimator has the same predictions, to the last bit. It can be scored, inspected and fitted again.
loaded = load_model(folder / "reviews.zip")
np.testing.assert_array_equal(loaded.predict_proba(X_new), classifier.predict_proba(X_new))

# %%
# A pickle
# --------
# joblib and pickle also save the state of the optimiser, from which ``partial_fit`` continues; after ``load_model`` it
# continues with a new state. Loading a pickle can run code, so load only files that you trust.
joblib.dump(classifier, folder / "reviews.joblib")
for name in ("reviews.zip", "reviews.joblib"):
    print(f"{name:<20} {(folder / name).stat().st_size:>8,} bytes")

# %%
# Time to the first prediction
# ----------------------------
# For prediction alone, ``load_predictor`` is enough. Of the libraries below it imports only numpy and safetensors. Each
# way of loading runs in a new process, which reports what it has imported and how long it took.
script = """
import json, sys, time
start = time.perf_counter()
{imports}
model = {load}
first = model.predict_proba([sys.argv[2]])[0].tolist()
seconds = time.perf_counter() - start
libraries = [name for name in ("numpy", "safetensors", "scipy", "sklearn", "torch") if name in sys.modules]
print(json.dumps({{"first": first, "seconds": seconds, "libraries": libraries}}))
"""
ways = {
    "load_predictor": ("from seqclf import load_predictor", "load_predictor(sys.argv[1] + '.zip')"),
    "load_model": ("from seqclf import load_model", "load_model(sys.argv[1] + '.zip')"),
    "joblib.load": ("import joblib", "joblib.load(sys.argv[1] + '.joblib')"),
}


def first_prediction(way):
    """Load the model in a new process, predict one text, and return the report."""
    imports, load = ways[way]
    command = [sys.executable, "-c", script.format(imports=imports, load=load), str(folder / "reviews"), X_new[0]]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


reports = {
    way: min((first_prediction(way) for _ in range(1 if QUICK else 3)), key=lambda r: r["seconds"]) for way in ways
}
expected = classifier.predict_proba(X_new[:1])[0]
for report in reports.values():
    np.testing.assert_array_equal(report["first"], expected)

figure, ax = plt.subplots(figsize=(7, 2.4), layout="constrained")
bars = ax.barh(list(ways), [report["seconds"] for report in reports.values()], height=0.6)
for bar, report in zip(bars, reports.values(), strict=True):
    label = f"{report['seconds']:.1f} s: {', '.join(report['libraries'])}"
    ax.annotate(
        label, (bar.get_width(), bar.get_y() + bar.get_height() / 2), (4, 0), textcoords="offset points", va="center"
    )
ax.invert_yaxis()
ax.set_xlim(0, 2 * ax.get_xlim()[1])
ax.set(xlabel="seconds from the first import to the first prediction")
plt.show()

# %%
# All three processes predict the same probabilities, to the last bit. Most of the time is spent on imports. None of
# them imports torch, which is needed for a fit and not for a prediction on the CPU.
#
# Pipelines
# ---------
# skops saves a pipeline, and loads only trusted types. Those of this package are one constant, which MLflow accepts
# too::
#
#     import skops.io
#     from seqclf import SKOPS_TRUSTED_TYPES
#
#     skops.io.dump(pipeline, "pipeline.skops")
#     pipeline = skops.io.load("pipeline.skops", trusted=list(SKOPS_TRUSTED_TYPES))
#
#     import mlflow.sklearn
#
#     mlflow.sklearn.log_model(pipeline, name="model", skops_trusted_types=list(SKOPS_TRUSTED_TYPES))
temporary.cleanup()
