"""`TextTokenizer`: learns a vocabulary, and converts texts to ragged token ids and back."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from seqclf._data.ragged import Ragged
from seqclf._saved import Saved, State
from seqclf._state import fresh_state, snapshot
from seqclf._text import subwords
from seqclf._text.levels import choose_level
from seqclf._text.saved_counts import counts_to_state, load_counts
from seqclf._text.splitter import Level, Splitter
from seqclf._text.token_counts import TextCounts, TokenCounts, pieces
from seqclf._text.vocabulary import N_SPECIAL, SPECIAL_TOKENS, IndexedTokens, Vocabulary
from seqclf._unpickling import CheckedState
from seqclf._validation.parameters import (
    boolean,
    check_output_container,
    check_parameters,
    integer,
    load_parameters,
    optional,
    options,
    parameters_state,
)
from seqclf._validation.text_stream import is_stream, validate_text_chunks
from seqclf._validation.texts import UNKNOWN, Kind, StringifiedLists, validate_text_input
from seqclf._warn import warn

_COUNT_PARAMETERS = ("level", "normalize", "lowercase", "max_length")  # the parameters that token counts depend on
_FITTED_ATTRIBUTES = ("vocabulary_", "tokens_", "n_tokens_", "n_truncated_", "input_kind_", "level_", "subword_model_")

_CONSTRAINTS = {
    "level": options("auto", "word", "char", "subword"),
    "vocab_size": optional(integer(N_SPECIAL + 1)),
    "min_frequency": integer(1),
    "normalize": optional(options("NFC", "NFKC")),
    "lowercase": boolean(),
    "max_length": optional(integer(1)),
    "truncate": options("start", "end"),
}


_Kind = Literal["texts", "tokens"]  # the kinds of input that a vocabulary can be learned from


class _StreamState(NamedTuple):
    """What `partial_fit` has learned from the texts so far."""

    kind: _Kind
    parameters: dict[str, Any]
    counts: TextCounts
    stringified_lists: StringifiedLists

    def to_state(self) -> State:
        """The state as plain values and arrays, from which another process can continue."""
        return {
            "kind": self.kind,
            "parameters": self.parameters,
            "counts": counts_to_state(self.counts),
            "written_lists": self.stringified_lists._asdict(),
        }

    @classmethod
    def from_state(cls, saved: Saved) -> Self:
        """The object of a saved state."""
        kind = saved.option("kind", ["texts", "tokens"])
        constraints = {name: _CONSTRAINTS[name] for name in _COUNT_PARAMETERS}
        parameters = saved.part("parameters", partial(load_parameters, constraints=constraints))
        counts = _new_counts(kind, parameters)
        saved.part("counts", lambda part: load_counts(part, counts))
        return cls(kind, parameters, counts, saved.part("written_lists", _load_stringified_lists))


def _new_counts(kind: _Kind, parameters: State) -> TextCounts:
    level = parameters["level"]
    levels: tuple[Level, ...] = ("word", "char") if level == "auto" else (level,)
    splitters = [Splitter(kind, level, parameters["lowercase"], parameters["normalize"]) for level in levels]
    return TextCounts(splitters[:1] if kind == "tokens" else splitters, parameters["max_length"])


def _load_stringified_lists(saved: Saved) -> StringifiedLists:
    example = saved.optional("example", saved.text)
    return StringifiedLists(saved.boolean("all_are"), saved.integer("n_texts"), saved.integer("row"), example)


class TextTokenizer(CheckedState, TransformerMixin, BaseEstimator):
    """Convert texts to sequences of token ids.

    `fit` learns the vocabulary: id 0 is padding (it never occurs in the output), 1 is the unknown token, and the
    tokens are numbered from 2 on, most frequent first. The output is ragged: each text keeps its own length.
    :class:`SequencePadder` converts it to one array.

    Parameters
    ----------
    level : {"auto", "word", "char", "subword"}, default="auto"
        What a token is: a word, a character, or a piece of a word. "auto" chooses characters for scripts without spaces
        and for one-word texts, else words. Words train fastest; characters make sequences about five times as long;
        subwords take several times as long to tokenize, and need the package `tokenizers`. See the parameter guide.
    vocab_size : int or None, default=30_000
        Maximum number of ids, including padding and unknown; the most frequent tokens are kept. An embedding has one
        vector per id, which is most of a small model's memory. None keeps all tokens ("subword" needs a size). See the
        parameter guide.
    min_frequency : int, default=1
        Tokens that occur less often than this in the training texts become unknown. Higher values drop rare names and
        misspellings, and let the model learn from unknown tokens. For "subword": minimum frequency of a pair of pieces
        to be merged.
    normalize : {"NFC", "NFKC"} or None, default="NFC"
        Unicode normal form of the texts. "NFC" makes the one- and two-character spellings of *é* equal; "NFKC" also
        replaces full-width letters, ligatures and other variants by the usual characters, so that they can no longer be
        distinguished. With None, different spellings remain different tokens.
    lowercase : bool, default=True
        Treat *Good* and *good* as the same token. False distinguishes them, which needs a larger vocabulary.
    max_length : int or None, default=None
        Truncate longer sequences to this many tokens; None truncates nothing. Time and memory of training grow with the
        length. The vocabulary is learned from the whole texts. See the parameter guide.
    truncate : {"start", "end"}, default="start"
        The side from which tokens are cut off: "start" keeps the last tokens, which often hold the verdict of a review;
        "end" keeps the first ones.

    Attributes
    ----------
    vocabulary_ : dict of str -> int
        The id of each token, from 2 on. Padding and unknown are not included, so a text that contains "[PAD]" is not
        taken for padding.
    tokens_ : list of str
        The token of each id; ``tokens_[0]`` is "[PAD]", ``tokens_[1]`` is "[UNK]". Subwords are spelled in the
        alphabet of the library `tokenizers`, in which "Ġ" is a space.
    n_tokens_ : int
        The number of ids, including padding and unknown; at most `vocab_size`. An embedding needs one vector for each.
    n_truncated_ : int or None
        How many texts in `fit` were truncated to `max_length`. None if ``level="subword"`` was learned in a single pass
        over the texts, by `partial_fit` or from an iterator: the number of pieces of each text is then unknown.
    input_kind_ : {"texts", "tokens"}
        What X held in `fit`: texts, or lists of tokens.
    level_ : {"word", "char", "subword"}
        What a token is: `level`, or the choice of "auto".
    subword_model_ : tokenizers.Tokenizer or None
        The trained `tokenizers` model for "subword", None for other levels. Its ids are those of `tokens_` minus 2.

    See Also
    --------
    SequencePadder : Converts the ragged ids to one padded array.

    Notes
    -----
    The parameter guide is the file ``docs/parameters.md`` of the source distribution.

    Texts are changed only as follows before they are split. They are normalized to the form of `normalize`. For any
    value of `normalize`, soft hyphens, word joiners, byte-order marks and direction marks are removed, and a zero-width
    space becomes a space. HTML line breaks (``<br />``, ``</br>``, ``<BR clear="all">``) become a space, and the
    typographic apostrophe ``’`` becomes ``'``. Letters are lowercased if `lowercase`. Other markup is kept. The
    zero-width joiner and non-joiner remain inside their word, because Persian and many scripts of India need them. For
    "char" and "subword", runs of white space become one space, and white space at both ends is removed.

    Texts that do not fit into memory can be processed in chunks: `fit` accepts any iterable, such as a generator or the
    lines of a file, and `partial_fit` accepts one chunk after another, in any number of calls. Only the counts of the
    distinct tokens and a part of the texts are then in memory, and the vocabulary is the same as that of one `fit` on a
    list of all texts. With ``level="auto"``, words and characters are both counted, which takes longer than with
    ``level="word"``. The first `transform` fixes the ids. Until then the attributes describe what has been learned so
    far, and are computed each time they are read.

    `fit` also accepts texts that are already split, as lists of str, with ``level="auto"`` or "word". These tokens are
    not split again; they are normalized to the form of `normalize`, invisible characters are removed, and letters are
    lowercased if `lowercase`. `transform` accepts only the kind of input seen in `fit`.

    Examples
    --------
    >>> from seqclf import TextTokenizer
    >>> tokenizer = TextTokenizer()
    >>> ids = tokenizer.fit_transform(["Good film, good music.", "Not good!"])
    >>> tokenizer.tokens_
    ['[PAD]', '[UNK]', 'good', '!', ',', '.', 'film', 'music', 'not']
    >>> ids[1]
    array([8, 2, 3], dtype=int32)
    >>> tokenizer.inverse_transform(tokenizer.transform(["a good film"]))
    ['[UNK] good film']

    Texts in chunks, each of them an iterable of any size:

    >>> tokenizer = TextTokenizer(vocab_size=4)
    >>> for chunk in (["Good film, good music."], iter(["Not good!", "A good film"])):
    ...     tokenizer = tokenizer.partial_fit(chunk)
    >>> tokenizer.tokens_
    ['[PAD]', '[UNK]', 'good', 'film']
    """

    def __init__(
        self,
        *,
        level: Literal["auto", "word", "char", "subword"] = "auto",
        vocab_size: int | None = 30_000,
        min_frequency: int = 1,
        normalize: Literal["NFC", "NFKC"] | None = "NFC",
        lowercase: bool = True,
        max_length: int | None = None,
        truncate: Literal["start", "end"] = "start",
    ) -> None:
        self.level = level
        self.vocab_size = vocab_size
        self.min_frequency = min_frequency
        self.normalize = normalize
        self.lowercase = lowercase
        self.max_length = max_length
        self.truncate = truncate

    def fit(self, X: Any, y: Any = None) -> "TextTokenizer":
        """Learn the vocabulary. After an error the tokenizer is unchanged.

        Parameters
        ----------
        X : list, array, Series, one-column frame or iterable of str, or of lists of str
            The training texts, or their tokens. An iterator, such as a generator or an open file, is consumed once,
            and its texts are not stored.
        y : None
            Ignored; present for compatibility with pipelines.

        Returns
        -------
        TextTokenizer
            The fitted tokenizer itself.

        Raises
        ------
        TypeError
            If X is sparse or is not a container of rows.
        ValueError
            If a parameter or a row of X is invalid, or the vocabulary is empty.
        ImportError
            With ``level="subword"``, if the package `tokenizers` is not installed.

        Warns
        -----
        UserWarning
            If words are tokens and most words of new texts will probably be unknown, as for names, DNA or Chinese.
        """
        with fresh_state(self) as fresh:
            if is_stream(X):
                fresh._fit_to_counts(fresh._count_tokens(None, X))
            else:
                fresh._fit_to_rows(*validate_text_input(X))
        return self

    def partial_fit(self, X: Any, y: Any = None) -> "TextTokenizer":
        """Count the tokens of more texts; the first `transform` builds the vocabulary from all counts.

        Several calls with chunks give the same vocabulary as one `fit` on all texts. Errors and warnings that depend on
        all texts (an empty vocabulary; words as tokens where most words of new texts will be unknown) come from the
        first `transform`. After an error the tokenizer is unchanged.

        Parameters
        ----------
        X : list, array, Series, one-column frame or iterable of str, or of lists of str
            More texts, or their tokens, as in `fit`.
        y : None
            Ignored.

        Returns
        -------
        TextTokenizer
            The tokenizer itself.

        Raises
        ------
        TypeError
            If X is sparse or is not a container of rows.
        ValueError
            If a parameter or a row of X is invalid, a parameter that affects how texts are split was changed between
            two calls, or the ids are fixed, by `fit` or by the first `transform`.
        ImportError
            With ``level="subword"``, if the package `tokenizers` is not installed.
        """
        before = self._stream_state()
        if before is None and "vocabulary_" in vars(self):
            raise ValueError(
                "The ids of this TextTokenizer are fixed, by fit or by the first transform after partial_fit, and more "
                "texts would change them. Call partial_fit on all texts before the first transform, or start again "
                "with all texts: call fit, or partial_fit of a new tokenizer, sklearn.base.clone(tokenizer)."
            )
        with fresh_state(self) as fresh:
            fresh._counting = fresh._count_tokens(before, X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[np.object_]:
        """Learn the vocabulary and return the ids of the same texts; each text is split only once.

        Parameters
        ----------
        X : list, array, Series or one-column frame of str, or of lists of str
            The training texts, or their tokens.
        y : None
            Ignored.

        Returns
        -------
        ndarray of shape (n_texts,), dtype object
            One int32 array of ids per text, as ``fit(X).transform(X)`` returns it.

        Raises
        ------
        TypeError, ValueError, ImportError
            As in `fit`.
        """
        with fresh_state(self) as fresh:
            ids = fresh._fit_to_ids(*validate_text_input(X)).ids
            return fresh._vocabulary().replace_unknown(ids).items()

    def transform(self, X: Any) -> NDArray[np.object_]:
        """Convert texts to ids.

        Parameters
        ----------
        X : list, array, Series or one-column frame of str, or of lists of str
            Texts or tokens, as in `fit`.

        Returns
        -------
        ndarray of shape (n_texts,), dtype object
            One int32 array of ids per text, empty for a text without tokens.

        Raises
        ------
        NotFittedError
            If the tokenizer is not fitted.
        TypeError
            If X is sparse or is not a container of rows.
        ValueError
            If a row of X is invalid.
        """
        self._fix_ids()
        vocabulary = snapshot(self)._vocabulary()
        rows = validate_text_input(X, kind=vocabulary.splitter.kind)[1]
        return vocabulary.replace_unknown(vocabulary.to_ids(rows).ids).items()

    def spans(self, X: Any) -> NDArray[np.object_]:
        """Find the characters of a text that each token was made from.

        Parameters
        ----------
        X : list, array, Series or one-column frame of str
            The texts, as given to `transform`.

        Returns
        -------
        ndarray of shape (n_texts,), dtype object
            One int64 array of shape (n_tokens, 2) per text, with a pair (start, stop) for each token of `transform`: it
            was made from ``text[start:stop]``. Tokens that were made from one character have the same span, such as
            those of "½" with ``normalize="NFKC"``, or the bytes of a rare character with ``level="subword"``.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If a row of X is invalid, or the tokenizer was fitted to lists of tokens.

        Examples
        --------
        >>> tokenizer = TextTokenizer().fit(["good film"])
        >>> text = "A GOOD<br />Film"
        >>> [text[start:stop] for start, stop in tokenizer.spans([text])[0]]
        ['A', 'GOOD', 'Film']
        """
        self._fix_ids()
        vocabulary = snapshot(self)._vocabulary()
        if vocabulary.splitter.kind == "tokens":
            raise ValueError(
                "spans needs texts, but this TextTokenizer was fitted to lists of tokens, which have no positions in "
                "a text."
            )
        return vocabulary.spans(validate_text_input(X, kind="texts")[1]).items()

    def inverse_transform(self, X: Any) -> list[str]:
        """Convert ids back to texts.

        Parameters
        ----------
        X : list or object array of ids, or array of shape (n_texts, n_steps) padded with zeros
            The output of `transform`, or of a :class:`SequencePadder` after it.

        Returns
        -------
        list of str
            Words joined by a space, characters joined without a separator, subwords joined by the rules of their
            library. An unknown token becomes "[UNK]"; padding is dropped.

        Raises
        ------
        NotFittedError
            If the tokenizer is not fitted.
        ValueError
            If a row holds anything but ids of this vocabulary.
        """
        self._fix_ids()
        fitted = snapshot(self)
        _, ids = validate_text_input(X, kind="ids", max_id=fitted.n_tokens_ - 1)
        if fitted.subword_model_ is not None:
            return [fitted._decode_subwords(row.tolist()) for row in ids.items()]
        separator = "" if fitted.level_ == "char" else " "
        return [separator.join(map(fitted.tokens_.__getitem__, row.tolist())) for row in ids.items()]

    def set_output(self, *, transform: Literal["default", "pandas", "polars"] | None = None) -> "TextTokenizer":
        """Do nothing: ragged ids cannot be a data frame, so the output is the same with every setting.

        The method exists because a pipeline calls `set_output` on each of its steps.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Validated, but not used.

        Returns
        -------
        TextTokenizer
            The tokenizer itself.

        Raises
        ------
        ValueError
            For any other container.
        """
        check_output_container(transform)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """The state, with a subword model as its pairs of merged tokens, and counts as plain values and arrays."""
        state = super().__getstate__()
        if (model := state.get("subword_model_")) is not None:
            state["subword_model_"] = subwords.merges_of(model)
        if (stream := state.get("_counting")) is not None:
            state["_counting"] = stream.to_state()
        return state

    def _restore(self, saved: Saved) -> None:
        if "_counting" in saved:
            self._counting = saved.part("_counting", _StreamState.from_state)
        if "vocabulary_" not in saved:
            return
        check_parameters(self, _CONSTRAINTS)
        self.subword_model_: Any = None  # set below, after its tokens have been checked
        state = self._vocabulary().to_state() | {"merges": saved.value("subword_model_")}
        vocabulary = Vocabulary.from_state(Saved(state))
        saved.require(vocabulary.ids == saved.value("vocabulary_"), "its vocabulary_ is not that of its tokens_")
        saved.require(saved.integer("n_tokens_") == len(vocabulary), "its n_tokens_ is not the number of its tokens_")
        saved.optional("n_truncated_", saved.integer)
        self.vocabulary_, self.subword_model_ = vocabulary.ids, vocabulary.subword_model

    def __sklearn_is_fitted__(self) -> bool:
        return "vocabulary_" in vars(self) or self._stream_state() is not None

    def __getattr__(self, name: str) -> Any:
        """A fitted attribute, from what `partial_fit` has learned so far; the tokenizer itself does not change."""
        if name in _FITTED_ATTRIBUTES and self._stream_state() is not None:
            fitted = snapshot(self)
            fitted._fix_ids()
            return vars(fitted)[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _fitted_attributes(self) -> tuple[str, ...]:
        return _FITTED_ATTRIBUTES if "vocabulary_" in vars(self) else ()

    def _stream_state(self) -> _StreamState | None:
        return vars(self).get("_counting")

    def _fit_to_rows(self, kind: Kind, rows: Any) -> None:
        """`fit` for validated rows."""
        numbered = self._fit_vocabulary(kind, rows)
        ids = None if numbered is None else numbered.ids
        if ids is None and self.max_length is not None:
            ids = self._vocabulary().subword_ids(rows)
        self._count_truncated(ids)

    def _fit_to_ids(self, kind: Kind, rows: Any) -> IndexedTokens:
        """`fit_transform` for validated rows; tokens outside the vocabulary have ids too."""
        numbered = self._fit_vocabulary(kind, rows)
        if numbered is None:
            numbered = IndexedTokens(self._vocabulary().subword_ids(rows), [])
        self._count_truncated(numbered.ids)
        return numbered._replace(ids=self._vocabulary().cut(numbered.ids))

    def _to_ids(self, rows: Any) -> IndexedTokens:
        """`transform` for validated rows; tokens outside the vocabulary have ids too."""
        self._fix_ids()
        return self._vocabulary().to_ids(rows)

    def _vocabulary(self) -> Vocabulary:
        """The fitted vocabulary, with the current parameters."""
        vocabulary = Vocabulary(self._splitter(), self.tokens_, self.max_length, self.truncate, self.subword_model_)
        vars(vocabulary)["ids"] = self.vocabulary_  # saves the cost of building it again
        return vocabulary

    def _to_state(self) -> State:
        """The parameters, and the vocabulary or None before `fit`; after `partial_fit` this fixes the ids."""
        check_parameters(self, _CONSTRAINTS)
        is_fitted = self.__sklearn_is_fitted__()
        if is_fitted:
            self._fix_ids()
        fitted = snapshot(self)
        return {
            "parameters": parameters_state(fitted, _CONSTRAINTS),
            "vocabulary": fitted._vocabulary().to_state() if is_fitted else None,
            "n_truncated": fitted.n_truncated_ if is_fitted else None,
        }

    @classmethod
    def _from_state(cls, saved: Saved) -> Self:
        """The tokenizer of a saved state."""
        tokenizer = cls(**saved.part("parameters", partial(load_parameters, constraints=_CONSTRAINTS)))
        vocabulary = saved.optional("vocabulary", saved.part, Vocabulary.from_state)
        if vocabulary is None:
            return tokenizer
        tokenizer.input_kind_, tokenizer.level_ = vocabulary.splitter.kind, vocabulary.splitter.level
        tokenizer.tokens_, tokenizer.vocabulary_ = vocabulary.tokens, vocabulary.ids
        tokenizer.n_tokens_, tokenizer.subword_model_ = len(vocabulary), vocabulary.subword_model
        tokenizer.n_truncated_ = saved.optional("n_truncated", saved.integer)
        expected = tokenizer._vocabulary()
        matches = expected.splitter == vocabulary.splitter and expected.max_length == vocabulary.max_length
        matches = matches and expected.truncate == vocabulary.truncate
        saved.require(matches, "the parameters are not those of the vocabulary")
        return tokenizer

    def _fit_vocabulary(self, kind: Kind, rows: Any) -> IndexedTokens | None:
        """Learn the vocabulary; returns the ids of the rows if they are a by-product of that, else None."""
        kind = self._check_kind(kind)
        level: Level | Literal["auto"] = self.level
        if level == "auto":
            level = "word" if kind == "tokens" else choose_level(rows)
        self._set_level(kind, level)
        splitter = self._splitter()
        if level == "subword":
            self._set_subword_model(lambda *limits: subwords.train(map(splitter.line, rows), *limits))
            return None
        counts = TokenCounts(splitter, self.max_length)
        ids = counts.add(rows)
        selected, unselected, tokens = self._select_tokens(counts)
        new_ids = np.empty(len(tokens), dtype=np.int32)
        new_ids[np.concatenate([selected, unselected])] = np.arange(N_SPECIAL, N_SPECIAL + len(tokens))
        for piece in pieces(ids.values):
            piece[:] = new_ids[piece]
        return IndexedTokens(ids, [tokens[index] for index in unselected])

    def _check_kind(self, kind: Kind) -> _Kind:
        """Raise an error if parameters are invalid, or do not suit rows of this kind."""
        check_parameters(self, _CONSTRAINTS)
        if kind == "ids":
            raise ValueError("X holds token ids already: TextTokenizer learns from texts (str) or lists of str.")
        if kind == "tokens" and self.level not in ("auto", "word"):
            raise ValueError(
                f"level={self.level!r} splits texts, but X holds lists of tokens: pass texts (str), or use "
                "level='word'."
            )
        min_size = subwords.N_BYTES + N_SPECIAL
        if self.level == "subword" and (self.vocab_size is None or self.vocab_size < min_size):
            raise ValueError(
                f"The 'vocab_size' parameter of TextTokenizer must be an integer >= {min_size} with level='subword': "
                f"one id for each of the {subwords.N_BYTES} bytes, padding and unknown. "
                f"Got {self.vocab_size!r} instead."
            )
        return kind

    def _count_tokens(self, before: _StreamState | None, X: Any) -> _StreamState:
        """The state after counting the tokens of X too; `before` itself does not change."""
        check_parameters(self, _CONSTRAINTS)
        parameters = parameters_state(self, _COUNT_PARAMETERS)
        if before is not None:
            self._check_same_parameters(before.parameters, parameters)
            before = before._replace(counts=before.counts.copy())
        for kind, rows in validate_text_chunks(X, None if before is None else before.kind):
            if before is None:
                text_kind = self._check_kind(kind)
                before = _StreamState(text_kind, parameters, _new_counts(text_kind, parameters), StringifiedLists())
            if kind == "texts":
                before = before._replace(stringified_lists=before.stringified_lists.after(rows))
            before.counts.add(rows)
        assert before is not None  # `validate_text_chunks` raises an error for no rows
        return before

    def _check_same_parameters(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        for name, value in before.items():
            if now[name] != value:
                raise ValueError(
                    f"The {name!r} parameter of TextTokenizer was {value!r} in earlier calls of partial_fit and is "
                    f"{now[name]!r} now: the texts of those calls can't be split again. Set it back, or start again "
                    "with all texts: call fit, or partial_fit of a new tokenizer, sklearn.base.clone(tokenizer)."
                )

    def _fix_ids(self) -> None:
        """Build the vocabulary from the counts of `partial_fit`, unless it exists already."""
        check_is_fitted(self)
        stream = self._stream_state()
        if stream is not None:
            with fresh_state(self) as fresh:
                fresh._fit_to_counts(stream)

    def _fit_to_counts(self, stream: _StreamState) -> None:
        """Learn the vocabulary from counts, and drop them."""
        self._check_kind(stream.kind)
        stream.stringified_lists.check("X")
        counts = stream.counts.chosen()
        self._set_level(stream.kind, counts.splitter.level)
        if self.level_ == "subword":
            words = counts.tokens
            self._set_subword_model(lambda *limits: subwords.train_from_counts(words, counts.counts, *limits))
        else:
            self._select_tokens(counts)
        self.n_truncated_: int | None = counts.n_truncated

    def _set_level(self, kind: _Kind, level: Level) -> None:
        self.input_kind_, self.level_ = kind, level
        self.__dict__.pop("_counting", None)

    def _select_tokens(self, counts: TokenCounts) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
        """Select the vocabulary; returns the ids of its tokens, the other ids, and the token of each id."""
        tokens = counts.tokens
        max_tokens = None if self.vocab_size is None else self.vocab_size - N_SPECIAL
        selected, unselected = counts.choose(tokens, self.min_frequency, max_tokens)
        if counts.words is not None and (found := counts.words.describe_unknown(tokens)):
            warn(f"{found} Names, DNA and languages written without spaces need TextTokenizer(level='char').")
        self.subword_model_ = None
        self._set_vocabulary([tokens[index] for index in selected])
        return selected, unselected, tokens

    def _set_subword_model(self, learn: Callable[[int, int], Any]) -> None:
        assert self.vocab_size is not None  # checked
        self.subword_model_ = learn(self.vocab_size - N_SPECIAL, self.min_frequency)
        self._set_vocabulary(subwords.tokens_of(self.subword_model_))

    def _set_vocabulary(self, tokens: list[str]) -> None:
        self.tokens_ = SPECIAL_TOKENS + tokens
        self.n_tokens_ = len(self.tokens_)
        self.vocabulary_ = {token: N_SPECIAL + index for index, token in enumerate(tokens)}

    def _splitter(self) -> Splitter:
        return Splitter(self.input_kind_, self.level_, self.lowercase, self.normalize)

    def _count_truncated(self, ids: Ragged | None) -> None:
        self.n_truncated_ = 0
        if ids is not None and self.max_length is not None:
            self.n_truncated_ = int((ids.lengths > self.max_length).sum())

    def _decode_subwords(self, ids: list[int]) -> str:
        """Let the library decode each run of known ids, and put the unknown token between the runs."""
        pieces: list[str] = []
        run: list[int] = []
        for token_id in [*ids, UNKNOWN]:
            if token_id != UNKNOWN:
                run.append(token_id - N_SPECIAL)
                continue
            pieces += [self.subword_model_.decode(run), f" {SPECIAL_TOKENS[UNKNOWN]}"]
            run = []
        return "".join(pieces[:-1]).strip()
