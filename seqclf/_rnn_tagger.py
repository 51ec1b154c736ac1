"""`RNNTagger`: token lists, token ids or series in, a label for each step out."""

import os
from typing import Any

import numpy as np

from seqclf._base_tagger import BaseRNNTagger


class RNNTagger(BaseRNNTagger):
    """Label every step of sequences with a recurrent network.

    Sequences go straight in: lists of tokens (parts of speech, names, slots), token ids, or numeric series (activities
    in the stream of a sensor). They are embedded or standardised, read by an RNN, LSTM, GRU or MGU, and each step is
    classified by one linear layer. For tokens, a linear model of the token and its neighbours is fitted first; the
    network starts as that model, and learns what it misses. ``wide=False`` is the plain network of the textbooks.

    Parameters
    ----------
    tokenizer : transformer or None, default=None
        Turns token lists into token ids, one for each token; it is cloned, and fitted in `fit`. None is
        ``TextTokenizer(lowercase=False)``. With a class other than that the linear model sees no spelling.
        Not used where X holds token ids or series.
    channels_first : bool, default=False
        Read arrays as (n, channels, steps), rows of a list as (channels, steps): the order of aeon, sktime and tsai.
        Read in the wrong order, a series is a few steps of many channels: `fit` warns where that is likely.
    missing : {"raise", "interpolate", "forward"}, default="raise"
        What to do with NaN: refuse it, draw a line between the neighbours in its channel, or repeat the last value.
        "interpolate" looks ahead, which is more accurate for whole series; "forward" suits early classification.
    scale : bool, default=True
        Standardise each channel to a mean of 0 and a standard deviation of 1 over all steps of the training rows.
        Networks learn badly from numbers far from that; switch it off for data that are scaled already.
    cell : {"rnn", "lstm", "gru", "mgu"}, default="lstm"
        The recurrence: the simple (Elman) network, long short-term memory, gated recurrent unit, or minimal gated unit
        (the last two in the ``reset_after`` form). A step costs 1, 4, 3 and 2 matrix products; the simple one learns
        little from more than some ten steps back, and on a GPU "mgu" is slow.
    units : int or tuple of int, default=32
        Width of the hidden state, in each direction; a tuple gives one width per layer. Cost grows with its square.
    n_layers : int, default=1
        Layers on top of one another. With a tuple for `units` its length decides, and `n_layers` is left at 1.
    bidirectional : bool, default=True
        Read every sequence from both ends with weights of their own; twice the cost.
    embedding_dim : int or None, default=32
        Width of the learned token vectors. None feeds one-hot vectors, so that each token has a row of its own in the
        input weights.
    activation : {"tanh", "relu", "softsign"}, default="tanh"
        Non-linearity of the state; gates are always sigmoids. "softsign", ``x / (1 + |x|)``, saturates more slowly than
        "tanh" [5]_; "relu" does not saturate, so that states can grow without bound. On a GPU "softsign" is slow, and
        "relu" with all cells but "rnn" too.
    conv_filters : int or tuple of int, default=32
        Filters of the layers of convolution beside the recurrent ones, for series only. They find shapes wherever in a
        series they stand, which a recurrent layer learns from many more rows. Three layers of so many, or a tuple with
        the number of each layer. Cost grows with its square; 0 omits the layers.
    wide : bool, default=True
        Fit a linear model of tokens first, and let the network learn what it misses; see the notes. This is what makes
        few rows and few epochs suffice. It adds some ten seconds for 200,000 tokens of 17 classes. Not used for series.
    transitions : {"bio"} or None, default=None
        Which sequences of labels are predicted: any, or only those that are legal where labels are "O", "B-kind" and
        "I-kind": then "I-kind" follows only "B-kind" or "I-kind". The most probable one is found [4]_.
    dropout : float in [0, 1), default=0.5
        Share of the features dropped in training between embedding, layers and the last one: one mask per sequence, the
        same at all of its steps. 0 learns faster, and overfits sooner.
    recurrent_dropout : float in [0, 1), default=0.0
        Share of the recurrent weights dropped in training, drawn once per batch (DropConnect, as in AWD-LSTM).
    token_dropout : float in [0, 1), default=0.2
        Share of the tokens replaced by the unknown token in training, which trains that as well.
    weight_decay : float, default=0.0
        L2 penalty on the weights, those of the linear model's scores too, not on the biases; with "adamw" decoupled
        from the gradient.
    l1 : float, default=0.0
        Strength of an L1 penalty on the weight matrices.
    max_grad_norm : float or None, default=1.0
        The gradient of a batch is scaled down to this norm where it is larger; None leaves it as it is, which lets
        long sequences diverge.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the losses; "balanced" makes every class count the same. A class that a dict lacks
        weighs 1.
    optimizer : {"adam", "adamw", "rmsprop", "adagrad", "sgd", "nesterov"}, default="adam"
        How gradients become steps. "sgd" is without momentum, "nesterov" has a momentum of 0.9; both want a larger
        learning rate than the others.
    learning_rate : float, default=5e-3
        Size of a step; the first thing to lower where the loss diverges.
    schedule : {"constant", "one_cycle"}, default="one_cycle"
        How the learning rate goes: it stays, or it rises to `learning_rate` in the first fifth of all steps and falls
        to nothing by the end of `max_epochs`, which suits few epochs without early stopping. With `patience`,
        "constant" is the better partner: an early stop would cut the fall off.
    batch_size : int, default=32
        The largest number of sequences per step of the optimiser. Larger is faster per epoch and needs more epochs.
    max_epochs : int or "auto", default="auto"
        The largest number of passes over the training data. "auto" makes as many as come to 1,500 steps of the
        optimiser, but reads no more than 20 million tokens; at least 3 and at most 10. With ``wide=False`` 1,500 is
        2,000 and 10 is 30; of series these numbers are 1,500, 1.5 million, 5 and 200.
    warm_start : bool, default=False
        Let `fit` train the fitted network further, with the vocabulary or scaling, linear model and labels that it has.
        What the network reads of a linear model in training is learned from the new rows all the same, cross-fitted.
    checkpoint_dir : str or path-like, default=None
        A folder in which `fit` writes its state after each epoch. After a kill, the same fit of the same data goes on
        from there and ends as if it had run through, to the bit with one number of threads. See the notes of `fit`.
    patience : int or None, default=None
        Stop after so many epochs without a lower validation loss, and put the weights of the best epoch back. None
        trains for `max_epochs` on all rows, and holds none out.
    tol : float, default=1e-4
        By how much a loss must fall (absolute) to count as lower.
    validation_fraction : float in (0, 1), default=0.1
        Share of the rows held out for early stopping; with `groups` in `fit`, whole groups that come to about this
        share. They don't train the network, and nothing else is learned from their targets. Not used where `fit` is
        given X_val.
    random_state : int, RandomState instance or None, default=None
        Seed of the weights, the split, the order of the rows and the dropout masks. With an integer, two fits on one
        machine with one number of threads are equal to the bit.
    device : str, default="auto"
        Where to compute: "cpu", "cuda", "cuda:1"; "auto" takes a CUDA GPU where there is one.
    n_threads : int or None, default=None
        Threads that fit and predict compute on. None takes torch's number (``torch.get_num_threads()``), or that of
        the processors where torch is not loaded; 1 is best in grid searches that run in parallel.
    verbose : int, default=0
        1 prints a line per epoch, 2 shows a bar inside each epoch as well.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    history_ : list of dict
        One dict per epoch: ``epoch`` (from 1), ``train_loss``, ``train_score``, ``valid_loss``, ``valid_score`` (these
        two only with rows to validate on), ``seconds`` and ``tokens``, of series ``steps`` (how many were read in
        training). Scores are accuracies over steps, before `transitions`. Those on training data are taken while
        training, with dropout on.
    best_epoch_ : int
        The epoch whose weights are kept; the last one without early stopping.
    n_iter_ : int
        Number of epochs run.
    network_ : torch.nn.Module
        The trained network. It is called with one ``seqclf._nn.sequence_batch.SequenceBatch``, and gives logits for
        each step. How to read its weights is in the notes of :meth:`hidden_states`.
    n_parameters_ : int
        Number of trained weights.
    tokenizer_ : transformer
        The fitted tokenizer; only where X held tokens.
    vocab_size_ : int
        Number of token ids the network knows, padding (0) and unknown (1) included; absent where X held series.
    wide_ : object
        The linear model, a ``LinearScores``: ``feature_names()`` names what it reads, ``coef_`` of shape (n_features,
        n_classes), for two classes (n_features, 1), holds the weights. Absent with ``wide=False``, and of series.
    input_kind_ : {"tokens", "ids"}
        What X held in fit; absent where it held series.
    n_channels_in_ : int
        Numbers per step of the series seen in fit; absent where X held tokens or ids.
    channel_mean_, channel_scale_ : ndarray of shape (n_channels_in_,)
        What is subtracted from each channel of series, and what it is then divided by.

    See Also
    --------
    RNNTextClassifier : One class for each text.
    RNNClassifier : One class for each series.

    Notes
    -----
    X may be a list of lists of tokens (str); a list of lists or an array of token ids, which are whole numbers from 1
    on; or series, in any form that :class:`RNNClassifier` takes: numbers are ids where all of a row's are of a whole
    number type and there is one a step, else series. A text (str) has no steps: split it first.

    Nothing is padded: no step is computed, and none counts, that is not in the data; y has no labels for steps of
    padding in X. Sequences are read from both ends [3]_. The labels of one don't depend on the sequences with it.

    Series of whole numbers in one channel are told from token ids by their type: hand in ``X.astype(float)``.

    The linear model reads the features that taggers usually have [1]_: of the token its spelling, shape, beginnings and
    ends of up to four characters, so that it says something of words that were not in training; of the two tokens
    before and after their spelling, of the nearest ones their ends and shape too; and pairs of tokens. Its loss is the
    squared hinge, how closely it fits is chosen out of fold. A training row gets its scores from models that were
    fitted without its fold (of five; rows of a group, or without groups equal rows, are in one unless most rows repeat
    others), so that it never sees its own labels. The scores become logits by a temperature and a share of the prior,
    fitted out of fold. The network reads those of every token as numbers next to its embedding, and its own logits are
    added to them [2]_.

    Capitals say much about names, so that the default tokenizer keeps them. ``tokenizer=TextTokenizer()`` makes all
    letters small; ``TextTokenizer(lowercase=False, min_frequency=2)`` keeps capitals and has other settings.

    The class is no classifier in scikit-learn's sense, whose labels are one for each row: `GridSearchCV` and
    `cross_val_predict` split its rows without strata. `score` is the share of the steps that are right.
    ``cross_val_predict(method="predict_proba")`` fails inside scikit-learn, which makes one array of all rows; the
    examples have a loop that does the same.

    References
    ----------
    .. [1] A. Ratnaparkhi, "A maximum entropy model for part-of-speech tagging", EMNLP 1996.
    .. [2] H.-T. Cheng et al., "Wide & deep learning for recommender systems", DLRS 2016; D. H. Wolpert, "Stacked
       generalization", Neural Networks 5 (1992).
    .. [3] A. Graves, J. Schmidhuber, "Framewise phoneme classification with bidirectional LSTM and other neural network
       architectures", Neural Networks 18 (2005).
    .. [4] A. J. Viterbi, "Error bounds for convolutional codes and an asymptotically optimum decoding algorithm", IEEE
       Transactions on Information Theory 13 (1967).
    .. [5] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010.

    Examples
    --------
    >>> from seqclf import RNNTagger
    >>> sentences = [["Ann", "sleeps"], ["cats", "sleep"], ["Bob", "eats", "fish"]] * 20
    >>> tags = [["NAME", "VERB"], ["NOUN", "VERB"], ["NAME", "VERB", "NOUN"]] * 20
    >>> tagger = RNNTagger(units=8, batch_size=8, random_state=0).fit(sentences, tags)
    >>> for labels in tagger.predict([["Bob", "sleeps"], ["Ann", "eats", "cats"]]):
    ...     print(labels.tolist())
    ['NAME', 'VERB']
    ['NAME', 'VERB', 'NOUN']

    Probabilities of rows that the tagger was not fitted on, by cross-validation:

    >>> from sklearn.base import clone
    >>> from sklearn.model_selection import KFold
    >>> probabilities = [None] * len(sentences)
    >>> for train, test in KFold(2).split(sentences):
    ...     fitted = clone(tagger).fit([sentences[i] for i in train], [tags[i] for i in train])
    ...     for i, rows in zip(test, fitted.predict_proba([sentences[i] for i in test])):
    ...         probabilities[i] = rows
    >>> [rows.shape for rows in probabilities[:3]]
    [(2, 3), (2, 3), (3, 3)]
    """

    def __init__(
        self,
        tokenizer: Any = None,
        *,
        channels_first: bool = False,
        missing: str = "raise",
        scale: bool = True,
        cell: str = "lstm",
        units: int | tuple[int, ...] = 32,
        n_layers: int = 1,
        bidirectional: bool = True,
        embedding_dim: int | None = 32,
        activation: str = "tanh",
        conv_filters: int | tuple[int, ...] = 32,
        wide: bool = True,
        transitions: str | None = None,
        dropout: float = 0.5,
        recurrent_dropout: float = 0.0,
        token_dropout: float = 0.2,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        max_grad_norm: float | None = 1.0,
        class_weight: dict[Any, float] | str | None = None,
        optimizer: str = "adam",
        learning_rate: float = 5e-3,
        schedule: str = "one_cycle",
        batch_size: int = 32,
        max_epochs: int | str = "auto",
        warm_start: bool = False,
        checkpoint_dir: str | os.PathLike[str] | None = None,
        patience: int | None = None,
        tol: float = 1e-4,
        validation_fraction: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        n_threads: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.tokenizer = tokenizer
        self.channels_first = channels_first
        self.missing = missing
        self.scale = scale
        self.cell = cell
        self.units = units
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.embedding_dim = embedding_dim
        self.activation = activation
        self.conv_filters = conv_filters
        self.wide = wide
        self.transitions = transitions
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.token_dropout = token_dropout
        self.weight_decay = weight_decay
        self.l1 = l1
        self.max_grad_norm = max_grad_norm
        self.class_weight = class_weight
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.warm_start = warm_start
        self.checkpoint_dir = checkpoint_dir
        self.patience = patience
        self.tol = tol
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.device = device
        self.n_threads = n_threads
        self.verbose = verbose
