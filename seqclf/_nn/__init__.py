"""The layers and the network, as plain torch modules on tensors."""
