"""TextTokenizer: learns a vocabulary, turns texts into ragged token ids and back."""

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
from seqclf._text.saved_counts import counts_to_state, read_counts
from seqclf._text.splitter import Level, Splitter
from seqclf._text.token_counts import TextCounts, TokenCounts, pieces
from seqclf._text.vocabulary import N_SPECIAL, SPECIAL_TOKENS, NumberedTokens, Vocabulary
from seqclf._unpickling import CheckedState
from seqclf._validation.parameters import (
    boolean,
    check_output_container,
    check_parameters,
    integer,
    optional,
    options,
    parameters_state,
    read_parameters,
)
from seqclf._validation.text_stream import is_stream, read_text_parts
from seqclf._validation.texts import UNKNOWN, Kind, WrittenLists, read_text_input
from seqclf._warn import warn

_COUNTED_BY = ("level", "normalize", "lowercase", "max_length")  # the parameters that counts depend on
_LEARNED = ("vocabulary_", "tokens_", "n_tokens_", "n_truncated_", "input_kind_", "level_", "subword_model_")

_CONSTRAINTS = {
    "level": options("auto", "word", "char", "subword"),
    "vocab_size": optional(integer(N_SPECIAL + 1)),
    "min_frequency": integer(1),
    "normalize": optional(options("NFC", "NFKC")),
    "lowercase": boolean(),
    "max_length": optional(integer(1)),
    "truncate": options("start", "end"),
}


_Kind = Literal["texts", "tokens"]  # what can be learned from


class _Progress(NamedTuple):
    """What `partial_fit` knows of the texts so far."""

    kind: _Kind
    parameters: dict[str, Any]
    counts: TextCounts
    written_lists: WrittenLists

    def to_state(self) -> State:
        """Plain values and arrays, with which another process can go on."""
        return {
            "kind": self.kind,
            "parameters": self.parameters,
            "counts": counts_to_state(self.counts),
            "written_lists": self.written_lists._asdict(),
        }

    @classmethod
    def from_state(cls, saved: Saved) -> Self:
        """The same of a saved state."""
        kind = saved.option("kind", ["texts", "tokens"])
        constraints = {name: _CONSTRAINTS[name] for name in _COUNTED_BY}
        parameters = saved.part("parameters", partial(read_parameters, constraints=constraints))
        counts = _new_counts(kind, parameters)
        saved.part("counts", lambda own: read_counts(own, counts))
        return cls(kind, parameters, counts, saved.part("written_lists", _read_written_lists))


def _new_counts(kind: _Kind, parameters: State) -> TextCounts:
    level = parameters["level"]
    levels: tuple[Level, ...] = ("word", "char") if level == "auto" else (level,)
    splitters = [Splitter(kind, level, parameters["lowercase"], parameters["normalize"]) for level in levels]
    return TextCounts(splitters[:1] if kind == "tokens" else splitters, parameters["max_length"])


def _read_written_lists(saved: Saved) -> WrittenLists:
    example = saved.optional("example", saved.text)
    return WrittenLists(saved.boolean("all_are"), saved.integer("n_texts"), saved.integer("row"), example)


