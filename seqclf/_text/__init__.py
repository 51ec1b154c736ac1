"""Splitting texts into tokens and indexing these. Nothing here depends on labels."""
