"""`RNNRegressor`: numeric targets of numeric series."""

import os

import numpy as np

from seqclf._base_regressor import BaseRNNRegressor
from seqclf._base_series import BaseSeriesRNN


class RNNRegressor(BaseRNNRegressor, BaseSeriesRNN):
    """Predict numeric targets from numeric series with a recurrent network.

    Series of one or more channels are standardised, passed through an RNN, LSTM, GRU or MGU and, in parallel, through
    convolutional layers, pooled over the steps and mapped to the targets by a linear layer. A linear model of the last
    steps or of random convolutions is fitted first; the network starts from it and learns what the linear model misses.
    Series can differ in length. ``wide=False, conv_filters=0`` gives the plain textbook network.

    Parameters
    ----------
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
    cell : {"rnn", "lstm", "gru", "mgu"}, default="gru"
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
    pooling : {"last", "mean", "max", "attention"}, default="mean"
        How the states of all steps become one vector: last state, mean, maximum of each unit, or a mean with learned
        weights ("attention"). "last" is the textbook choice, and the hardest to train on long sequences. See the
        parameter guide.
    activation : {"tanh", "relu", "softsign"}, default="tanh"
        Non-linearity of the state; gates are always sigmoids. "softsign", ``x / (1 + |x|)``, saturates more slowly than
        "tanh" [9]_. "relu" does not saturate, so states can grow without bound. On a GPU, "softsign" is slow, and so is
        "relu" with any cell but "rnn". See the parameter guide.
    conv_filters : int or tuple of int, default=32
        Number of filters of each of the three convolutional layers next to the recurrent ones, as in [4]_ and [5]_, or
        a tuple with one number per layer. They find patterns anywhere in a series. Cost grows with the square of the
        number; 0 means no such layers. See the parameter guide.
    wide : bool, default=True
        Fit a linear model first and let the network learn what that model misses (see Notes). With it, few rows and few
        epochs are enough. It adds about a second to a fit on 500 series of 300 steps.
    dropout : float in [0, 1), default=0.1
        Fraction of the features set to 0 in training between layers and before the output: one mask per sequence, the
        same at all of its steps. With 0 the network learns faster and overfits sooner.
    recurrent_dropout : float in [0, 1), default=0.0
        Fraction of the recurrent weights set to 0 in training; they are drawn once per batch (DropConnect, as in
        AWD-LSTM).
    weight_decay : float, default=0.0
        Strength of an L2 penalty on the weights, including those that scale the linear model's scores, but not on the
        biases. With "adamw" it is decoupled from the gradient.
    l1 : float, default=0.0
        Strength of an L1 penalty on the weight matrices.
    max_grad_norm : float or None, default=1.0
        Maximum norm of the gradient of a batch; larger gradients are scaled down to it. None turns this off, and long
        sequences can then make the training diverge.
    loss : {"squared_error", "absolute_error", "huber"}, default="squared_error"
        The training loss. "absolute_error" estimates the median; "huber" is squared for errors up to one (robust)
        standard deviation of y and linear beyond it. A few large errors do not dominate either of them.
    optimizer : {"adam", "adamw", "rmsprop", "adagrad", "sgd", "nesterov"}, default="adam"
        The update rule. "sgd" has no momentum, "nesterov" a momentum of 0.9; both need a larger learning rate than the
        others.
    learning_rate : float, default=3e-3
        Step size of the optimiser, and the first thing to lower if the loss diverges.
    schedule : {"constant", "one_cycle"}, default="one_cycle"
        Learning rate over time: constant, or rising to `learning_rate` in the first fifth of all updates and falling to
        zero at the end of `max_epochs`, which suits few epochs. With `patience`, prefer "constant". See the parameter
        guide.
    batch_size : int, default=16
        Maximum number of sequences per update. Larger batches make an epoch faster, but more epochs are needed.
    max_epochs : int or "auto", default="auto"
        Maximum number of passes over the training data. "auto" is the number for 300 updates, or for 500,000 steps of
        series if that is less, kept within 4 to 20; with ``wide=False``, for 1,500 updates or 1.5 million steps within
        5 to 200. See the parameter guide.
    warm_start : bool, default=False
        Let `fit` continue to train the fitted network, with the same scaling, linear model and kind of targets. See the
        parameter guide.
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
        Fraction of the rows held out for early stopping, stratified by class if there are classes. Nothing is learned
        from the targets of these rows. Not used without `patience`, or if `fit` gets X_val. See the parameter guide.
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
    target_center_, target_scale_ : ndarray of shape (n_targets,)
        Offset subtracted from each target, and scale that it is then divided by: mean and standard deviation; with the
        losses "absolute_error" and "huber" the median, and the distance between the 5 % and 95 % quantiles divided by
        3.29.
    history_ : list of dict
        One dict per epoch: ``epoch`` (from 1), ``train_loss``, ``train_score``, ``valid_loss``, ``valid_score`` (these
        two only with a validation set), ``seconds`` and ``steps`` (how many were trained on). Scores are R squared;
        losses are those of standardised targets. Training scores are measured during training, with dropout on.
    best_epoch_ : int
        The epoch whose weights are used, counted from 1; without early stopping the last one.
    n_iter_ : int
        Number of epochs run.
    network_ : torch.nn.Module
        The trained network. It is called with one ``seqclf._nn.sequence_batch.SequenceBatch``: the concatenated steps
        of all series, the length of each series and the scores of the linear model (with `wide`). It returns
        standardised targets. The notes of `hidden_states` describe its weights.
    n_parameters_ : int
        Number of trained weights of the network.
    n_features_in_ : int
        Number of steps of a 2-D X in fit; absent if X held 3-D or ragged series.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of the frame seen in fit, if they were all strings.
    n_channels_in_ : int
        Number of channels seen in fit.
    channel_names_in_ : ndarray of shape (`n_channels_in_`,)
        Names of the channels, if rows came as frames. Later frames are read by name, so their columns can be in any
        order.
    channel_mean_, channel_scale_ : ndarray of shape (`n_channels_in_`,)
        Offset subtracted from each channel, and scale that it is then divided by.
    wide_ : object
        The linear model, a ``LinearScores``: ``feature_names()`` names its features, ``coef_`` holds the weights, of
        shape (n_features, n_targets), for standardised targets. Absent with ``wide=False``.

    See Also
    --------
    series_from_frame : Converts a frame with one row per step to series.
    SequencePadder : Converts ragged series to one padded array.
    RNNTextRegressor : The same for texts.
    RNNClassifier : Classification instead of regression.

    Notes
    -----
    The parameter guide is the file ``docs/parameters.md`` of the source distribution.

    X can be

    - a 2-D array or frame of shape (n_samples, n_steps), as for any scikit-learn estimator: one channel, and predict
      needs the same number of steps;
    - an array of shape (n_samples, n_steps, n_channels), or (n_samples, n_channels, n_steps) with
      ``channels_first=True``. Steps at either end that are NaN in every channel are padding, and any other NaN is a
      missing value;
    - a list or 1-D object array of arrays of shape (n_steps,) or (n_steps, n_channels), whose lengths can differ (a
      list of lists of numbers is 2-D input if all have the same length);
    - a list of frames (pandas, polars, arrow), one per series, whose columns are the channels;
    - a frame with one row per series, one column per channel, and a list or Series in every cell;
    - an xarray array: axes called time or step, and channel or variable, are recognised by these names.

    A frame with one row per step (long format) is converted by :func:`series_from_frame`.

    A series without steps is allowed. All such series get the same prediction.

    A network can memorise a few dozen noisy rows. Therefore what it adds to the linear model is multiplied by n / (n +
    100), where n is the number of training rows. The factor is 1 with a validation set, with ``wide=False``, after a
    warm start and in `partial_fit`.

    As with forests and nearest neighbours, no prediction is outside the range of the training targets. If new targets
    can be outside it, choose a target without a trend, such as the difference from the last value.

    For forecasts, where the last steps matter most, ``RNNRegressor(pooling="last", wide=False, conv_filters=0)`` can be
    better: the default, the mean over the steps, describes the series as a whole.

    The linear model is ridge regression, either on the last steps themselves (at most 1,000 values) or on features of
    random convolutions [7]_, whichever has the lower out-of-fold loss. The features are, for each convolution, the
    fraction of the steps at which its output is above a threshold, and the length of the longest run of such steps. The
    84 kernels of length 9 are fixed, their dilations depend on the median length of the series, and the channels and
    thresholds are random. If the median length is below 9, the features are the values of the first steps instead.
    There are at most 10,000 features (3,000 for more than 2,000 rows), and at most 100 million feature values in all
    rows together. Training rows get scores from models that were fitted without their fold (one of five), so no row
    sees its own target. The rows of a group are in one fold; without groups, equal rows are in one fold, unless most
    rows are duplicates. If the rows are overlapping windows of one series, in order, the folds are blocks of
    consecutive rows; for windows in another order, pass `groups` to `fit`. A straight line, fitted to out-of-fold
    scores, turns the scores into estimates, which are added to the output of the network [8]_.

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
    Predict the largest value of a series:

    >>> import numpy as np
    >>> from seqclf import RNNRegressor
    >>> rng = np.random.default_rng(0)
    >>> series = [rng.normal(size=n) for n in rng.integers(5, 12, size=200)]
    >>> targets = [one.max() for one in series]
    >>> regressor = RNNRegressor(random_state=0).fit(series, targets)
    >>> regressor.predict([[0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0, 0.0]]).round()
    array([2., 1.])
    """

    _constraints = BaseRNNRegressor._constraints | BaseSeriesRNN._constraints

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
        loss: str = "squared_error",
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
        self.loss = loss
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
