"""`SKOPS_TRUSTED_TYPES`: what skops may make of a saved pipeline, besides the types that it knows."""

#: The types of this package that :func:`skops.io.load` has to be told of as `trusted`, and MLflow as
#: `skops_trusted_types`. What they hold are plain values and arrays, which they check when they are loaded.
SKOPS_TRUSTED_TYPES = (
    "seqclf._rnn_classifier.RNNClassifier",
    "seqclf._rnn_regressor.RNNRegressor",
    "seqclf._rnn_tagger.RNNTagger",
    "seqclf._rnn_text_classifier.RNNTextClassifier",
    "seqclf._rnn_text_regressor.RNNTextRegressor",
    "seqclf._sequence_padder.SequencePadder",
    "seqclf._text_tokenizer.TextTokenizer",
)
