"""The compiled library: how it is found and loaded, its structures and threads. Nothing here imports torch."""
