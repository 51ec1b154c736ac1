"""Ids for the n-grams of token ids, and the rows in which they occur. No targets are involved.

An n-gram is a token with the n - 1 tokens before it. The n-grams that occur in enough rows have ids from 1, separately
for each n, in the order of their token ids. N-grams in a single row get the next ids, if they are requested. All other
n-grams have the id 0.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seqclf._data.ragged import Ragged
from seqclf._saved import Saved, State

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# The smallest number of rows of a frequent n-gram. An n-gram in a single row is of no use to the model that is fitted
# without the fold of that row.
_MIN_ROWS = 2
# If there are more n-grams in a single row than this, they have no ids: a model of 25,000 reviews stays below 30 MB.
_MAX_RARE = 2**19
# The id of all other n-grams.
_UNSEEN = 0
# The kinds of n-grams: without an id, frequent, and in a single row; ids of rare n-grams follow those of frequent ones.
_NONE, _FREQUENT, _RARE = 0, 1, 2


class NGramOccurrences(NamedTuple):
    """The rows in which the n-grams of one length occur.

    Parameters
    ----------
    selected : csr_array of shape (n_ngrams, n_rows), bool
        The occurrences of the frequent n-grams, by their ids; row 0 is empty.
    n_total : int
        The number of n-grams: all token ids for n = 1; for longer ones the selected ones, and one for the rest.
    n_unselected : ndarray of shape (n_rows,)
        For n = 1, the number of distinct tokens in each row that are not selected; 0 for longer n-grams.
    """

    selected: "csr_array"
    n_total: int
    n_unselected: NDArray[np.int64]


class LongerNGrams(NamedTuple):
    """The n-grams of one length, two or more, that have an id.

    Parameters
    ----------
    keys : ndarray of shape (n_ngrams,), int64
        The id of the n-gram without its last token, times the number of token ids, plus the last token; in ascending
        order.
    ids : ndarray of shape (n_ngrams,), int32
        The ids of the n-grams.
    """

    keys: NDArray[np.int64]
    ids: NDArray[np.int32]


class NGrams:
    """The ids of the n-grams of training rows, for every n up to `n_orders`.

    Parameters
    ----------
    n_orders : int
        The longest n-grams: 1 for single tokens, 2 for tokens and pairs, and so on.
    vocab_size : int
        Number of token ids.
    max_rare_order : int, default=0
        Up to this n, the n-grams in a single row have ids too, unless there are more than 2**19 of them.

    Attributes
    ----------
    of_tokens_ : ndarray of shape (vocab_size,), int32
        The n-gram id of each token id.
    longer_ : tuple of LongerNGrams
        The longer n-grams, for n = 2 and more.
    n_frequent_ : list of int
        For n = 1 and more, the number of frequent n-grams; these have the first ids.

    Examples
    --------
    >>> from seqclf._data.ragged import Ragged
    >>> from seqclf._label_features.ngrams import NGrams
    >>> ngrams = NGrams(n_orders=2, vocab_size=9)
    >>> rows = Ragged.from_items([[7, 4, 7], [4, 7], [5, 4, 4]])
    >>> for ngram_ids, occurrences in ngrams.fit_transform(rows, limit=100):
    ...     print(ngram_ids, occurrences.selected.toarray().astype(int).tolist())
    [2 1 2 1 2 0 1 1] [[0, 0, 0], [1, 1, 1], [1, 1, 0]]
    [0 0 1 0 1 0 0 0] [[0, 0, 0], [1, 1, 0]]
    >>> ngrams.transform(Ragged.from_items([[4, 7, 4]]))
    [array([1, 2, 1], dtype=int32), array([0, 1, 0], dtype=int32)]
    """

    of_tokens_: NDArray[np.int32]
    longer_: tuple[LongerNGrams, ...]
    n_frequent_: list[int]

    def __init__(self, n_orders: int, vocab_size: int, max_rare_order: int = 0):
        self.n_orders, self.vocab_size, self.max_rare_order = n_orders, vocab_size, max_rare_order

    def fit_transform(self, ids: Ragged, limit: int) -> Iterator[tuple[NDArray[np.int32], NGramOccurrences]]:
        """Assign ids to the n-grams of training rows; for n = 1 and more, yield the id at each step and occurrences.

        At most `limit` n-grams of each n get an id, those in the most rows. `NGramOccurrences` does not include n-grams
        in a single row.
        """
        row_of_step = np.repeat(np.arange(len(ids), dtype=np.int32), ids.lengths)
        occurrences = _matrix(ids.values, row_of_step, (self.vocab_size, len(ids)))
        is_frequent = _select_frequent(np.diff(occurrences.indptr), limit)
        self.n_frequent_ = [int(np.count_nonzero(is_frequent))]
        kinds = _kinds(is_frequent, np.diff(occurrences.indptr), limit, self.max_rare_order > 0)
        self.of_tokens_ = _ids_of_kinds(kinds)
        ngram_ids, selected = self.of_tokens_[ids.values], _prepend_empty(occurrences, is_frequent)
        n_all, n_selected = (np.bincount(matrix.indices, minlength=len(ids)) for matrix in (occurrences, selected))
        yield ngram_ids, NGramOccurrences(selected, self.vocab_size, n_all - n_selected)

        self.longer_ = ()
        no_unselected = np.zeros(len(ids), dtype=np.int64)
        for order in range(1, self.n_orders):
            # All n-grams that occur, in the order of their keys; the ids of the frequent ones are in the same order.
            steps, keys = self._keys(ids, ngram_ids)
            keys, key_index = np.unique(keys, return_inverse=True)
            occurrences = _matrix(key_index, row_of_step[steps], (len(keys), len(ids)))
            is_frequent = _select_frequent(np.diff(occurrences.indptr), limit)
            self.n_frequent_.append(int(np.count_nonzero(is_frequent)))
            kinds = _kinds(is_frequent, np.diff(occurrences.indptr), limit, self.max_rare_order > order)
            id_of_key = _ids_of_kinds(kinds)
            ngram_ids = np.full(ids.n_steps, _UNSEEN, dtype=np.int32)
            ngram_ids[steps] = id_of_key[key_index]
            self.longer_ += (LongerNGrams(keys[kinds != _NONE], id_of_key[kinds != _NONE]),)
            selected = _prepend_empty(occurrences, is_frequent)
            yield ngram_ids, NGramOccurrences(selected, selected.shape[0], no_unselected)

    @property
    def sizes(self) -> list[int]:
        """For n = 1 and more, the number of n-grams with an id."""
        return [int(self.of_tokens_.max(initial=_UNSEEN)), *(len(longer.keys) for longer in self.longer_)]

    def as_token_ids(self) -> list[list[tuple[int, ...]]]:
        """For n = 1 and more, the n-grams in the order of their ids, as tuples of token ids."""
        tokens = np.argsort(self.of_tokens_, kind="stable")[np.count_nonzero(self.of_tokens_ == _UNSEEN) :]
        ngrams: list[tuple[int, ...]] = [(token,) for token in tokens.tolist()]
        orders = [ngrams]
        for longer in self.longer_:
            prefix_ids, last_tokens = np.divmod(longer.keys[np.argsort(longer.ids)], self.vocab_size)
            pairs = zip(prefix_ids.tolist(), last_tokens.tolist(), strict=True)
            ngrams = [(*ngrams[prefix_id - 1], token) for prefix_id, token in pairs]
            orders.append(ngrams)
        return orders

    def transform(self, ids: Ragged) -> list[NDArray[np.int32]]:
        """For n = 1 and more, the id of the n-gram that ends at each step."""
        orders = [self.of_tokens_[ids.values]]
        for longer in self.longer_:
            steps, keys = self._keys(ids, orders[-1])
            ngram_ids = np.full(ids.n_steps, _UNSEEN, dtype=np.int32)
            if len(longer.keys):
                positions = np.searchsorted(longer.keys, keys)
                positions[positions == len(longer.keys)] = 0
                ngram_ids[steps] = np.where(longer.keys[positions] == keys, longer.ids[positions], _UNSEEN)
            orders.append(ngram_ids)
        return orders

    def _keys(self, ids: Ragged, prefix_ids: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The steps that follow an n-gram with an id, and the keys of these n-grams extended by the token at the step.

        `prefix_ids`, (n_steps,), are the ids of the shorter n-grams that end at each step.
        """
        has_prefix = np.ones(ids.n_steps, dtype=bool)
        has_prefix[ids.offsets[:-1][ids.lengths > 0]] = False
        has_prefix[1:] &= prefix_ids[:-1] != _UNSEEN
        steps = np.flatnonzero(has_prefix)
        return steps, prefix_ids[steps - 1].astype(np.int64) * self.vocab_size + ids.values[steps]

    def to_state(self) -> State:
        """The state to save: the n-grams and their kinds, which determine the ids."""
        longer_states = []
        orders = zip(self.longer_, self.sizes[:-1], self.n_frequent_[1:], strict=True)
        for longer, n_shorter, n_frequent in orders:
            prefix_ids, last_tokens = np.divmod(longer.keys, self.vocab_size)
            n_following = np.bincount(prefix_ids, minlength=n_shorter + 1).astype(np.int32)
            kinds = _kinds_of_ids(longer.ids, n_frequent)
            longer_states.append({"kinds": kinds, "n_following": n_following, "last": last_tokens.astype(np.int32)})
        return {"tokens": _kinds_of_ids(self.of_tokens_, self.n_frequent_[0]), "longer": longer_states}

    @classmethod
    def from_state(cls, saved: Saved) -> "NGrams":
        """Restore the n-grams."""
        kinds = saved.array("tokens", np.uint8, (None,), high=_RARE)
        saved.require(len(kinds) > 0, "there are no tokens")
        ngrams = cls(1, len(kinds))
        ngrams.of_tokens_, ngrams.longer_ = _ids_of_kinds(kinds), ()
        ngrams.n_frequent_ = [int(np.count_nonzero(kinds == _FREQUENT))]
        for state in saved.parts("longer", lambda state: state):
            longer, n_frequent = _load_longer(state, ngrams.sizes[-1], ngrams.vocab_size)
            ngrams.longer_ += (longer,)
            ngrams.n_frequent_.append(n_frequent)
            ngrams.n_orders += 1
        return ngrams


