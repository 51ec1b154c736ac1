"""Prediction with a trained network, without torch: its configuration, its weights as arrays, and its outputs.

Each operation has a file with the call of the compiled library and the same operation in plain numpy. float32 arrays go
to the library, whose result for a row has the same bits in any batch. Plain numpy computes in float64: its matrix
products depend on the number of rows, and in float32 the differences would be too large.
"""
