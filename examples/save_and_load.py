"""
Saving a model and loading it elsewhere
=======================================

A fitted classifier is one file. It holds the weights, the vocabulary and the training history, but no optimiser and no
training data; a model trained on a GPU loads on a machine without one.

Like every pickle the file runs code when it is loaded: open only files you trust.
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

from seqclf import RNNTextClassifier, datasets

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

X, y = datasets.make_order_reviews(200 if QUICK else 600, random_state=0)
classifier = RNNTextClassifier(max_epochs=15, random_state=0).fit(X, y)
print(f"accuracy on its own texts {classifier.score(X, y):.3f}")

# %%
# One file, written with joblib.
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "model.joblib"
joblib.dump(classifier, path)
print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB for {classifier.n_parameters_:,} parameters")

# %%
# Another process reads it and gives the same answers, to the last bit.
answers = Path(folder.name) / "answers.npy"
script = f"""
import joblib, numpy as np
from seqclf import datasets
X, _ = datasets.make_order_reviews({len(X)}, random_state=0)
np.save({str(answers)!r}, joblib.load({str(path)!r}).predict_proba(X))
"""
subprocess.run([sys.executable, "-c", script], check=True)
np.testing.assert_array_equal(np.load(answers), classifier.predict_proba(X))
print("a fresh process predicts the same")
folder.cleanup()
