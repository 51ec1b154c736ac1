"""`RNNTextRegressor`: numeric targets of texts, token lists or token ids."""

import os
from typing import Any

import numpy as np

from seqclf._base_regressor import BaseRNNRegressor
from seqclf._base_text import BaseTextRNN


class RNNTextRegressor(BaseRNNRegressor, BaseTextRNN):
    """Predict numeric targets from texts with a recurrent network.

    Texts are tokenized, embedded, passed through an RNN, LSTM, GRU or MGU, pooled over the tokens and mapped to the
    targets by a linear layer. A linear model of words, pairs of words and characters is fitted first; the network
    starts from it and learns what the linear model misses. X can also hold lists of tokens, or token ids, ragged or
    padded with zeros on either side. ``wide=False, nb_ngrams=0`` gives the plain textbook network.

    Parameters
    ----------
    tokenizer : transformer or None, default=None
        Turns texts or lists of tokens into token ids. It is cloned, and the clone is fitted in `fit`. None means
        ``TextTokenizer()``. Not used if X holds token ids.
    cell : {"rnn", "lstm", "gru", "mgu"}, default="lstm"
        The recurrent cell: simple (Elman) network, long short-term memory, gated recurrent unit, or minimal gated unit.
        They cost 1, 4, 3 and 2 matrix products per step. "rnn" learns few dependencies that span more than about ten
        steps. See the parameter guide.
    units : int or tuple of int, default=16
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
    pooling : {"last", "mean", "max", "attention"}, default="max"
        How the states of all steps become one vector: last state, mean, maximum of each unit, or a mean with learned
        weights ("attention"). "last" is the textbook choice, and the hardest to train on long sequences. See the
        parameter guide.
    activation : {"tanh", "relu", "softsign"}, default="tanh"
        Non-linearity of the state; gates are always sigmoids. "softsign", ``x / (1 + |x|)``, saturates more slowly than
        "tanh" [3]_. "relu" does not saturate, so states can grow without bound. On a GPU, "softsign" is slow, and so is
        "relu" with any cell but "rnn". See the parameter guide.
    dropout : float in [0, 1), default=0.5
        Fraction of the features set to 0 in training between embedding, layers and output: one mask per sequence, the
        same at all of its steps. With 0 the network learns faster and overfits sooner.
    recurrent_dropout : float in [0, 1), default=0.0
        Fraction of the recurrent weights set to 0 in training; they are drawn once per batch (DropConnect, as in
        AWD-LSTM).
    token_dropout : float in [0, 1), default=0.2
        Fraction of the tokens replaced by the unknown token in training, which also trains the vector of that token.
    nb_ngrams : int in [0, 8], default=3
        Feed the network, next to each token, the mean target [1]_ of the rows with the n-grams that end there, up to
        this length. 0 turns them off, which costs accuracy where word order matters. With more than 32 targets there
        are none. See the parameter guide.
    wide : bool, default=True
        Fit a linear model first and let the network learn what that model misses (see Notes). With it, few rows and few
        epochs are enough. It adds about three seconds to a fit on 25,000 reviews.
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
    learning_rate : float, default=5e-3
        Step size of the optimiser, and the first thing to lower if the loss diverges.
    schedule : {"constant", "one_cycle"}, default="one_cycle"
        Learning rate over time: constant, or rising to `learning_rate` in the first fifth of all updates and falling to
        zero at the end of `max_epochs`, which suits few epochs. With `patience`, prefer "constant". See the parameter
        guide.
    batch_size : int, default=32
        Maximum number of sequences per update. Larger batches make an epoch faster, but more epochs are needed.
    max_epochs : int or "auto", default="auto"
        Maximum number of passes over the training data. "auto" is the number for 600 updates, or for 20 million tokens
        if that is less, kept within 3 to 6; with ``wide=False, nb_ngrams=0``, for 2,000 updates within 3 to 30. See the
        parameter guide.
    warm_start : bool, default=False
        Let `fit` continue to train the fitted network, with the same vocabulary, linear model, n-grams and kind of
        targets. See the parameter guide.
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
        1 prints the kind of tokens if the tokenizer chose it, the number of texts that it truncated, if any, and a line
        per epoch; 2 also shows a progress bar in each epoch.

    Attributes
    ----------
    target_center_, target_scale_ : ndarray of shape (n_targets,)
        Offset subtracted from each target, and scale that it is then divided by: mean and standard deviation; with the
        losses "absolute_error" and "huber" the median, and the distance between the 5 % and 95 % quantiles divided by
        3.29.
    history_ : list of dict
        One dict per epoch: ``epoch`` (from 1), ``train_loss``, ``train_score``, ``valid_loss``, ``valid_score`` (these
        two only with a validation set), ``seconds`` and ``tokens`` (how many were trained on). Scores are R squared;
        losses are those of standardised targets. Training scores are measured during training, with dropout on.
    best_epoch_ : int
        The epoch whose weights are used, counted from 1; without early stopping the last one.
    n_iter_ : int
        Number of epochs run.
    network_ : torch.nn.Module
        The trained network. It is called with one ``seqclf._nn.sequence_batch.SequenceBatch``: the concatenated token
        ids of all sequences, the length of each sequence, the step features (with `nb_ngrams`) and the scores of the
        linear model (with `wide`). It returns standardised targets. The notes of `hidden_states` describe its weights.
    n_parameters_ : int
        Number of trained weights of the network.
    tokenizer_ : transformer
        The fitted tokenizer; absent if X held token ids.
    vocab_size_ : int
        Number of token ids of the network, including padding (0) and unknown (1). If X held token ids, the largest id
        in fit + 1; larger ids in predict are treated as unknown.
    renumbered_ids_ : ndarray
        The ids of fit above 1, ascending, which the network numbers from 2 on; other ids are treated as unknown.
        Present only if X held ids (or a custom tokenizer returned them) and the largest + 1 exceeded 4 x distinct ids +
        10,000.
    target_means_ : object
        The fitted means, a ``TargetMeans``: ``tables_[n - 1][0]`` holds those of the n-grams of length n, of shape
        (n_ngrams, n_targets), for standardised targets. In the first table, token id i has the row
        ``ngrams.of_tokens_[i]`` (``ngrams`` is an attribute of the same object). Row 0, for n-grams that are not in the
        table, is 0. Absent with ``nb_ngrams=0``, and with more than 32 targets.
    wide_ : object
        The linear model, a ``LinearScores``: ``feature_names()`` names its features, ``coef_`` holds the weights, of
        shape (n_features, n_targets), for standardised targets. Absent with ``wide=False``.
    input_kind_ : {"texts", "tokens", "ids"}
        What X held in fit; predict accepts only the same kind.

    See Also
    --------
    TextTokenizer : The default tokenizer. If one is passed, ``RNNTextRegressor(TextTokenizer())``, its parameters can
        be searched as ``tokenizer__vocab_size`` and so on.
    RNNRegressor : The same for numeric series.
    RNNTextClassifier : Classification instead of regression.

    Notes
    -----
    The parameter guide is the file ``docs/parameters.md`` of the source distribution.

    Token ids are integers from 1 to 2**63 - 1; 1 is the unknown token. 0 is padding, and is allowed only at the ends of
    rows of equal length. Ids counted from 0 raise an error where that can be detected: add 1 to them, or 2 if 0 and 1
    were ordinary tokens.

    A text without tokens is a sequence of length 0. All such texts get the same prediction.

    A network can memorise a few dozen noisy rows. Therefore what it adds to the linear model is multiplied by n / (n +
    100), where n is the number of training rows. The factor is 1 with a validation set, with ``wide=False``, after a
    warm start and in `partial_fit`.

    As with forests and nearest neighbours, no prediction is outside the range of the training targets.

    Long texts are truncated only if the tokenizer has a `max_length`. Without the compiled kernels a batch on the CPU
    is padded to its longest text, so one very long text needs as much memory as a whole batch of such texts: set
    `max_length` in that case.

    The linear model has two parts [2]_: TF-IDF of tokens and pairs of tokens (n-grams of length 1 to 5 if tokens are
    characters), and TF-IDF of the character n-grams of length 2 to 5 inside words. The second part needs tokens that
    are words. It is omitted for token ids, which have no characters, and if the texts have more than 20 million such
    n-grams in all. The loss is the squared error; the strength of the regularisation is chosen by the out-of-fold loss.
    Training rows get scores from models that were fitted without their fold (one of five), so no row sees its own
    target; the means of n-grams are cross-fitted in the same way. The rows of a group are in one fold; without groups,
    equal rows are in one fold, unless most rows are duplicates. A straight line, fitted to out-of-fold scores, turns
    the scores into estimates, which are added to the output of the network. If a separate tokenizer in a Pipeline
    passes ids to this estimator, there are no character n-grams inside words; if its tokens are characters, only single
    characters and pairs are used.

    The prediction for a row does not depend on the other rows, on padding or on batches: bit for bit with the compiled
    kernels, up to rounding in float64 without them.

    References
    ----------
    .. [1] D. Micci-Barreca, "A preprocessing scheme for high-cardinality categorical attributes in classification and
       prediction problems", ACM SIGKDD Explorations 3 (2001).
    .. [2] H.-T. Cheng et al., "Wide & deep learning for recommender systems", DLRS 2016; D. H. Wolpert, "Stacked
       generalization", Neural Networks 5 (1992).
    .. [3] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010.

    S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997).
    K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
    EMNLP 2014.
    G.-B. Zhou, J. Wu, C.-L. Zhang, Z.-H. Zhou, "Minimal gated unit for recurrent neural networks", International
    Journal of Automation and Computing 13 (2016).
    Y. Gal, Z. Ghahramani, "A theoretically grounded application of dropout in recurrent neural networks", NeurIPS 2016.

    Examples
    --------
    >>> from seqclf import RNNTextRegressor
    >>> texts = ["good, not bad", "bad, not good", "so so"] * 20
    >>> stars = [5.0, 1.0, 3.0] * 20
    >>> regressor = RNNTextRegressor(units=8, batch_size=8, random_state=0).fit(texts, stars)
    >>> regressor.predict(["good, not bad", "bad, not good"]).round(1)
    array([5., 1.])
    """

    _constraints = BaseRNNRegressor._constraints | BaseTextRNN._constraints

    @property
    def target_means_(self) -> Any:
        """The fitted mean targets."""
        return self._ngram_features("target_means_")

    def __init__(
        self,
        tokenizer: Any = None,
        *,
        cell: str = "lstm",
        units: int | tuple[int, ...] = 16,
        n_layers: int = 1,
        bidirectional: bool = True,
        embedding_dim: int | None = 32,
        pooling: str = "max",
        activation: str = "tanh",
        dropout: float = 0.5,
        recurrent_dropout: float = 0.0,
        token_dropout: float = 0.2,
        nb_ngrams: int = 3,
        wide: bool = True,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        max_grad_norm: float | None = 1.0,
        loss: str = "squared_error",
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
        self.cell = cell
        self.units = units
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.embedding_dim = embedding_dim
        self.pooling = pooling
        self.activation = activation
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.token_dropout = token_dropout
        self.nb_ngrams = nb_ngrams
        self.wide = wide
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
