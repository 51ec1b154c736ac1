"""A trained network without torch: its configuration, its weights as arrays, and what it gives for sequences.

Each operation has a file, with the call of the compiled library and the same in plain numpy. Arrays of float32 go to
the library, which gives a row the same bits in any batch. In plain numpy everything is computed in float64: there
products of matrices depend on the number of rows, in float32 by more than can be accepted.
"""
