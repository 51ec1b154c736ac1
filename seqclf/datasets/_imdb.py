"""`fetch_imdb`: the Large Movie Review Dataset, read from `SEQCLF_DATA`, from the cache, or downloaded once."""

import gzip
import hashlib
import json
import os
import re
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import Any, Literal
from urllib.request import urlopen

import numpy as np
from sklearn.datasets import get_data_home
from sklearn.utils import Bunch, check_random_state

_URL = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
_SHA256 = "c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe"
_TIMEOUT_SECONDS = 60

_SUBSETS = {"train": ("train",), "test": ("test",), "all": ("train", "test")}
_TARGET_NAMES = ["negative", "positive"]
_FIELDS: dict[str, type] = {"id": str, "text": str, "label": int, "rating": int}
# Reviews without a label ("unsup") are skipped.
_MEMBER = re.compile(r"aclImdb/(train|test)/(neg|pos)/(\d+)_(\d+)\.txt")

_DESCR = """\
Large Movie Review Dataset (IMDB)
---------------------------------

50,000 film reviews in English, 25,000 for training and 25,000 for testing; half of each are positive. Ratings of 1 to 4
stars are negative (0), 7 to 10 positive (1); reviews in between are not included. No film is in both halves, although
123 texts are. The texts contain "<br />" line breaks.

Andrew L. Maas, Raymond E. Daly, Peter T. Pham, Dan Huang, Andrew Y. Ng, Christopher Potts: Learning Word Vectors for
Sentiment Analysis. ACL 2011. https://aclanthology.org/P11-1015
"""


def fetch_imdb(
    *,
    subset: Literal["train", "test", "all"] = "train",
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    shuffle: bool = True,
    random_state: int | np.random.RandomState | None = 0,
    return_X_y: bool = False,
) -> Any:
    """Fetch the Large Movie Review Dataset: film reviews, negative or positive.

    The data are read from the first of these sources that has them: the folder ``imdb`` inside the folder that the
    environment variable ``SEQCLF_DATA`` names (files ``train.jsonl.gz`` and ``test.jsonl.gz``); an earlier download in
    scikit-learn's data home; the authors' page (84 MB, checked by its SHA256 sum, then saved as two compact files).

    Parameters
    ----------
    subset : {"train", "test", "all"}, default="train"
        The half to return, with 25,000 reviews, or both halves.
    data_home : str or path-like, default=None
        The folder for downloads, instead of scikit-learn's data home.
    download_if_missing : bool, default=True
        If False, raise an error instead of downloading.
    shuffle : bool, default=True
        Whether to shuffle. Unshuffled reviews are sorted by class: the first 12,500 of each half are all negative.
    random_state : int, RandomState instance or None, default=0
        The seed of the order if `shuffle` is True.
    return_X_y : bool, default=False
        If True, return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : Bunch
        With the fields

        data : list of str
            The reviews.
        target : ndarray of int, shape (n_samples,)
            0 for a negative review, 1 for a positive one.
        target_names : list of str
            ``["negative", "positive"]``.
        ratings : ndarray of int, shape (n_samples,)
            The number of stars that the author of the review gave: 1 to 4 or 7 to 10.
        ids : list of str
            The name of each review in the original archive, as in ``"train/neg/0_3"``.
        DESCR : str
            A description of the data set.
    (data, target) : tuple if `return_X_y` is True
        Only these two fields.

    Raises
    ------
    OSError
        If the data are missing and `download_if_missing` is False, if the download fails, or if its checksum is wrong.
    ValueError
        If a parameter is invalid or a file is malformed.

    References
    ----------
    .. [1] Andrew L. Maas, Raymond E. Daly, Peter T. Pham, Dan Huang, Andrew Y. Ng, and Christopher Potts.
       "Learning Word Vectors for Sentiment Analysis". ACL 2011. https://aclanthology.org/P11-1015

    Examples
    --------
    >>> from seqclf.datasets import fetch_imdb
    >>> X, y = fetch_imdb(subset="train", return_X_y=True)  # doctest: +SKIP
    >>> len(X)  # doctest: +SKIP
    25000
    """
    if subset not in _SUBSETS:
        raise ValueError(f"subset must be one of {sorted(_SUBSETS)}. Got {subset!r} instead.")
    paths = _find_files(_SUBSETS[subset], data_home, download_if_missing)
    rows = [row for path in paths for row in _read_rows(path)]
    if shuffle:
        rows = [rows[index] for index in check_random_state(random_state).permutation(len(rows))]

    data = [row["text"] for row in rows]
    target = np.array([row["label"] for row in rows], dtype=np.int64)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=list(_TARGET_NAMES),
        ratings=np.array([row["rating"] for row in rows], dtype=np.int64),
        ids=[row["id"] for row in rows],
        DESCR=_DESCR,
    )


