"""What a fitted model knows of X: how rows are read and encoded. Nothing here imports scikit-learn or torch."""
