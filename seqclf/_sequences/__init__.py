"""Kept for pickles of development versions from before 0.1.0, which name modules of this package."""
