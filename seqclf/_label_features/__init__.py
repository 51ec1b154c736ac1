"""What is learned from the targets before the network trains, out of fold for the rows that train."""
