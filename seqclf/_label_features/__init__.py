"""Features fitted to the targets before the network trains; training rows get theirs out of fold."""
