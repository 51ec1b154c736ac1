"""The inner form of all sequences: no padding, numpy alone."""
