"""TextTokenizer: learns a vocabulary, turns texts into ragged token ids and back."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from seqclf._data.ragged import Ragged
from seqclf._text.characters import clean, clean_token
from seqclf._text.levels import choose_level
from seqclf._text.unknown_words import find_unknown_words
from seqclf._text.word_splitter import TokenIndexer, number_tokens, number_words
from seqclf._validation.parameters import (
    all_or_nothing,
    boolean,
    check_output_container,
    check_parameters,
    integer,
    optional,
    options,
)
from seqclf._validation.texts import UNKNOWN, Kind, read_text_input
from seqclf._warn import warn

_N_SPECIAL = 2  # padding and unknown come before the first token
_N_BYTES = 256  # the alphabet that every subword vocabulary starts from
_SPECIAL_TOKENS = ["[PAD]", "[UNK]"]
_CHUNK = 1_000  # texts handed to the subword library at once
_PIECE = 1 << 19  # ids counted at once

_CONSTRAINTS = {
    "level": options("auto", "word", "char", "subword"),
    "vocab_size": optional(integer(_N_SPECIAL + 1)),
    "min_frequency": integer(1),
    "normalize": optional(options("NFC", "NFKC")),
    "lowercase": boolean(),
    "max_length": optional(integer(1)),
    "truncate": options("start", "end"),
}


class NumberedTokens(NamedTuple):
    """The tokens of texts as ids, end to end; those that are not in the vocabulary follow behind it."""

    ids: Ragged
    new_tokens: list[str]


class TextTokenizer(TransformerMixin, BaseEstimator):
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
    n_truncated_ : int
        How many of the texts in `fit` lost tokens to `max_length`.
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
        X : list, array, Series or one-column frame of str, or of lists of str
            The training texts, or their tokens.
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
        with all_or_nothing(self):
            kind, rows = read_text_input(X)
            learned = self._learn(kind, rows)
            ids = None if learned is None else learned.ids
            if ids is None and self.max_length is not None:
                ids = self._subword_ids(rows)
            self._count_truncated(ids)
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
        with all_or_nothing(self):
            return self._known(self._fit_to_ids(*read_text_input(X)).ids).items()

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
        check_is_fitted(self, "vocabulary_")
        return self._known(self._to_ids(read_text_input(X, kind=self.input_kind_)[1]).ids).items()

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
        check_is_fitted(self, "vocabulary_")
        _, ids = read_text_input(X, kind="ids", max_id=self.n_tokens_ - 1)
        if self.subword_model_ is not None:
            return [self._decode_subwords(row.tolist()) for row in ids.items()]
        separator = "" if self.level_ == "char" else " "
        return [separator.join(map(self.tokens_.__getitem__, row.tolist())) for row in ids.items()]

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

    def _fit_to_ids(self, kind: Kind, rows: Any) -> NumberedTokens:
        """`fit_transform` for rows that were validated; unknown tokens have ids too."""
        learned = self._learn(kind, rows)
        if learned is None:
            learned = NumberedTokens(self._subword_ids(rows), [])
        self._count_truncated(learned.ids)
        return learned._replace(ids=self._cut(learned.ids))

    def _to_ids(self, rows: Any) -> NumberedTokens:
        """`transform` for rows that were validated; unknown tokens have ids too."""
        if self.subword_model_ is not None:
            return NumberedTokens(self._cut(self._subword_ids(rows)), [])
        find = self.vocabulary_.get
        new: defaultdict[str, int] = defaultdict()
        new.default_factory = lambda: self.n_tokens_ + len(new)
        ids = self._number(rows, lambda tokens: [find(token) or new[token] for token in tokens])
        return NumberedTokens(self._cut(ids), list(new))

    def _known(self, ids: Ragged) -> Ragged:
        """The ids with one for all unknown tokens."""
        known = np.where(ids.values < self.n_tokens_, ids.values, np.int32(UNKNOWN))
        return Ragged(known, ids.lengths)

    def _learn(self, kind: Kind, rows: Any) -> NumberedTokens | None:
        """Learn the vocabulary; gives the tokens of the rows where they fall out of that."""
        check_parameters(self, _CONSTRAINTS)
        if kind == "ids":
            raise ValueError("X holds token ids already: TextTokenizer learns from texts (str) or lists of str.")
        if kind == "tokens" and self.level not in ("auto", "word"):
            raise ValueError(
                f"level={self.level!r} splits the texts itself and X holds lists of tokens: "
                'pass texts (str), or use level="word".'
            )
        self.input_kind_ = kind
        self.level_ = self.level
        if self.level == "auto":
            self.level_ = "word" if kind == "tokens" else choose_level(rows)
        if self.level_ != "subword":
            return self._learn_tokens(rows)
        self._learn_subwords(rows)
        return None

    def _learn_tokens(self, rows: Sequence[Any]) -> NumberedTokens:
        """Choose the vocabulary; returns the tokens of the rows, for which the texts need not be split again."""
        first_seen: defaultdict[str, int] = defaultdict()
        first_seen.default_factory = first_seen.__len__
        ids = self._number(rows, partial(map, first_seen.__getitem__))
        tokens = list(first_seen)
        # Piece by piece: of each numpy makes numbers of 64 bits.
        pieces = np.split(ids.values, range(_PIECE, ids.n_steps, _PIECE))
        counts = np.zeros(len(tokens), dtype=np.int64)
        for piece in pieces:
            counts += np.bincount(piece, minlength=len(tokens))

        by_token = np.array(sorted(range(len(tokens)), key=tokens.__getitem__), dtype=np.int64)
        by_frequency = by_token[np.argsort(-counts[by_token], kind="stable")]
        kept = by_frequency[counts[by_frequency] >= self.min_frequency]
        if self.vocab_size is not None:
            kept = kept[: self.vocab_size - _N_SPECIAL]
        if not len(kept):
            raise ValueError(
                f"Empty vocabulary: none of the {len(tokens)} different tokens of {len(rows)} texts occurs "
                f"min_frequency={self.min_frequency} times."
            )
        if self.level_ == "word" and self.input_kind_ == "texts" and (found := find_unknown_words(ids, tokens)):
            warn(f'{found} Names, DNA and languages written without spaces need TextTokenizer(level="char").')
        self.subword_model_: Any = None
        self._keep_vocabulary([tokens[index] for index in kept])
        others = np.setdiff1d(by_frequency, kept)
        final = np.empty(len(tokens), dtype=np.int32)
        final[np.concatenate([kept, others])] = np.arange(_N_SPECIAL, _N_SPECIAL + len(tokens))
        for piece in pieces:
            piece[:] = final[piece]
        return NumberedTokens(ids, [tokens[index] for index in others])

    def _keep_vocabulary(self, tokens: list[str]) -> None:
        self.tokens_ = _SPECIAL_TOKENS + tokens
        self.n_tokens_ = len(self.tokens_)
        self.vocabulary_ = {token: _N_SPECIAL + index for index, token in enumerate(tokens)}

    def _number(self, rows: Sequence[Any], index_tokens: TokenIndexer) -> Ragged:
        """Split each row into tokens and put the ids of all of them end to end."""
        if self.input_kind_ == "tokens":
            return number_tokens(([self._clean_token(token) for token in row] for row in rows), index_tokens)
        if self.level_ == "char":
            return number_tokens(map(self._clean_line, rows), index_tokens)
        return number_words(rows, index_tokens, self.lowercase, self.normalize)

    def _count_truncated(self, ids: Ragged | None) -> None:
        longest = self.max_length
        self.n_truncated_ = 0 if ids is None or longest is None else int((ids.lengths > longest).sum())

    def _cut(self, ids: Ragged) -> Ragged:
        return ids.truncated(self.max_length, self.truncate)

    def _learn_subwords(self, texts: Sequence[str]) -> None:
        if self.vocab_size is None or self.vocab_size < _N_BYTES + _N_SPECIAL:
            raise ValueError(
                f'vocab_size must be an integer >= {_N_BYTES + _N_SPECIAL} for level="subword": one id for each of the '
                f"{_N_BYTES} bytes, padding and unknown. Got {self.vocab_size!r} instead."
            )
        try:
            import tokenizers
        except ImportError as error:
            raise ImportError(
                'TextTokenizer(level="subword") needs the package tokenizers: pip install "seqclf[subword]"'
            ) from error
        byte_level = tokenizers.pre_tokenizers.ByteLevel
        model = tokenizers.Tokenizer(tokenizers.models.BPE())
        model.pre_tokenizer = byte_level(add_prefix_space=True)  # the first word is then spelled like the others
        model.decoder = tokenizers.decoders.ByteLevel()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=self.vocab_size - _N_SPECIAL,
            min_frequency=self.min_frequency,
            initial_alphabet=sorted(byte_level.alphabet()),
            show_progress=False,
        )
        model.train_from_iterator(map(self._clean_for_subwords, texts), trainer)
        self.subword_model_ = model
        vocabulary = model.get_vocab()
        self._keep_vocabulary(sorted(vocabulary, key=vocabulary.__getitem__))

    def _subword_ids(self, texts: Sequence[str]) -> Ragged:
        rows: list[NDArray[np.int32]] = []
        # In chunks: what the library keeps of each text is many times larger than the ids.
        for start in range(0, len(texts), _CHUNK):
            lines = list(map(self._clean_for_subwords, texts[start : start + _CHUNK]))
            encodings = self.subword_model_.encode_batch_fast(lines)
            rows += [np.array(encoding.ids, dtype=np.int32) + _N_SPECIAL for encoding in encodings]
        return Ragged.from_items(rows, dtype=np.int32)

    def _decode_subwords(self, ids: list[int]) -> str:
        """Decode each run of known ids by the library, and write the unknown token between them."""
        pieces: list[str] = []
        run: list[int] = []
        for number in [*ids, UNKNOWN]:
            if number != UNKNOWN:
                run.append(number - _N_SPECIAL)
                continue
            pieces += [self.subword_model_.decode(run), f" {_SPECIAL_TOKENS[UNKNOWN]}"]
            run = []
        return "".join(pieces[:-1]).strip()

    def _clean_token(self, token: str) -> str:
        return clean_token(token, self.lowercase, self.normalize)

    def _clean_line(self, text: str) -> str:
        """The text on one line: runs of white space are one space, and there is none at the ends."""
        return " ".join(clean(text, self.lowercase, self.normalize).split())

    def _clean_for_subwords(self, text: str) -> str:
        """The same without half surrogates, which the subword library refuses."""
        return self._clean_line(text).encode("utf-8", "replace").decode("utf-8")
