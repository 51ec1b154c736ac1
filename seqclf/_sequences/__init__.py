"""The folder in which development versions from before 0.1.0 had what they pickled; nothing else is here."""
