"""`SKOPS_TRUSTED_TYPES`: the types of this package that skops has to trust to load a pipeline."""

#: The types of this package to pass to :func:`skops.io.load` as `trusted`, and to MLflow as `skops_trusted_types`.
#: Saved objects of these types contain only plain values and arrays, which are checked when they are loaded.
SKOPS_TRUSTED_TYPES = (
    "seqclf._rnn_classifier.RNNClassifier",
    "seqclf._rnn_regressor.RNNRegressor",
    "seqclf._rnn_tagger.RNNTagger",
    "seqclf._rnn_text_classifier.RNNTextClassifier",
    "seqclf._rnn_text_regressor.RNNTextRegressor",
    "seqclf._sequence_padder.SequencePadder",
    "seqclf._text_tokenizer.TextTokenizer",
)
