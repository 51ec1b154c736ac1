"""`RNNClassifier`: numeric series in, classes out."""

import os
from typing import Any

import numpy as np

from seqclf._base_classifier import BaseRNNClassifier
from seqclf._base_series import BaseSeriesRNN


class RNNClassifier(BaseRNNClassifier, BaseSeriesRNN):
    """Classify numeric series with a recurrent network.

    Series of one or more channels are standardised, read by an RNN, LSTM, GRU or MGU and by layers of convolution
    next to it, pooled over the steps and classified by one linear layer. A linear model of random convolutions is
    fitted first; the network starts as that model, and learns what it misses. Series may differ in length.
    ``wide=False, conv_filters=0`` is the plain network of the textbooks.

    Parameters
    ----------
    channels_first : bool, default=False
        Read arrays as (n, channels, steps), rows of a list as (channels, steps): the order of aeon, sktime and tsai.
        Read in the wrong order, a series is a few steps of many channels: `fit` warns where that is likely.
    missing : {"raise", "interpolate", "forward"}, default="raise"
        What to do with NaN: refuse it, draw a line between the neighbours in its channel, or repeat the last value.
        "interpolate" looks ahead, which is more accurate for whole series; "forward" suits early classification.
    scale : bool, default=True
        Standardise each channel to a mean of 0 and a standard deviation of 1 over all steps of the training rows.
        Networks learn badly from numbers far from that; switch it off for data that are scaled already.
    cell : {"rnn", "lstm", "gru", "mgu"}, default="gru"
        The recurrence: the simple (Elman) network, long short-term memory, gated recurrent unit, or minimal gated unit
        (the last two in the ``reset_after`` form). A step costs 1, 4, 3 and 2 matrix products; the simple one learns
        little from more than some ten steps back, and on a GPU "mgu" is slow.
    units : int or tuple of int, default=32
        Width of the hidden state, in each direction; a tuple gives one width per layer. Cost grows with its square.
    n_layers : int, default=1
        Layers on top of one another. With a tuple for `units` its length decides, and `n_layers` is left at 1.
    bidirectional : bool, default=True
        Read every sequence from both ends with weights of their own; twice the cost.
    pooling : {"last", "mean", "max", "attention"}, default="mean"
        How one vector is made from the states of all steps: the last state (of the reverse direction, the one at the
        first step), their mean, the largest value of each unit, or a mean with learned weights. "last" is what
        textbooks do, and the hardest to train on long sequences.
    activation : {"tanh", "relu", "softsign"}, default="tanh"
        Non-linearity of the state; gates are always sigmoids. "softsign", ``x / (1 + |x|)``, saturates more slowly than
        "tanh" [9]_; "relu" does not saturate, so that states can grow without bound. On a GPU "softsign" is slow, and
        "relu" with all cells but "rnn" too.
    conv_filters : int or tuple of int, default=32
        Filters of the layers of convolution beside the recurrent ones. They find shapes wherever in a series they
        stand, which a recurrent layer learns from many more rows. Three layers of so many, as in [4]_ and [5]_, or a
        tuple with the number of each layer. Cost grows with its square; 0 omits the layers.
    wide : bool, default=True
        Fit a linear model first, and let the network learn what it misses; see the notes. This is what makes few rows
        and few epochs suffice. It adds about a second for 500 series of 300 steps.
    dropout : float in [0, 1), default=0.1
        Share of the features dropped in training between layers and before the last one: one mask per sequence, the
        same at all of its steps. 0 learns faster, and overfits sooner.
    recurrent_dropout : float in [0, 1), default=0.0
        Share of the recurrent weights dropped in training, drawn once per batch (DropConnect, as in AWD-LSTM).
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
    learning_rate : float, default=3e-3
        Size of a step; the first thing to lower where the loss diverges.
    schedule : {"constant", "one_cycle"}, default="one_cycle"
        How the learning rate goes: it stays, or it rises to `learning_rate` in the first fifth of all steps and falls
        to nothing by the end of `max_epochs`, which suits few epochs without early stopping. With `patience`,
        "constant" is the better partner: an early stop would cut the fall off.
    batch_size : int, default=16
        The largest number of sequences per step of the optimiser. Larger is faster per epoch and needs more epochs.
    max_epochs : int or "auto", default="auto"
        The largest number of passes over the training data. "auto" makes as many as come to 300 steps of the optimiser,
        but reads no more than 500,000 steps of series; at least 4 and at most 20. With ``wide=False``, when the network
        has to learn everything, these numbers are 1,500, 1,500,000, 5 and 200.
    warm_start : bool, default=False
        Let `fit` train the fitted network further, with the scaling, linear model and kind of targets that it has. What
        the network reads of a linear model in training is learned from the new rows all the same, cross-fitted.
    checkpoint_dir : str or path-like, default=None
        A folder in which `fit` writes its state after each epoch. After a kill, the same fit of the same data goes on
        from there and ends as if it had run through, to the bit with one number of threads. See the notes of `fit`.
    patience : int or None, default=None
        Stop after so many epochs without a lower validation loss, and put the weights of the best epoch back. None
        trains for `max_epochs` on all rows, and holds none out.
    tol : float, default=1e-4
        By how much a loss must fall (absolute) to count as lower.
    validation_fraction : float in (0, 1), default=0.1
        Share of the rows held out for early stopping; classes, if there are any, keep their proportions. With `groups`
        in `fit`, whole groups are held out that come to about this share. They don't train the network, and nothing
        else is learned from their targets. Not used where `fit` is given X_val.
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
        The class labels, sorted. Where y is an indicator matrix, the numbers of its columns.
    history_ : list of dict
        One dict per epoch: ``epoch`` (from 1), ``train_loss``, ``train_score``, ``valid_loss``, ``valid_score`` (these
        two only with rows to validate on), ``seconds`` and ``steps`` (how many were read in training). Scores are
        accuracies; of several labels, the share of the rows whose labels are all right. Those on training data are
        taken while training, with dropout on.
    best_epoch_ : int
        The epoch whose weights are kept; the last one without early stopping.
    n_iter_ : int
        Number of epochs run.
    network_ : torch.nn.Module
        The trained network. It is called with one ``seqclf._nn.sequence_batch.SequenceBatch``: the steps of all series
        end to end, the length of each, and with `wide` the scores of the linear model. It gives logits.
        The notes of `hidden_states` say how to read its weights.
    n_parameters_ : int
        Number of trained weights.
    n_features_in_ : int
        Number of steps of the table seen in fit; absent where X held 3-D or ragged series.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names of the frame seen in fit, if they were all strings.
    n_channels_in_ : int
        Numbers per step seen in fit.
    channel_names_in_ : ndarray of shape (n_channels_in_,)
        Names of the channels, where rows came as frames. Later frames are read by name, their columns in any order.
    channel_mean_, channel_scale_ : ndarray of shape (n_channels_in_,)
        What is subtracted from each channel, and what it is then divided by.
    wide_ : object
        The linear model, a ``LinearScores``: ``feature_names()`` names what it reads, ``coef_`` of shape (n_features,
        n_classes), for two classes (n_features, 1), holds the weights. Absent with ``wide=False``.

    See Also
    --------
    series_from_frame : Makes series of a frame with a row for each step.
    SequencePadder : Makes one padded array of ragged series.
    RNNTextClassifier : The same for texts.
    RNNRegressor : Numbers instead of classes.

    Notes
    -----
    X may be

    - a table of shape (n_samples, n_steps), as any scikit-learn estimator takes: one channel, and the same number of
      steps in predict;
    - an array of shape (n_samples, n_steps, n_channels), or (n_samples, n_channels, n_steps) with
      ``channels_first=True``; steps that are NaN in every channel at either end are padding, a NaN elsewhere is a hole;
    - a list or 1-D object array of arrays of shape (n_steps,) or (n_steps, n_channels), whose lengths may differ. (A
      list of lists of numbers is a table where all have the same length.)
    - a list of frames (pandas, polars, arrow), one for each series, whose columns are the channels;
    - a frame with a row for each series and a column for each channel, a list or Series in every cell;
    - an array of xarray: axes called time or step, and channel or variable, are known by these names.

    A frame with a row for each step (a long frame) is read by :func:`series_from_frame`.

    A series without a step is allowed: it gets the same probabilities as any other such series.

    The linear model is ridge regression on features of random convolutions [7]_: at what share of its steps the output
    of a convolution is above a threshold, and how long the longest such stretch is. The 84 kernels of length 9 are
    fixed; their dilations go by the median length, channels and thresholds are drawn. Series whose median length is
    below 9 are read as they are. There are at most 10,000 features, 3,000 of more than 2,000 rows, and 100 million
    numbers in all. A training row gets its scores from models that were fitted without its fold (of five; rows of a
    group, or without groups equal rows, are in one unless most rows repeat others), so that it never sees its own
    label. Folds of overlapping windows of one series, in its order, are blocks of consecutive rows; of windows in
    another order only `groups` in `fit` can tell. The scores become logits by a temperature and a share of the prior,
    fitted out of fold, and are added to the logits of the network [8]_.

    References
    ----------
    .. [1] J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990).
    .. [2] S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997).
    .. [3] K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
       translation", EMNLP 2014.
    .. [4] Z. Wang, W. Yan, T. Oates, "Time series classification from scratch with deep neural networks: a strong
       baseline", IJCNN 2017.
    .. [5] F. Karim, S. Majumdar, H. Darabi, S. Chen, "LSTM fully convolutional networks for time series
       classification", IEEE Access 6 (2018).
    .. [6] G.-B. Zhou, J. Wu, C.-L. Zhang, Z.-H. Zhou, "Minimal gated unit for recurrent neural networks",
       International Journal of Automation and Computing 13 (2016).
    .. [7] A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: a very fast (almost) deterministic transform for time
       series classification", KDD 2021.
    .. [8] H.-T. Cheng et al., "Wide & deep learning for recommender systems", DLRS 2016; D. H. Wolpert, "Stacked
       generalization", Neural Networks 5 (1992).
    .. [9] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from seqclf import RNNClassifier
    >>> rng = np.random.default_rng(0)
    >>> rising = [np.sort(rng.normal(size=n)) for n in (5, 8, 6, 7, 9, 5)]
    >>> falling = [-series for series in rising]
    >>> classifier = RNNClassifier(units=8, random_state=0).fit(rising + falling, ["up"] * 6 + ["down"] * 6)
    >>> classifier.predict([[0.1, 0.4, 2.0], [2.0, 0.4, 0.1, -1.0]])
    array(['up', 'down'], dtype='<U4')
    """

    _constraints = BaseRNNClassifier._constraints | BaseSeriesRNN._constraints

    def __init__(
        self,
        *,
        channels_first: bool = False,
        missing: str = "raise",
        scale: bool = True,
        cell: str = "gru",
        units: int | tuple[int, ...] = 32,
        n_layers: int = 1,
        bidirectional: bool = True,
        pooling: str = "mean",
        activation: str = "tanh",
        conv_filters: int | tuple[int, ...] = 32,
        wide: bool = True,
        dropout: float = 0.1,
        recurrent_dropout: float = 0.0,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        max_grad_norm: float | None = 1.0,
        class_weight: dict[Any, float] | str | None = None,
        optimizer: str = "adam",
        learning_rate: float = 3e-3,
        schedule: str = "one_cycle",
        batch_size: int = 16,
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
        self.channels_first = channels_first
        self.missing = missing
        self.scale = scale
        self.cell = cell
        self.units = units
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.pooling = pooling
        self.activation = activation
        self.conv_filters = conv_filters
        self.wide = wide
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
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
