"""`RNNTagger`: one label per step of token lists, token ids or series."""

import os
from typing import Any

import numpy as np

from seqclf._base_tagger import BaseRNNTagger


class RNNTagger(BaseRNNTagger):
    """Label every step of sequences with a recurrent network.

    X holds lists of tokens (to find parts of speech, names or slots), token ids, or numeric series (to find activities
    in sensor data). They are embedded or standardised, passed through an RNN, LSTM, GRU or MGU, and each step is
    classified by a linear layer. For tokens, a linear model of the token and its neighbours is fitted first; the
    network starts from it and learns what the linear model misses. ``wide=False`` gives the plain textbook network (for
    series, with ``conv_filters=0`` too).

    Parameters
    ----------
    tokenizer : transformer or None, default=None
        Turns lists of tokens into token ids, one per token. It is cloned, and the clone is fitted in `fit`. None means
        ``TextTokenizer(lowercase=False)``. Not used if X holds token ids or series. See the parameter guide.
    channels_first : bool, default=False
        Read arrays as (n, channels, steps) and rows of a list as (channels, steps), the order of aeon, sktime and tsai.
        In the wrong order a series becomes a few steps of many channels; `fit` warns if that is likely.
    missing : {"raise", "interpolate", "forward"}, default="raise"
        What to do with NaN: raise an error, interpolate linearly between the neighbours in the channel, or repeat the
        last value. At the start both use the next value, in a channel without values the mean of the training rows.
        "interpolate" uses later values: more accurate for whole series. "forward" suits early classification.
    scale : bool, default=True
        Standardise each channel to mean 0 and standard deviation 1 over all steps of the training rows. Networks train
        badly on values far from that range; turn it off for data that are scaled already.
    cell : {"rnn", "lstm", "gru", "mgu"}, default="lstm"
        The recurrent cell: simple (Elman) network, long short-term memory, gated recurrent unit, or minimal gated unit.
        They cost 1, 4, 3 and 2 matrix products per step. "rnn" learns few dependencies that span more than about ten
        steps. See the parameter guide.
    units : int or tuple of int, default=32
        Width of the hidden state in each direction; a tuple gives the width of each layer. Cost grows with the square
        of the width.
    n_layers : int, default=1
        Number of stacked recurrent layers. If `units` is a tuple, its length is the number of layers, and `n_layers`
        must be 1 or equal to it.
    bidirectional : bool, default=True
        Also process every sequence from the end to the start, with separate weights. This doubles the cost.
    embedding_dim : int or None, default=32
        Width of the learned token vectors; memory grows in proportion. None feeds the network one-hot vectors, so that
        each token has its own input weights.
    activation : {"tanh", "relu", "softsign"}, default="tanh"
        Non-linearity of the state; gates are always sigmoids. "softsign", ``x / (1 + |x|)``, saturates more slowly than
        "tanh" [5]_. "relu" does not saturate, so states can grow without bound. On a GPU, "softsign" is slow, and so is
        "relu" with any cell but "rnn". See the parameter guide.
    conv_filters : int or tuple of int, default=32
        Number of filters of each of the three convolutional layers next to the recurrent ones, or a tuple with one
        number per layer; for series only. They find patterns anywhere in a series. Cost grows with the square of the
        number; 0 means no such layers. See the parameter guide.
    wide : bool, default=True
        Fit a linear model of tokens first and let the network learn what that model misses (see Notes). With it, few
        rows and few epochs are enough. It adds about ten seconds to a fit on 200,000 tokens of 17 classes. Not used for
        series.
    transitions : {"bio"} or None, default=None
        Which label sequences can be predicted. None: any. "bio": only valid sequences of "O", "B-x" and "I-x", in which
        "I-x" follows only "B-x" or "I-x"; the most probable one is found [4]_.
    dropout : float in [0, 1), default=0.5
        Fraction of the features set to 0 in training between embedding, layers and output: one mask per sequence, the
        same at all of its steps. With 0 the network learns faster and overfits sooner.
    recurrent_dropout : float in [0, 1), default=0.0
        Fraction of the recurrent weights set to 0 in training; they are drawn once per batch (DropConnect, as in
        AWD-LSTM).
    token_dropout : float in [0, 1), default=0.2
        Fraction of the tokens replaced by the unknown token in training, which also trains the vector of that token.
    weight_decay : float, default=0.0
        Strength of an L2 penalty on the weights, including those that scale the linear model's scores, but not on the
        biases. With "adamw" it is decoupled from the gradient.
    l1 : float, default=0.0
        Strength of an L1 penalty on the weight matrices.
    max_grad_norm : float or None, default=1.0
        Maximum norm of the gradient of a batch; larger gradients are scaled down to it. None turns this off, and long
        sequences can then make the training diverge.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the losses. "balanced" gives every class the same total weight (an error in
        `partial_fit`, which does not see all rows); a class that is missing from a dict has weight 1.
    optimizer : {"adam", "adamw", "rmsprop", "adagrad", "sgd", "nesterov"}, default="adam"
        The update rule. "sgd" has no momentum, "nesterov" a momentum of 0.9; both need a larger learning rate than the
        others.
    learning_rate : float, default=5e-3
        Step size of the optimiser, and the first thing to lower if the loss diverges.
    schedule : {"constant", "one_cycle"}, default="one_cycle"
        Learning rate over time: constant, or rising to `learning_rate` in the first fifth of all updates and falling to
        zero at the end of `max_epochs`, which suits few epochs. With `patience`, prefer "constant". See the parameter
        guide.
    batch_size : int, default=32
        Maximum number of sequences per update. Larger batches make an epoch faster, but more epochs are needed.
    max_epochs : int or "auto", default="auto"
        Maximum number of passes over the training data. "auto" is the number for 1,500 updates, or for 20 million
        tokens if that is less, kept within 3 to 10; the limits differ with ``wide=False`` and for series. See the
        parameter guide.
    warm_start : bool, default=False
        Let `fit` continue to train the fitted network, with the same vocabulary or scaling, linear model and labels.
        See the parameter guide.
    checkpoint_dir : str or path-like, default=None
        Folder in which `fit` saves its state after each epoch; None saves nothing. If the process is killed, the same
        fit on the same data continues from there, with the same result (bit for bit with the same number of threads).
        See the notes of `fit`.
    patience : int or None, default=None
        Stop after this many epochs without a lower validation loss, and restore the weights of the best epoch. None
        trains for `max_epochs` epochs and holds no rows out. See the parameter guide.
    tol : float, default=1e-4
        Minimum absolute decrease of the validation loss that `patience` counts as an improvement.
    validation_fraction : float in (0, 1), default=0.1
        Fraction of the rows held out for early stopping. Nothing is learned from the targets of these rows. Not used
        without `patience`, or if `fit` gets X_val. See the parameter guide.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, the validation split, the order of the rows and dropout. With an integer, two fits
        on the same machine with the same number of threads are equal bit for bit.
    device : str, default="auto"
        Where to compute: "cpu", "cuda", "cuda:1"; "auto" uses a CUDA GPU if there is one, else the CPU. Without any
        CUDA GPU, "cuda" warns and uses the CPU.
    n_threads : int or None, default=None
        Number of threads of fit and predict. None uses torch's setting (``torch.get_num_threads()``); if torch is not
        loaded, OMP_NUM_THREADS or the number of processors; in worker processes of a parallel search, their part of the
        processors. ``threadpoolctl.threadpool_limits`` lowers the number.
    verbose : int, default=0
        1 prints a line per epoch; 2 also shows a progress bar in each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    history_ : list of dict
        One dict per epoch: ``epoch`` (from 1), ``train_loss``, ``train_score``, ``valid_loss``, ``valid_score`` (these
        two only with a validation set), ``seconds`` and ``tokens``, for series ``steps`` (how many were trained on).
        Scores are accuracies over steps, without `transitions`. Training scores are measured during training, with
        dropout on.
    best_epoch_ : int
        The epoch whose weights are used, counted from 1; without early stopping the last one.
    n_iter_ : int
        Number of epochs run.
    network_ : torch.nn.Module
        The trained network. It is called with one ``seqclf._nn.sequence_batch.SequenceBatch`` and returns logits for
        each step. The notes of `hidden_states` describe its weights.
    n_parameters_ : int
        Number of trained weights of the network.
    tokenizer_ : transformer
        The fitted tokenizer; present only if X held tokens.
    vocab_size_ : int
        Number of token ids of the network, including padding (0) and unknown (1); absent if X held series.
    wide_ : object
        The linear model, a ``LinearScores``: ``feature_names()`` names its features, ``coef_`` holds the weights, of
        shape (n_features, n_classes). For two classes it is (n_features, 1), and positive weights are evidence for
        ``classes_[1]``. Absent with ``wide=False``, and for series.
    input_kind_ : {"tokens", "ids"}
        What X held in fit; absent if it held series.
    n_channels_in_ : int
        Number of channels of the series seen in fit; absent if X held tokens or ids.
    channel_mean_, channel_scale_ : ndarray of shape (`n_channels_in_`,)
        Offset subtracted from each channel of series, and scale that it is then divided by.

    See Also
    --------
    RNNTextClassifier : One class per text.
    RNNClassifier : One class per series.

    Notes
    -----
    The parameter guide is the file ``docs/parameters.md`` of the source distribution.

    X can be a list of lists of tokens (str); a list of lists or an array of token ids, which are integers from 1 on; or
    series, in any form that :class:`RNNClassifier` accepts. Numbers are ids if all values of a row have an integer type
    and there is one value per step; otherwise they are series. A text (str) has no steps: split it first.

    Padding is neither computed nor counted. If X is padded, y has no labels for the padding steps. By default sequences
    are processed in both directions [3]_. The labels of a sequence do not depend on the other sequences.

    Series of integers in one channel can be distinguished from token ids only by their type: pass ``X.astype(float)``.

    The linear model uses the usual features of taggers [1]_: the spelling and shape of the token, and its prefixes and
    suffixes of up to four characters, so that the model generalises to words that were not in training; the spelling of
    the two tokens on either side of it, and the suffix and shape of the adjacent ones; and pairs of adjacent tokens.
    The loss is the squared hinge; the strength of the regularisation is chosen by the out-of-fold loss. Training rows
    get scores from models that were fitted without their fold (one of five), so no row sees its own labels. The rows of
    a group are in one fold; without groups, equal rows are in one fold, unless most rows are duplicates. A temperature
    and a multiple of the prior log-odds, fitted to out-of-fold scores, turn the scores into logits. The network reads
    these logits of every token next to its embedding, and adds its own logits to them [2]_.

    Capital letters are strong evidence for names, so the default tokenizer keeps them. ``tokenizer=TextTokenizer()``
    lowercases all tokens; to keep capitals and change another setting, pass for example
    ``TextTokenizer(lowercase=False, min_frequency=2)``.

    This class is not a classifier in scikit-learn's sense, which has one label per row: `GridSearchCV` and
    `cross_val_predict` split its rows without stratification. `score` is the fraction of steps whose label is correct.
    Other scorers of scikit-learn, such as ``scoring="f1_macro"``, need one label per row. Concatenate the labels of all
    rows for its metrics: ``f1_score(np.concatenate(y), np.concatenate(tagger.predict(X)), average="macro")``.
    ``cross_val_predict(method="predict_proba")`` fails inside scikit-learn, which concatenates all rows into one array;
    the second example shows a loop with the same result.

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