def _find_files(
    halves: tuple[str, ...], data_home: str | os.PathLike[str] | None, download_if_missing: bool
) -> list[Path]:
    folders = [Path(get_data_home(data_home)) / "seqclf" / "imdb"]
    if os.environ.get("SEQCLF_DATA"):
        folders.insert(0, Path(os.environ["SEQCLF_DATA"]) / "imdb")
    for folder in folders:
        paths = [folder / f"{half}.jsonl.gz" for half in halves]
        if all(path.is_file() for path in paths):
            return paths

    if not download_if_missing:
        raise OSError(
            f"The IMDB reviews are not in {' or '.join(map(str, folders))}. Pass download_if_missing=True, or set the "
            "environment variable SEQCLF_DATA to a folder that has them in imdb/."
        )
    _download(folders[-1])
    return paths


def _download(home: Path) -> None:
    """Put both halves into `home`, or leave it unchanged."""
    home.mkdir(parents=True, exist_ok=True)
    # The temporary folder is inside `home`, so that `os.replace` works on one file system.
    with tempfile.TemporaryDirectory(dir=home) as folder:
        archive = Path(folder) / "archive.tar.gz"
        digest = hashlib.sha256()
        with urlopen(_URL, timeout=_TIMEOUT_SECONDS) as response, archive.open("wb") as file:
            while chunk := response.read(1 << 20):
                digest.update(chunk)
                file.write(chunk)
        if digest.hexdigest() != _SHA256:
            raise OSError(
                f"The SHA256 sum of {_URL} is {digest.hexdigest()}, expected {_SHA256}: the download is incomplete or "
                "was changed. It was deleted; try again."
            )
        for half, rows in _read_archive(archive).items():
            temporary = Path(folder) / f"{half}.jsonl.gz"
            with gzip.open(temporary, "wt", encoding="utf-8") as lines:
                lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            os.replace(temporary, home / temporary.name)


def _read_archive(archive: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[tuple[int, int, dict[str, Any]]]] = {"train": [], "test": []}
    with tarfile.open(archive, "r|gz") as tar:
        for member in tar:
            match = _MEMBER.fullmatch(member.name)
            file = tar.extractfile(member) if match else None
            if match is None or file is None:
                continue
            half, sentiment, number, rating = match.groups()
            label = int(sentiment == "pos")
            row = {
                "id": f"{half}/{sentiment}/{number}_{rating}",
                "text": file.read().decode("utf-8"),
                "label": label,
                "rating": int(rating),
            }
            found[half].append((label, int(number), row))
    # Sorted by class and number, so that the result of a seed does not depend on the order in the archive.
    return {
        half: [row for _, _, row in sorted(entries, key=lambda entry: entry[:2])] for half, entries in found.items()
    }


def _read_rows(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                rows.append(_check_row(json.loads(line)))
    except (gzip.BadGzipFile, EOFError, zlib.error, ValueError) as error:
        raise ValueError(f"{path}, line {len(rows) + 1}: invalid review or damaged file ({error}).") from error
    if not rows:
        raise ValueError(f"{path} is empty.")
    return rows


def _check_row(row: Any) -> dict[str, Any]:
    if not isinstance(row, dict) or any(type(row.get(field)) is not kind for field, kind in _FIELDS.items()):
        raise ValueError(f"expected an object with {', '.join(_FIELDS)}")
    if row["label"] not in (0, 1):
        raise ValueError(f"label must be 0 or 1, got {row['label']}")
    return row