class TextTokenizer(CheckedState, TransformerMixin, BaseEstimator):
    """Turn texts into sequences of token ids.

    The vocabulary is learned in `fit`: id 0 is padding (it never occurs in the output), 1 is the unknown token, and
    the tokens follow from 2 on, the most frequent first. The output is ragged, each text keeps its own length;
    :class:`SequencePadder` makes one array of it where that is wanted.

    Parameters
    ----------
    level : {"auto", "word", "char", "subword"}, default="auto"
        What a token is.

        - "auto": "char" where at least a quarter of the letters are of scripts written without spaces (Chinese,
          Japanese, Thai, Khmer ...) or Korean, or where at least half of the texts are one word (names, codes); else
          "word", and for lists of tokens always. A sample of 1,000 texts decides; `level_` tells what was chosen.
        - "word": a run of letters, digits and underscores, with apostrophes inside (*don't*); any other mark that is
          not white space is a token of its own, an emoji with its skin tone, a flag or a family too. The fastest to
          train on, and the easiest to read.
        - "char": a single character. A small vocabulary that knows every word, but sequences five times as long, and
          as many more steps to compute. A good choice for languages written without spaces or rich in endings.
        - "subword": pieces of words, learned by byte-level byte pair encoding. No text has an unknown token. Takes
          several times as long as words, and needs the package `tokenizers`: ``pip install "seqclf[subword]"``.
    vocab_size : int or None, default=30_000
        The largest number of ids, padding and unknown included; the most frequent tokens are kept. An embedding has
        one row for each, so this is what most of a small model's memory goes to. None keeps all tokens (not for
        "subword", which always needs a size, of at least 258).
    min_frequency : int, default=1
        Tokens that occur less often in the training texts become unknown. Raising it drops rare names and
        misspellings, and lets the model meet the unknown token in training. For "subword", the least number of times
        that a pair of pieces must occur to be merged.
    normalize : {"NFC", "NFKC"} or None, default="NFC"
        The Unicode normal form that texts are brought into first. "NFC" reads *é* in one character or two as the same;
        "NFKC" also reads full-width letters, ligatures and other variants as the usual ones, which loses that
        difference; None keeps different spellings apart.
    lowercase : bool, default=True
        Read *Good* and *good* as one token. False keeps them apart, which costs vocabulary.
    max_length : int or None, default=None
        Cut longer sequences to this many tokens; None cuts nothing. Time and memory of training grow with the length:
        a text of a million words costs a fit of `RNNTextClassifier` about two seconds an epoch and 1 GB on one core.
        The vocabulary is learned from the whole texts.
    truncate : {"start", "end"}, default="start"
        The side that is cut off: "start" keeps the last tokens, where a review says its verdict, "end" the first.

    Attributes
    ----------
    vocabulary_ : dict of str -> int
        The id of each token, from 2 on; padding and unknown have none, so that no text can contain them.
    tokens_ : list of str
        The token of each id; ``tokens_[0]`` is "[PAD]", ``tokens_[1]`` is "[UNK]". Subwords are spelled in the
        alphabet of the library, where "Ġ" stands for a space.
    n_tokens_ : int
        The number of ids, at most `vocab_size`: the number of rows an embedding needs.
    n_truncated_ : int or None
        How many of the texts in `fit` lost tokens to `max_length`. None where `level="subword"` was learned in one pass
        over the texts, by `partial_fit` or from an iterator: it is not known then into how many pieces each was cut.
    input_kind_ : {"texts", "tokens"}
        What `fit` was given: texts, or lists of tokens.
    level_ : {"word", "char", "subword"}
        What a token is, by `level`.
    subword_model_ : tokenizers.Tokenizer or None
        The trained model of the library for "subword", None for other levels. Its ids are those of `tokens_` less 2.

    See Also
    --------
    SequencePadder : Turns the ragged ids into one padded array.

    Notes
    -----
    Before it is split, a text is changed in these ways only: it is brought into the form of `normalize`; soft hyphens,
    word joiners, byte-order marks and marks of the writing direction are dropped, and a zero-width space is a space,
    whatever `normalize` is; HTML line breaks (``<br />``, ``</br>``, ``<BR clear="all">``) become a space, the
    typographic apostrophe ``’`` becomes ``'``, and letters become small if `lowercase`. Other markup stays. The
    zero-width joiner and non-joiner stay inside their word, as Persian and the scripts of India need it. For "char" and
    "subword", runs of white space become one space, and there is none at the ends.

    Texts that do not fit into memory are read one after another: `fit` takes any iterable, such as a generator or the
    lines of a file, and `partial_fit` takes them part after part, in any number of calls. In memory are then the counts
    of the different tokens and a part of the texts, and the vocabulary is that of one `fit` on a list of all texts.
    With `level="auto"` words and characters are both counted, which takes longer than `level="word"`. The ids are fixed
    by the first `transform`; until then the attributes tell what has been learned so far, which is worked out whenever
    one is read.

    `fit` also takes texts that were split already, as lists of str, with `level="auto"` or "word"; these tokens are
    not split again, but brought into the form of `normalize` without invisible characters, and lowercased if
    `lowercase`. What `transform` takes is of the same kind.

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

    Texts that come part after part, each of them an iterable of any size:

    >>> tokenizer = TextTokenizer(vocab_size=4)
    >>> for part in (["Good film, good music."], iter(["Not good!", "A good film"])):
    ...     tokenizer = tokenizer.partial_fit(part)
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
        """Learn the vocabulary. After an error the tokenizer is as it was before.

        Parameters
        ----------
        X : list, array, Series, one-column frame or iterable of str, or of lists of str
            The training texts, or their tokens. An iterator, such as a generator or an open file, is read once, and its
            texts are not kept.
        y : None
            Ignored; it is here so that the tokenizer fits into a pipeline.

        Returns
        -------
        TextTokenizer
            The fitted tokenizer itself.

        Warns
        -----
        UserWarning
            Where words are tokens and most words of new texts will be unknown: names, DNA, Chinese.

        Raises
        ------
        ValueError
            Where a parameter or a row of X is not valid, or no token is left for the vocabulary.
        ImportError
            Where `level="subword"` and the package `tokenizers` is not installed.
        """
        with fresh_state(self) as fresh:
            if is_stream(X):
                fresh._finish(fresh._count(None, X))
            else:
                fresh._fit_to_rows(*read_text_input(X))
        return self

    def partial_fit(self, X: Any, y: Any = None) -> "TextTokenizer":
        """Go on with the counts of tokens, from which the first `transform` makes the vocabulary.

        Calls with parts of the texts learn what one `fit` on all of them learns. What only all texts show, an empty
        vocabulary or words that are the wrong tokens, is raised or warned of by the first `transform`. After an error
        the tokenizer is as it was before.

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
        ValueError
            Where a parameter or a row of X is not valid; where a parameter that says how texts are split was changed
            between two calls; or where the ids are fixed, by `fit` or by the first `transform`.
        ImportError
            Where `level="subword"` and the package `tokenizers` is not installed.
        """
        before = self._progress()
        if before is None and "vocabulary_" in vars(self):
            raise ValueError(
                "The ids of this TextTokenizer are fixed, by fit or by the first transform after partial_fit: more "
                "texts would change them. Count these texts too before the first transform, or learn anew from all "
                "texts: call fit, or partial_fit of a new tokenizer, sklearn.base.clone(tokenizer)."
            )
        with fresh_state(self) as fresh:
            fresh._counting = fresh._count(before, X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> NDArray[np.object_]:
        """Learn the vocabulary and return the ids of the same texts, splitting each text only once.

        Parameters
        ----------
        X : list, array, Series or one-column frame of str, or of lists of str
            The training texts, or their tokens.
        y : None
            Ignored.

        Returns
        -------
        ndarray of shape (n_texts,), dtype object
            One int32 array of ids for each text, the same as from ``fit(X).transform(X)``.
        """
        with fresh_state(self) as fresh:
            ids = fresh._fit_to_ids(*read_text_input(X)).ids
            return fresh._vocabulary().known(ids).items()

    def transform(self, X: Any) -> NDArray[np.object_]:
        """Turn texts into ids.

        Parameters
        ----------
        X : list, array, Series or one-column frame of str, or of lists of str
            Texts or tokens, as in `fit`.

        Returns
        -------
        ndarray of shape (n_texts,), dtype object
            One int32 array of ids for each text; a text without tokens gives an empty one.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Where a row of X is not valid.
        """
        self._fix_ids()
        vocabulary = snapshot(self)._vocabulary()
        rows = read_text_input(X, kind=vocabulary.splitter.kind)[1]
        return vocabulary.known(vocabulary.to_ids(rows).ids).items()

    def inverse_transform(self, X: Any) -> list[str]:
        """Turn ids back into texts.

        Parameters
        ----------
        X : list or object array of ids, or array of shape (n_texts, n_steps) padded with zeros
            As from `transform`, or from a :class:`SequencePadder` after it.

        Returns
        -------
        list of str
            Words joined by a space, characters by nothing, subwords by the rules of their library. An unknown token
            reads "[UNK]"; padding is dropped.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Where a row holds something else than the ids of this vocabulary.
        """
        self._fix_ids()
        fitted = snapshot(self)
        _, ids = read_text_input(X, kind="ids", max_id=fitted.n_tokens_ - 1)
        if fitted.subword_model_ is not None:
            return [fitted._decode_subwords(row.tolist()) for row in ids.items()]
        separator = "" if fitted.level_ == "char" else " "
        return [separator.join(map(fitted.tokens_.__getitem__, row.tolist())) for row in ids.items()]

    def set_output(self, *, transform: Literal["default", "pandas", "polars"] | None = None) -> "TextTokenizer":
        """Change nothing: ragged ids are no table, so the output is the same under every setting.

        The method is here because a pipeline hands its own `set_output` on to each of its steps.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, default=None
            Only checked.

        Returns
        -------
        TextTokenizer
            The tokenizer itself.

        Raises
        ------
        ValueError
            For a container that there is not.
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
        """A subword model as the pairs of tokens that it merges, and counts as plain values and arrays."""
        state = super().__getstate__()
        if (model := state.get("subword_model_")) is not None:
            state["subword_model_"] = subwords.merges_of(model)
        if (progress := state.get("_counting")) is not None:
            state["_counting"] = progress.to_state()
        return state

    def _restore(self, saved: Saved) -> None:
        if "_counting" in saved:
            self._counting = saved.part("_counting", _Progress.from_state)
        if "vocabulary_" not in saved:
            return
        check_parameters(self, _CONSTRAINTS)
        self.subword_model_: Any = None  # until the tokens that it is made of were checked
        learned = self._vocabulary().to_state() | {"merges": saved.value("subword_model_")}
        vocabulary = Vocabulary.from_state(Saved(learned))
        saved.require(vocabulary.ids == saved.value("vocabulary_"), "its vocabulary_ is not that of its tokens_")
        saved.require(saved.integer("n_tokens_") == len(vocabulary), "its n_tokens_ is not the number of its tokens_")
        saved.optional("n_truncated_", saved.integer)
        self.vocabulary_, self.subword_model_ = vocabulary.ids, vocabulary.subword_model

    def __sklearn_is_fitted__(self) -> bool:
        return "vocabulary_" in vars(self) or self._progress() is not None

    def __getattr__(self, name: str) -> Any:
        """What `partial_fit` has learned so far; the tokenizer does not change by that."""
        if name in _LEARNED and self._progress() is not None:
            so_far = snapshot(self)
            so_far._fix_ids()
            return vars(so_far)[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _learned(self) -> tuple[str, ...]:
        return _LEARNED if "vocabulary_" in vars(self) else ()

    def _progress(self) -> _Progress | None:
        return vars(self).get("_counting")

    def _fit_to_rows(self, kind: Kind, rows: Any) -> None:
        """`fit` for rows that were validated."""
        learned = self._learn(kind, rows)
        ids = None if learned is None else learned.ids
        if ids is None and self.max_length is not None:
            ids = self._vocabulary().subword_ids(rows)
        self._count_truncated(ids)

    def _fit_to_ids(self, kind: Kind, rows: Any) -> NumberedTokens:
        """`fit_transform` for rows that were validated; unknown tokens have ids too."""
        learned = self._learn(kind, rows)
        if learned is None:
            learned = NumberedTokens(self._vocabulary().subword_ids(rows), [])
        self._count_truncated(learned.ids)
        return learned._replace(ids=self._vocabulary().cut(learned.ids))

    def _to_ids(self, rows: Any) -> NumberedTokens:
        """`transform` for rows that were validated; unknown tokens have ids too."""
        self._fix_ids()
        return self._vocabulary().to_ids(rows)

    def _vocabulary(self) -> Vocabulary:
        """What was learned, with the present parameters."""
        vocabulary = Vocabulary(self._splitter(), self.tokens_, self.max_length, self.truncate, self.subword_model_)
        vars(vocabulary)["ids"] = self.vocabulary_  # which need not be made again
        return vocabulary

    def _to_state(self) -> State:
        """The parameters and the vocabulary, None before `fit`; a tokenizer that counts texts fixes its ids first."""
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
        tokenizer = cls(**saved.part("parameters", partial(read_parameters, constraints=_CONSTRAINTS)))
        vocabulary = saved.optional("vocabulary", saved.part, Vocabulary.from_state)
        if vocabulary is None:
            return tokenizer
        tokenizer.input_kind_, tokenizer.level_ = vocabulary.splitter.kind, vocabulary.splitter.level
        tokenizer.tokens_, tokenizer.vocabulary_ = vocabulary.tokens, vocabulary.ids
        tokenizer.n_tokens_, tokenizer.subword_model_ = len(vocabulary), vocabulary.subword_model
        tokenizer.n_truncated_ = saved.optional("n_truncated", saved.integer)
        made = tokenizer._vocabulary()
        alike = made.splitter == vocabulary.splitter and made.max_length == vocabulary.max_length
        alike = alike and made.truncate == vocabulary.truncate
        saved.require(alike, "the parameters are not those of the vocabulary")
        return tokenizer

    def _learn(self, kind: Kind, rows: Any) -> NumberedTokens | None:
        """Learn the vocabulary; gives the tokens of the rows where they fall out of that."""
        kind = self._check(kind)
        level: Level | Literal["auto"] = self.level
        if level == "auto":
            level = "word" if kind == "tokens" else choose_level(rows)
        self._keep_level(kind, level)
        splitter = self._splitter()
        if level == "subword":
            self._keep_subwords(lambda *limits: subwords.learn(map(splitter.line, rows), *limits))
            return None
        counts = TokenCounts(splitter, self.max_length)
        ids = counts.add(rows)
        kept, others, tokens = self._learn_from_counts(counts)
        final = np.empty(len(tokens), dtype=np.int32)
        final[np.concatenate([kept, others])] = np.arange(N_SPECIAL, N_SPECIAL + len(tokens))
        for piece in pieces(ids.values):
            piece[:] = final[piece]
        return NumberedTokens(ids, [tokens[index] for index in others])

    def _check(self, kind: Kind) -> _Kind:
        """Refuse parameters that are not valid or do not go with rows of this kind."""
        check_parameters(self, _CONSTRAINTS)
        if kind == "ids":
            raise ValueError("X holds token ids already: TextTokenizer learns from texts (str) or lists of str.")
        if kind == "tokens" and self.level not in ("auto", "word"):
            raise ValueError(
                f"level={self.level!r} splits the texts itself and X holds lists of tokens: "
                'pass texts (str), or use level="word".'
            )
        least = subwords.N_BYTES + N_SPECIAL
        if self.level == "subword" and (self.vocab_size is None or self.vocab_size < least):
            raise ValueError(
                f'vocab_size must be an integer >= {least} for level="subword": one id for each of the '
                f"{subwords.N_BYTES} bytes, padding and unknown. Got {self.vocab_size!r} instead."
            )
        return kind

    def _count(self, before: _Progress | None, X: Any) -> _Progress:
        """Go on with the counts, or begin with them; `before` stays as it is."""
        check_parameters(self, _CONSTRAINTS)
        parameters = parameters_state(self, _COUNTED_BY)
        if before is not None:
            self._refuse_change(before.parameters, parameters)
            before = before._replace(counts=before.counts.copy())
        for kind, rows in read_text_parts(X, None if before is None else before.kind):
            if before is None:
                learned_from = self._check(kind)
                before = _Progress(learned_from, parameters, _new_counts(learned_from, parameters), WrittenLists())
            if kind == "texts":
                before = before._replace(written_lists=before.written_lists.after(rows))
            before.counts.add(rows)
        assert before is not None  # there is at least one part
        return before

    def _refuse_change(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        for name, value in before.items():
            if now[name] != value:
                raise ValueError(
                    f"The {name!r} parameter of TextTokenizer was {value!r} in the calls of partial_fit before and is "
                    f"{now[name]!r} now: the texts of these calls can't be split again. Set it back, or learn anew "
                    "from all texts: call fit, or partial_fit of a new tokenizer, sklearn.base.clone(tokenizer)."
                )

    def _fix_ids(self) -> None:
        """Make the vocabulary of the counts of `partial_fit`, if that has not been done."""
        check_is_fitted(self)
        progress = self._progress()
        if progress is not None:
            with fresh_state(self) as fresh:
                fresh._finish(progress)

    def _finish(self, progress: _Progress) -> None:
        """Learn what counts tell, and drop them."""
        self._check(progress.kind)
        progress.written_lists.refuse("X")
        counts = progress.counts.chosen()
        self._keep_level(progress.kind, counts.splitter.level)
        if self.level_ == "subword":
            words = counts.tokens
            self._keep_subwords(lambda *limits: subwords.learn_from_counts(words, counts.counts, *limits))
        else:
            self._learn_from_counts(counts)
        self.n_truncated_: int | None = counts.n_truncated

    def _keep_level(self, kind: _Kind, level: Level) -> None:
        self.input_kind_, self.level_ = kind, level
        self.__dict__.pop("_counting", None)

    def _learn_from_counts(self, counts: TokenCounts) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
        """Choose the vocabulary; gives the ids of its tokens and the other ids, and the token of each id."""
        tokens = counts.tokens
        most = None if self.vocab_size is None else self.vocab_size - N_SPECIAL
        kept, others = counts.choose(tokens, self.min_frequency, most)
        if counts.words is not None and (found := counts.words.find_unknown(tokens)):
            warn(f'{found} Names, DNA and languages written without spaces need TextTokenizer(level="char").')
        self.subword_model_ = None
        self._keep_vocabulary([tokens[index] for index in kept])
        return kept, others, tokens

    def _keep_subwords(self, learn: Callable[[int, int], Any]) -> None:
        assert self.vocab_size is not None  # checked
        self.subword_model_ = learn(self.vocab_size - N_SPECIAL, self.min_frequency)
        self._keep_vocabulary(subwords.tokens_of(self.subword_model_))

    def _keep_vocabulary(self, tokens: list[str]) -> None:
        self.tokens_ = SPECIAL_TOKENS + tokens
        self.n_tokens_ = len(self.tokens_)
        self.vocabulary_ = {token: N_SPECIAL + index for index, token in enumerate(tokens)}

    def _splitter(self) -> Splitter:
        return Splitter(self.input_kind_, self.level_, self.lowercase, self.normalize)

    def _count_truncated(self, ids: Ragged | None) -> None:
        longest = self.max_length
        self.n_truncated_ = 0
        if ids is not None and longest is not None:
            self.n_truncated_ = int((ids.lengths > longest).sum())

    def _decode_subwords(self, ids: list[int]) -> str:
        """Decode each run of known ids by the library, and write the unknown token between them."""
        pieces: list[str] = []
        run: list[int] = []
        for number in [*ids, UNKNOWN]:
            if number != UNKNOWN:
                run.append(number - N_SPECIAL)
                continue
            pieces += [self.subword_model_.decode(run), f" {SPECIAL_TOKENS[UNKNOWN]}"]
            run = []
        return "".join(pieces[:-1]).strip()
