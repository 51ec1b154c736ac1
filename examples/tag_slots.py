"""
Slots of requests
=================

The content of a request is in its slots: "set an alarm for [half past seven] [on Monday]". A tagger gives each token a
label: "B-time" at the beginning of a time, "I-time" inside it, "O" outside all slots (BIO). With `transitions="bio"`
only label sequences that are valid in this scheme are predicted.

The requests are generated from templates and lists of values. The values in the test requests are not in the training
requests, so a tagger has to use the context, capital letters and the ends of words. If the environment variable
``SEQCLF_DATA`` names a folder with ATIS, questions to an airline (``atis_slots/train.jsonl.gz`` and ``test.jsonl.gz``;
rows are ``{"tokens": [...], "slots": [...]}``), the example uses that data set.
"""

# %%
# The data. A word in braces is a slot, and each slot has a list of values.
import gzip
import json
import os
from pathlib import Path

import numpy as np

from seqclf import RNNTagger

QUICK = os.environ.get("SEQCLF_EXAMPLES_QUICK", "0") not in ("", "0")

TEMPLATES = """
set an alarm for {time}
wake me at {time} {day} please
wake me {day} at {time}
remind me {day} at {time} to call {person}
remind me to call {person} at {time}
call {person}
call {person} in {city}
send a message to {person}
tell {person} in the {room} that we eat at {time}
play {artist} in the {room}
play something by {artist}
play {genre} in the {room}
play some {genre} please
play the songs that {person} likes by {artist}
turn off the light in the {room} at {time}
is it warm in the {room}
is it warm in {city}
will it rain in {city} {day}
what is the weather in {city} {day} at {time}
book a table for {number} at {restaurant} {day}
book a table at {restaurant} in {city} {day} at {time}
find a train to {city} for {number} {day}
""".strip().splitlines()
VALUES = {
    "time": "seven|half past six|ten to nine|quarter past five|noon|8:15|eleven|three|10:40|five past two|"
    "half past four|quarter to twelve|ten past eight|7:05|four|six|9:30|midnight",
    "day": "tomorrow|on Monday|on Friday|next Tuesday|today|this Saturday|tonight|on Sunday|next Thursday|on Wednesday",
    "person": "Ann|Ben Carter|my sister|Doctor Weber|Lena|my uncle Tom|Omar|Mrs Novak|my brother|Doctor Chen|"
    "Aunt Mary|Paul Singer|my cousin Eva|Nils|Mrs Olsen|my mother",
    "artist": "The Paper Kites|Nina Hart|Miles Brown|The Lost Foxes|Kora|The Quiet Boys|Johnny Reed|Blue Harbour|"
    "The Night Trains|Ella Stone|The Last Birds|Bill Waters|Red Mountain|Mira",
    "genre": "jazz|folk music|hip hop|dance music|blues|punk rock|piano music|trip hop|hard rock|film music|soul",
    "room": "kitchen|living room|bathroom|hall|guest room|bedroom|dining room|cellar|children's room|playroom",
    "city": "Boston|New York|Lisbon|San Pedro|Charlestown|New Haven|Hamburg|San Marco|Georgetown|New Bern|Marburg",
    "restaurant": "The Golden Lion|Casa Rosa|Luigi's|The Old Mill|Chez Anna|Casa Verde|The Red Lion|Mario's|Chez Paul",
    "number": "two|five people|six|eight people|three|four people|nine|seven people",
}


def make_requests(n, values, rng):
    """Return token lists and their labels."""
    requests, labels = [], []
    for _ in range(n):
        tokens, tags = [], []
        for word in rng.choice(TEMPLATES).split():
            if word.startswith("{"):
                kind = word.strip("{}")
                value = rng.choice(values[kind]).split()
                tokens += value
                tags += [f"B-{kind}", *[f"I-{kind}"] * (len(value) - 1)]
            else:
                tokens.append(word)
                tags.append("O")
        requests.append(tokens)
        labels.append(tags)
    return requests, labels


