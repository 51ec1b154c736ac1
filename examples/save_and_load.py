"""
Saving a model and loading it elsewhere
=======================================

A fitted model can be saved in three ways: as a model file, which is safe to load; as a pickle, which contains
everything and runs code when it is loaded; or with skops, which also saves pipelines. For prediction alone,
`load_predictor` reads the model file without torch and scikit-learn.
"""

# %%
# A small model.
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import joblib
import numpy as np

from seqclf import RNNTextClassifier, datasets, load_model, load_predictor, save_model

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

X, y = datasets.make_order_reviews(200 if QUICK else 600, random_state=0)
classifier = RNNTextClassifier(max_epochs=15, random_state=0).fit(X, y)
print(f"accuracy on its own texts {classifier.score(X, y):.3f}")
temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)

# %%
# A model file is a folder, or a single file if the name ends in .zip. It contains numbers and texts and nothing that
# could be run, so it can come from anyone: a damaged or malformed file raises a :class:`~seqclf.ModelFileError`.
save_model(classifier, folder / "reviews.zip")
print(f"reviews.zip: {(folder / 'reviews.zip').stat().st_size / 1e3:.0f} kB")

loaded = load_model(folder / "reviews.zip")
np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
print("the loaded estimator predicts the same, to the last bit")

# %%
# For prediction, the predictor is enough. It imports numpy and safetensors, and no other library, as a separate process
# shows.
script = f"""
import sys
from seqclf import load_predictor
predictor = load_predictor({str(folder / "reviews.zip")!r})
print("the predictor predicts", predictor.predict({X[:2]!r}).tolist())
print("libraries:", [name for name in ("torch", "sklearn", "scipy", "safetensors", "numpy") if name in sys.modules])
"""
subprocess.run([sys.executable, "-c", script], check=True)
np.testing.assert_array_equal(load_predictor(folder / "reviews.zip").predict_proba(X), classifier.predict_proba(X))

# %%
# joblib and pickle save the content of a model file and the state of the optimiser, which `partial_fit` needs to
# continue. Loading them can run code: load only files that you trust.
joblib.dump(classifier, folder / "model.joblib")
unpickled = joblib.load(folder / "model.joblib")
np.testing.assert_array_equal(unpickled.predict_proba(X), classifier.predict_proba(X))
print(f"model.joblib: {(folder / 'model.joblib').stat().st_size / 1e3:.0f} kB")

# %%
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
