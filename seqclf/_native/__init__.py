"""The compiled library: how it is found, loaded and called, and what it has. Nothing here imports torch."""