def read(path):
    """Return the token lists and labels of a file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row["tokens"] for row in rows], [row["slots"] for row in rows]


atis = Path(os.environ.get("SEQCLF_DATA", ".")) / "atis_slots"
if not QUICK and (atis / "train.jsonl.gz").exists():
    shown = "B-depart_time.time"
    X_train, y_train = read(atis / "train.jsonl.gz")
    X_test, y_test = read(atis / "test.jsonl.gz")
else:
    shown = "B-city"
    rng = np.random.default_rng(0)
    lists = {kind: text.split("|") for kind, text in VALUES.items()}
    train_values = {kind: values[: len(values) * 2 // 3] for kind, values in lists.items()}
    test_values = {kind: values[len(values) * 2 // 3 :] for kind, values in lists.items()}
    X_train, y_train = make_requests(300 if QUICK else 1000, train_values, rng)
    X_test, y_test = make_requests(500, test_values, rng)
print(f"{len(X_train):,} training requests, {len(X_test):,} test requests")


# %%
# The score. A predicted slot is correct if its begin, end and kind are. Precision is the fraction of the predicted
# slots that are correct, recall the fraction of the true slots that are found, and F1 is their harmonic mean. In
# invalid label sequences, an "I-kind" that continues no slot begins one, as in the script of the CoNLL shared tasks.
def spans(labels):
    """Return the slots of one request, a set of (begin, end, kind)."""
    found, begin, kind = set(), 0, None
    for i, label in enumerate([*labels, "O"]):
        continues = label.startswith("I-") and label[2:] == kind
        if not continues:
            if kind is not None:
                found.add((begin, i, kind))
            begin, kind = i, None if label == "O" else label[2:]
    return found


def span_f1(y, predicted):
    """Return F1 of the slots of all requests together."""
    n_true = n_predicted = n_correct = 0
    for true_labels, labels in zip(y, predicted, strict=True):
        true, found = spans(true_labels), spans(labels)
        n_true += len(true)
        n_predicted += len(found)
        n_correct += len(true & found)
    return 2 * n_correct / (n_true + n_predicted)


assert spans(["B-x", "I-x", "O", "B-y"]) == {(0, 2, "x"), (3, 4, "y")}
assert spans(["B-x", "B-x", "I-y"]) == {(0, 1, "x"), (1, 2, "x"), (2, 3, "y")}  # two of one kind; I without a B
assert spans(["O", "I-x", "I-x"]) == {(1, 3, "x")}
assert span_f1([["B-x", "I-x", "O"]], [["B-x", "I-x", "O"]]) == 1
assert span_f1([["B-x", "I-x", "O"]], [["B-x", "O", "O"]]) == 0  # the end is wrong
assert span_f1([["B-x", "O", "B-y"]], [["B-x", "O", "B-z"]]) == 0.5  # one of two kinds is wrong

# %%
# The taggers. They have the same network, and differ in how labels are decoded from its probabilities.
for transitions in (None, "bio"):
    tagger = RNNTagger(transitions=transitions, random_state=0).fit(X_train, y_train)
    predicted = tagger.predict(X_test)
    accuracy = tagger.score(X_test, y_test)
    print(f"transitions={transitions!s:<5} token accuracy {accuracy:.4f}, F1 of slots {span_f1(y_test, predicted):.4f}")

# %%
# The predictions for some requests.
print("\nSome test requests")
for row in np.random.default_rng(1).choice(len(X_test), size=6, replace=False):
    tokens, slots = X_test[row], sorted(spans(predicted[row]))
    mark = "correct" if set(slots) == spans(y_test[row]) else "WRONG"
    described = ", ".join(f"{kind}: {' '.join(tokens[begin:end])}" for begin, end, kind in slots)
    print(f"  {' '.join(tokens)}\n    {mark}: {described or 'no slots'}")

# %%
# The features of the linear model. The network starts as a linear model of each token and its neighbours, whose
# features have names. Words, their ends and their shapes also work for new values.
weights = tagger.wide_.coef_[:, list(tagger.classes_).index(shown)]
names = tagger.wide_.feature_names()
print(f"\nLargest weights for {shown}")
for i in np.argsort(-weights)[:12]:
    print(f"  {weights[i]:5.2f}  {names[i]}")
