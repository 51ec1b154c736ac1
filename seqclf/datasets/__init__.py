"""Data sets: ``load_*`` reads installed files, ``fetch_*`` downloads once, ``make_*`` generates from a seed."""

from seqclf.datasets._docstrings import load_docstrings
from seqclf.datasets._imdb import fetch_imdb
from seqclf.datasets._synthetic import make_order_reviews, make_order_series

__all__ = ["fetch_imdb", "load_docstrings", "make_order_reviews", "make_order_series"]