def _load_longer(saved: Saved, n_shorter: int, vocab_size: int) -> tuple[LongerNGrams, int]:
    """Restore the n-grams that extend one of `n_shorter` shorter ones by a token; also return how many are frequent."""
    last = saved.array("last", np.int32, (None,), low=0, high=vocab_size - 1)
    kinds = saved.array("kinds", np.uint8, (len(last),), low=_FREQUENT, high=_RARE)
    n_following = saved.array("n_following", np.int32, (n_shorter + 1,), low=0, high=len(last))
    saved.require(int(n_following.sum()) == len(last), "n_following does not add up to the number of n-grams")
    saved.require(n_following[0] == 0, "a token follows an n-gram without an id")
    keys = np.repeat(np.arange(n_shorter + 1) * vocab_size, n_following) + last
    saved.require(bool((np.diff(keys) > 0).all()), "n-grams are not in order")
    return LongerNGrams(keys, _ids_of_kinds(kinds)), int(np.count_nonzero(kinds == _FREQUENT))


def table_entries(ngram_ids: Sequence[NDArray[np.int32]], tables: Sequence[NDArray[np.float32]]) -> NDArray[np.int32]:
    """The table entries that each step looks up, (n_steps, n_orders); 0 for n-grams in a single row."""
    columns = [np.where(ids < table.shape[1], ids, 0) for ids, table in zip(ngram_ids, tables, strict=True)]
    return np.stack(columns, axis=1).astype(np.int32, copy=False)


