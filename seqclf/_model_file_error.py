"""The error for a saved model that cannot be read."""


class ModelFileError(ValueError):
    """A saved model can't be read: it is damaged, too new, or no model at all.

    The message names the file and says what is wrong with it. A path that doesn't exist gives `FileNotFoundError`.
    """
