import gzip
import hashlib
import io
import json
import os
import tarfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from seqclf.datasets import _imdb, fetch_imdb

needs_imdb = pytest.mark.skipif(
    not os.environ.get("SEQCLF_DATA"), reason="SEQCLF_DATA names no folder with the real IMDB reviews"
)

REVIEWS = {
    f"{half}/{sentiment}/{number}_{rating}": f"Review {number} of {half}, {rating} stars.<br />Très {sentiment}."
    for half in ("train", "test")
    for sentiment, rating in (("neg", 2), ("pos", 9))
    for number in range(12)
}


def as_rows(half):
    """The reviews of one half in the order of its file: by class, then by number."""
    return [
        {"id": name, "text": text, "label": int("/pos/" in name), "rating": int(name.rpartition("_")[2])}
        for name, text in REVIEWS.items()
        if name.startswith(half)
    ]


def write_folder(folder, rows_by_half):
    folder.mkdir(parents=True)
    for half, rows in rows_by_half.items():
        with gzip.open(folder / f"{half}.jsonl.gz", "wt", encoding="utf-8") as lines:
            lines.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty data home, without SEQCLF_DATA and without access to the real archive."""
    monkeypatch.delenv("SEQCLF_DATA", raising=False)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    monkeypatch.setattr(_imdb, "_URL", (tmp_path / "no.tar.gz").as_uri())
    return tmp_path / "home" / "seqclf" / "imdb"


@pytest.fixture
def archive(home, tmp_path, monkeypatch):
    """A small archive in the authors' layout and in another order; its address replaces the real one."""
    path = tmp_path / "archive.tar.gz"
    members = {f"aclImdb/{name}.txt": text for name, text in reversed(REVIEWS.items())}
    members["aclImdb/train/unsup/0_0.txt"] = "A review without a label."
    members["aclImdb/train/pos/notes.txt"] = members["aclImdb/README"] = "Not a review."
    with tarfile.open(path, "w:gz") as tar:
        folder = tarfile.TarInfo("aclImdb/train/pos")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    monkeypatch.setattr(_imdb, "_URL", path.as_uri())
    monkeypatch.setattr(_imdb, "_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_fetch_imdb_downloads_the_archive(archive, home):
    bunch = fetch_imdb(subset="train")
    assert dict(zip(bunch.ids, bunch.data, strict=True)) == {
        name: text for name, text in REVIEWS.items() if name.startswith("train")
    }
    assert bunch.target_names == ["negative", "positive"]
    assert bunch.target.tolist() == ["/pos/" in name for name in bunch.ids]
    assert_array_equal(bunch.ratings, np.where(bunch.target == 1, 9, 2))
    assert "Maas" in bunch.DESCR


def test_fetch_imdb_saves_compact_files_and_reads_them_in_the_next_call(archive, home):
    first = fetch_imdb(subset="all")
    assert sorted(path.name for path in home.iterdir()) == ["test.jsonl.gz", "train.jsonl.gz"]
    archive.unlink()
    again = fetch_imdb(subset="all", download_if_missing=False)
    assert again.data == first.data
    assert len(again.data) == len(REVIEWS)


def test_data_home_sets_the_download_folder(archive, home, tmp_path):
    fetch_imdb(data_home=tmp_path / "other")
    assert (tmp_path / "other" / "seqclf" / "imdb" / "train.jsonl.gz").is_file()
    assert not home.exists()


def test_seqclf_data_has_priority_over_data_home(archive, home, tmp_path, monkeypatch):
    fetch_imdb()
    write_folder(
        tmp_path / "named" / "imdb", {"train": [{"id": "train/neg/0_1", "text": "a", "label": 0, "rating": 1}]}
    )
    monkeypatch.setenv("SEQCLF_DATA", str(tmp_path / "named"))
    assert fetch_imdb(subset="train").data == ["a"]
    # The test half is not there, so it comes from the data home.
    assert len(fetch_imdb(subset="test", download_if_missing=False).data) == 24


def test_order_does_not_depend_on_the_source(archive, home, tmp_path, monkeypatch):
    downloaded = fetch_imdb(subset="all")
    write_folder(tmp_path / "named" / "imdb", {half: as_rows(half) for half in ("train", "test")})
    monkeypatch.setenv("SEQCLF_DATA", str(tmp_path / "named"))
    read = fetch_imdb(subset="all")
    assert (read.ids, read.data) == (downloaded.ids, downloaded.data)


def test_shuffle_and_random_state_set_the_order(archive):
    first, second, reseeded = fetch_imdb(), fetch_imdb(), fetch_imdb(random_state=1)
    unshuffled = fetch_imdb(shuffle=False)
    assert set(first.target[:10]) == {0, 1}
    assert first.ids == second.ids
    assert first.ids != reseeded.ids
    assert sorted(first.ids) == sorted(reseeded.ids)
    assert unshuffled.ids == [row["id"] for row in as_rows("train")]
    assert_array_equal(unshuffled.target, np.sort(unshuffled.target))


def test_subset_all_returns_both_halves(archive):
    halves = [fetch_imdb(subset=half, shuffle=False).ids for half in ("train", "test")]
    assert fetch_imdb(subset="all", shuffle=False).ids == halves[0] + halves[1]


def test_return_X_y_returns_data_and_target(archive):
    bunch = fetch_imdb()
    data, target = fetch_imdb(return_X_y=True)
    assert data == bunch.data
    assert_array_equal(target, bunch.target)


def test_missing_data_error_names_the_searched_folders(home, tmp_path, monkeypatch):
    monkeypatch.setenv("SEQCLF_DATA", str(tmp_path / "named"))
    with pytest.raises(OSError, match="download_if_missing=True") as error:
        fetch_imdb(download_if_missing=False)
    assert str(home) in str(error.value)
    assert str(tmp_path / "named" / "imdb") in str(error.value)


def test_wrong_checksum_error_names_both_and_saves_nothing(archive, home):
    expected = _imdb._SHA256
    content = archive.read_bytes()
    archive.write_bytes(content[:-100])
    with pytest.raises(OSError, match=expected) as error:
        fetch_imdb()
    assert hashlib.sha256(content[:-100]).hexdigest() in str(error.value)
    assert list(home.iterdir()) == []
    archive.write_bytes(content)
    assert len(fetch_imdb().data) == 24


def test_failed_download_saves_nothing(home):
    with pytest.raises(OSError, match=r"no\.tar\.gz"):
        fetch_imdb()
    assert list(home.iterdir()) == []


def line(**changes):
    return json.dumps({"id": "train/neg/0_1", "text": "a", "label": 0, "rating": 1, **changes})


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("{", "Expecting"),
        ("[]", "expected an object with id, text, label, rating"),
        ('{"text": "a", "label": 0}', "expected an object"),
        (line(text=3), "expected an object"),
        (line(label="pos"), "expected an object"),
        (line(label=True), "expected an object"),
        (line(label=2), "label must be 0 or 1"),
        ("", "Expecting"),
    ],
)
def test_invalid_line_error_names_file_and_line(home, bad, problem):
    home.mkdir(parents=True)
    path = home / "train.jsonl.gz"
    path.write_bytes(gzip.compress(f"{line()}\n{line()}\n{bad}\n{line()}\n".encode()))
    with pytest.raises(ValueError, match=problem) as error:
        fetch_imdb()
    assert f"{path}, line 3" in str(error.value)


# A valid header, followed by invalid compressed data.
BITS = gzip.compress(line().encode())[:10] + b"\xff" * 20


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b""), gzip.compress(line().encode())[:-9], gzip.compress(b"\xff\n"), BITS],
    ids=["empty", "not gzip", "no lines", "cut", "not UTF-8", "bits"],
)
def test_damaged_file_error_names_the_file(home, content):
    home.mkdir(parents=True)
    (home / "train.jsonl.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"train\.jsonl\.gz"):
        fetch_imdb()


def test_unknown_subset_raises_value_error():
    with pytest.raises(ValueError, match="subset must be one of"):
        fetch_imdb(subset="unsup")


@needs_imdb
def test_real_reviews_have_the_published_properties():
    bunch = fetch_imdb(subset="train", download_if_missing=False)
    assert_array_equal(np.bincount(bunch.target), [12500, 12500])
    assert 0.4 < bunch.target[:1000].mean() < 0.6
    assert_array_equal(bunch.target, bunch.ratings > 5)
    assert len(set(bunch.ids)) == 25000
    assert np.mean([len(text.split()) for text in bunch.data]) == pytest.approx(234, abs=1)
