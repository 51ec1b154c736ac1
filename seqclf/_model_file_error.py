"""The error for a saved model that can't be loaded."""


class ModelFileError(ValueError):
    """A saved model can't be loaded: it is damaged, was saved by a newer version, or is not a model.

    The message names the file and says what is wrong with it. A path that doesn't exist raises `FileNotFoundError`
    instead.
    """
