"""Validation of user input: it is checked and converted to the internal form."""
