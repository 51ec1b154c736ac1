"""Training: the loop (a private use of skorch), callbacks, optimisers, checkpoints and devices."""
