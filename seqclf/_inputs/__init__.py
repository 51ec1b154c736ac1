"""Encoders: validate and encode X for a fitted model. Nothing here imports scikit-learn or torch."""
