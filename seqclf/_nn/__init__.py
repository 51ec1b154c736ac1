"""Layers and the network, in plain torch: tensors in, tensors out."""
