"""`RNNTextClassifier`: texts, tokens or token ids in, classes out."""

import os
from typing import Any

import numpy as np

from seqclf._base_classifier import BaseRNNClassifier
from seqclf._base_text import BaseTextRNN


class RNNTextClassifier(BaseRNNClassifier, BaseTextRNN):
    """Classify texts with a recurrent network.

    Texts go straight in: they are tokenized, embedded, read by an RNN, LSTM, GRU or MGU, pooled over the tokens
    and classified by one linear layer. A linear model of words, pairs of words and characters is fitted first; the
    network starts as that model, and learns what it misses. Token lists and token ids are taken as well, the latter
    ragged or padded with zeros on either side. ``wide=False, nb_ngrams=0`` is the plain network of the textbooks.

    Parameters
    ----------
    tokenizer : transformer or None, default=None
        Turns texts or token lists into token ids; it is cloned, and fitted in `fit`. None is ``TextTokenizer()``. Not
        used where X holds token ids.
    cell : {"rnn", "lstm", "gru", "mgu"}, default="lstm"
        The recurrence: the simple (Elman) network, long short-term memory, gated recurrent unit, or minimal gated unit
        (the last two in the ``reset_after`` form). A step costs 1, 4, 3 and 2 matrix products; the simple one learns
        little from more than some ten steps back, and on a GPU "mgu" is slow.
    units : int or tuple of int, default=16
        Width of the hidden state, in each direction; a tuple gives one width per layer. Cost grows with its square.
    n_layers : int, default=1
        Layers on top of one another. With a tuple for `units` its length decides, and `n_layers` is left at 1.
    bidirectional : bool, default=True
        Read every sequence from both ends with weights of their own; twice the cost.
    embedding_dim : int or None, default=32
        Width of the learned token vectors. None feeds one-hot vectors, so that each token has a row of its own in the
        input weights.
    pooling : {"last", "mean", "max", "attention"}, default="max"
        How one vector is made from the states of all steps: the last state (of the reverse direction, the one at the
        first step), their mean, the largest value of each unit, or a mean with learned weights. "last" is what
        textbooks do, and the hardest to train on long sequences.
    activation : {"tanh", "relu", "softsign"}, default="tanh"
        Non-linearity of the state; gates are always sigmoids. "softsign", ``x / (1 + |x|)``, saturates more slowly than
        "tanh" [3]_; "relu" does not saturate, so that states can grow without bound. On a GPU "softsign" is slow, and
        "relu" with all cells but "rnn" too.
    dropout : float in [0, 1), default=0.5
        Share of the features dropped in training between embedding, layers and the last one: one mask per sequence, the
        same at all of its steps. 0 learns faster, and overfits sooner.
    recurrent_dropout : float in [0, 1), default=0.0
        Share of the recurrent weights dropped in training, drawn once per batch (DropConnect, as in AWD-LSTM).
    token_dropout : float in [0, 1), default=0.2
        Share of the tokens replaced by the unknown token in training, which trains that as well.
    nb_ngrams : int in [0, 8], default=3
        With each token the network reads what the labels say of it: the naive-Bayes log-count ratios [1]_ of the token,
        of the pair that it ends, and so on up to n-grams of this length, one for each class. With more than ten
        classes, or 32 labels, there are none. 0 turns them off, which costs accuracy where the order of words matters.
    wide : bool, default=True
        Fit a linear model first, and let the network learn what it misses; see the notes. This is what makes few rows
        and few epochs suffice. It adds some three seconds for 25,000 reviews.
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
        The largest number of passes over the training data. "auto" makes as many as come to 600 steps of the optimiser,
        but reads no more than 20 million tokens; at least 3 and at most 6. With ``wide=False, nb_ngrams=0``, 600 is
        2,000 and 6 is 30.
    warm_start : bool, default=False
        Let `fit` train the fitted network further, with the vocabulary, linear model, n-grams and kind of targets that
        it has. What the network reads of them in training is learned from the new rows all the same, cross-fitted.
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
        1 prints a line per epoch, and how many texts lost tokens where the tokenizer cut some; 2 shows a bar inside
        each epoch as well.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels, sorted. Where y is an indicator matrix, the numbers of its columns.
    history_ : list of dict
        One dict per epoch: ``epoch`` (from 1), ``train_loss``, ``train_score``, ``valid_loss``, ``valid_score`` (these
        two only with rows to validate on), ``seconds`` and ``tokens`` (how many were read in training). Scores are
        accuracies; of several labels, the share of the rows whose labels are all right. Those on training data are
        taken while training, with dropout on.
    best_epoch_ : int
        The epoch whose weights are kept; the last one without early stopping.
    n_iter_ : int
        Number of epochs run.
    network_ : torch.nn.Module
        The trained network. It is called with one ``seqclf._nn.sequence_batch.SequenceBatch``: the token ids of all
        sequences end to end, the length of each, with `nb_ngrams` the numbers next to each token, with `wide` the
        scores of the linear model. It gives logits.
        The notes of `hidden_states` say how to read its weights.
    n_parameters_ : int
        Number of trained weights.
    tokenizer_ : transformer
        The fitted tokenizer; absent where X held token ids.
    vocab_size_ : int
        Number of token ids the network knows, padding (0) and unknown (1) included. For token ids in X, the largest one
        in fit + 1; larger ones in predict are read as unknown.
    renumbered_ids_ : ndarray
        Only where X held ids (or a tokenizer of one's own gave some), and the largest + 1 was above 4 x distinct ids +
        10,000: the ids of fit above 1, ascending, which the network numbers from 2 on. Others are read as unknown.
    nb_ratios_ : object
        The learned ratios, a ``LogCountRatios``: ``tables_[n - 1][0]`` holds those of the n-grams of length n, shape
        (n_ngrams, n_classes), for two classes (n_ngrams, 1); that of token id i is in row ``ngrams.of_tokens_[i]`` of
        the first table; row 0 is 0. Absent with ``nb_ngrams=0``, and with more than ten
        classes or 32 labels.
    wide_ : object
        The linear model, a ``LinearScores``: ``feature_names()`` names what it reads, ``coef_`` of shape (n_features,
        n_classes), for two classes (n_features, 1), holds the weights. Absent with ``wide=False``.
    input_kind_ : {"texts", "tokens", "ids"}
        What X held in fit; predict takes the same kind.

    See Also
    --------
    TextTokenizer : The default tokenizer. Once one is given, ``RNNTextClassifier(TextTokenizer())``, its parameters can
        be searched as ``tokenizer__vocab_size`` and so on.
    RNNClassifier : The same for numeric series.
    RNNTextRegressor : Numbers instead of classes.

    Notes
    -----
    Token ids are whole numbers from 1 on, up to 2**63 - 1; 1 is the unknown token. 0 is padding, and only at the ends
    of rows of one length. Ids that were counted from 0 are refused where that shows: add 1 to them.

    A text without a token is read as a sequence of length 0: it gets the same probabilities as any other such text.

    Nothing is cut from long texts unless the tokenizer has a `max_length`. Without the compiled kernels a batch on the
    CPU is padded to its longest text, so that one very long text takes as much memory as a whole batch of such texts:
    set a `max_length` there.

    The linear model has two parts [2]_: TF-IDF of tokens and pairs of tokens, and of 2 to 5 characters inside words
    (where tokens are characters, of 1 to 5 of them; token ids have no characters, and neither have texts that hold
    more than 20 million such n-grams in all). Its loss is the squared hinge, how closely it fits is chosen out of fold.
    A training row gets its scores from models that were fitted without its fold (of five; rows of a group, or without
    groups equal rows, are in one unless most rows repeat others), so that it never sees its own label; so do the
    log-count ratios. The scores become logits by a temperature and a share of the prior, fitted out of fold, and are
    added to the logits of the network. A Pipeline with a tokenizer of its own hands over ids: then there are no
    characters, and of characters as tokens pairs are read.

    The prediction for a row does not depend on the rows with it, on padding or on batches: to the last bit on the
    compiled kernels; on torch's own operations it is computed in float64.

    References
    ----------
    .. [1] S. Wang, C. D. Manning, "Baselines and bigrams: simple, good sentiment and topic classification", ACL 2012.
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
    >>> from seqclf import RNNTextClassifier
    >>> texts = ["good, not bad", "bad, not good"] * 20
    >>> labels = ["praise", "blame"] * 20
    >>> classifier = RNNTextClassifier(units=8, batch_size=8, random_state=0).fit(texts, labels)
    >>> classifier.predict(["good, not bad", "bad, not good"])
    array(['praise', 'blame'], dtype='<U6')
    """

    _constraints = BaseRNNClassifier._constraints | BaseTextRNN._constraints

    @property
    def nb_ratios_(self) -> Any:
        """The learned log-count ratios."""
        return self._learned_of_ngrams("nb_ratios_")

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
