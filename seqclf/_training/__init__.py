"""Training: the loop (skorch, privately), what happens around it, and where it runs."""