def _matrix(rows: NDArray[np.integer], columns: NDArray[np.integer], shape: tuple[int, int]) -> "csr_array":
    """True where a pair occurs: scipy sorts the pairs in linear time, and drops duplicates."""
    from scipy.sparse import coo_array

    return coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=shape).tocsr()


def _prepend_empty(matrix: "csr_array", is_selected: NDArray[np.bool_]) -> "csr_array":
    """An empty row, then the selected rows of the matrix."""
    from scipy.sparse import csr_array

    selected = matrix[np.flatnonzero(is_selected)]
    indptr = np.concatenate([selected.indptr[:1], selected.indptr])
    return csr_array((selected.data, selected.indices, indptr), shape=(len(indptr) - 1, matrix.shape[1]))


def _select_frequent(n_rows: NDArray[np.int64], limit: int) -> NDArray[np.bool_]:
    """Which n-grams are in enough rows; if there are more than `limit` of these, only those in the most rows."""
    is_frequent = n_rows >= _MIN_ROWS
    if np.count_nonzero(is_frequent) > limit:
        is_frequent = np.zeros(len(n_rows), dtype=bool)
        is_frequent[np.argsort(-n_rows, kind="stable")[:limit]] = True
    return is_frequent


def _kinds(is_frequent: NDArray[np.bool_], n_rows: NDArray[np.int64], limit: int, with_rare: bool) -> NDArray[np.uint8]:
    """The kind of each n-gram; those in a single row are rare if `with_rare` is true and the limits allow it."""
    kinds = np.where(is_frequent, _FREQUENT, _NONE).astype(np.uint8)
    in_one_row = (n_rows > 0) & (n_rows < _MIN_ROWS)
    if with_rare and np.count_nonzero(is_frequent) < limit and np.count_nonzero(in_one_row) <= _MAX_RARE:
        kinds[in_one_row] = _RARE
    return kinds


def _ids_of_kinds(kinds: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The ids of n-grams: the frequent ones from 1, then the rare ones."""
    n_frequent, ids = np.count_nonzero(kinds == _FREQUENT), np.full(len(kinds), _UNSEEN, dtype=np.int32)
    ids[kinds == _FREQUENT] = np.arange(1, 1 + n_frequent)
    ids[kinds == _RARE] = np.arange(1 + n_frequent, 1 + np.count_nonzero(kinds))
    return ids


def _kinds_of_ids(ids: NDArray[np.int32], n_frequent: int) -> NDArray[np.uint8]:
    """The kinds of n-grams with these ids."""
    return np.where(ids == _UNSEEN, _NONE, np.where(ids <= n_frequent, _FREQUENT, _RARE)).astype(np.uint8)
