"""config.json is accepted only if it belongs to seqclf, has a known version, and is undamaged."""

import json

import pytest

from seqclf._model_file_error import ModelFileError
from seqclf._model_files import config

FILES = {"weights.safetensors": b"abc", "tokenizer.json": b"{}"}


def damaged(change):
    """The bytes of config.json after a change, with a valid checksum."""
    stated = json.loads(config.make({"a": 1}, FILES))
    change(stated)
    stated.pop("sha256", None)
    stated["sha256"] = config._checksum(stated)
    return json.dumps(stated).encode()


def test_read_returns_what_make_was_given():
    content = config.read(config.make({"a": [1.0]}, FILES), "file")
    assert content["model"] == {"a": [1.0]} and content["format_version"] == config.FORMAT == 1


def test_check_data_detects_another_length_and_another_checksum():
    entries = config.read(config.make({}, FILES), "file")["files"]
    for name, data in FILES.items():
        config.check_data(data, entries[name], name)
        with pytest.raises(ModelFileError, match=f"{name} has .* bytes"):
            config.check_data(data + b"x", entries[name], name)
        with pytest.raises(ModelFileError, match=f"{name} is damaged"):
            config.check_data(b"x" * len(data), entries[name], name)


def test_checksum_ignores_key_order_and_detects_changed_values():
    data = config.make({"a": 1}, FILES)
    assert config.read(json.dumps(json.loads(data), sort_keys=True).encode(), "file") == config.read(data, "file")
    with pytest.raises(ModelFileError, match="damaged"):
        config.read(data.replace(b'"a": 1', b'"a": 2'), "file")
    with pytest.raises(ModelFileError, match="damaged"):
        config.read(data.replace(b'"a": 1', b'"a": 1.0'), "file")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format="other"), "does not belong to a model"),
        (lambda c: c.pop("format"), "does not belong to a model"),
        (lambda c: c.update(format_version=2), "has format 2; .* up to 1. Update seqclf"),
        (lambda c: c.update(format_version=10**30), "has format 1000"),
        (lambda c: c.update(format_version=0), "format_version is 0"),
        (lambda c: c.update(format_version=True), "format_version is True"),
        (lambda c: c.update(format_version=1.0), "format_version is 1.0"),
        (lambda c: c.update(format_version="1"), "format_version is 1"),
        (lambda c: c.pop("format_version"), "format_version is None"),
        (lambda c: c.pop("model"), "missing or unknown"),
        (lambda c: c.update(more=1), "missing or unknown"),
        (lambda c: c.update(files=[]), "list of files"),
        (lambda c: c["files"].pop("weights.safetensors"), "list of files"),
        (lambda c: c["files"].update({f"{'abcdefghijklmnop'[i]}.json": {} for i in range(16)}), "list of files"),
        (lambda c: c["files"].update({"../x.json": c["files"]["tokenizer.json"]}), "unknown file '../x.json'"),
        (lambda c: c["files"].update({"/etc/passwd": c["files"]["tokenizer.json"]}), "unknown file"),
        (lambda c: c["files"].update({"config.json": c["files"]["tokenizer.json"]}), "unknown file"),
        (lambda c: c["files"].update({"con.json": c["files"]["tokenizer.json"]}), "unknown file"),
        (lambda c: c["files"].update({"a.json.json": c["files"]["tokenizer.json"]}), "unknown file"),
        (lambda c: c["files"].update({"A.json": c["files"]["tokenizer.json"]}), "unknown file"),
        (lambda c: c["files"].update({"tokenizer": c["files"]["tokenizer.json"]}), "unknown file"),
        (lambda c: c["files"].update({"a\n.json": c["files"]["tokenizer.json"]}), "unknown file"),
        (lambda c: c["files"].update({"tokenizer.json": 1}), "invalid length"),
        (lambda c: c["files"]["tokenizer.json"].update(bytes=-1), "invalid length"),
        (lambda c: c["files"]["tokenizer.json"].update(bytes=10**18), "invalid length"),
        (lambda c: c["files"]["tokenizer.json"].update(bytes=2.0), "invalid length"),
        (lambda c: c["files"]["tokenizer.json"].update(bytes=True), "invalid length"),
        (lambda c: c["files"]["tokenizer.json"].update(sha256=5), "invalid length"),
        (lambda c: c["files"]["tokenizer.json"].update(more=5), "invalid length"),
        (lambda c: c["files"]["tokenizer.json"].pop("bytes"), "invalid length"),
    ],
)
def test_read_rejects_invalid_entries(change, message):
    with pytest.raises(ModelFileError, match=f"^file.*({message})"):
        config.read(damaged(change), "file")


@pytest.mark.parametrize("data", [b"[]", b"1", b"null", b'"seqclf"', b'[{"format": "seqclf"}]', b"{}"])
def test_read_rejects_json_without_the_format(data):
    with pytest.raises(ModelFileError, match="does not belong to a model of seqclf"):
        config.read(data, "file")


@pytest.mark.parametrize("sha256", [None, 1, "", "0" * 64, []])
def test_read_rejects_a_wrong_checksum(sha256):
    stated = {**json.loads(config.make({}, FILES)), "sha256": sha256}
    with pytest.raises(ModelFileError, match="damaged"):
        config.read(json.dumps(stated).encode(), "file")


@pytest.mark.parametrize(
    "name", ["config", "weights", "nul", "Tokenizer", "a.b", "../a", "", "a b", "é", "a" * 41, "a\n"]
)
def test_file_name_rejects_invalid_document_names(name):
    with pytest.raises(ValueError, match="can't be the name"):
        config.file_name(name)


def test_file_name_appends_json():
    assert config.file_name("label_features") == "label_features.json"


def test_make_limits_the_number_of_files():
    with pytest.raises(ValueError, match="16 documents"):
        config.make({}, {f"{letter}.json": b"" for letter in "abcdefghijklmnop"})


def test_migrate_applies_all_later_migrations(monkeypatch):
    monkeypatch.setattr(config, "FORMAT", 3)
    monkeypatch.setattr(
        config,
        "MIGRATIONS",
        {1: lambda documents: {**documents, "a": [1]}, 2: lambda documents: {**documents, "a": [*documents["a"], 2]}},
    )
    assert config.migrate({"model": 0}, 1) == {"model": 0, "a": [1, 2]}
    assert config.migrate({"a": []}, 2) == {"a": [2]} and config.migrate({"a": 5}, 3) == {"a": 5}


def test_every_older_format_has_a_migration():
    assert set(config.MIGRATIONS) == set(range(1, config.FORMAT))
