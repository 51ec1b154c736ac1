"""From texts to tokens; it knows no labels."""
