"""
Slots of requests
=================

The content of a request is in its slots: "set an alarm for [half past seven] [on Monday]". A tagger gives each token a
label: "B-time" at the beginning of a time, "I-time" inside it, "O" outside all slots (BIO). With ``transitions="bio"``
only label sequences that are valid in this scheme are predicted.

The requests are generated from templates and lists of values. The values in the test requests are not in the training
requests, so a tagger has to use the context, capital letters and the ends of words.
"""

# %%
# A word in braces is a slot, and each slot has a list of values: two thirds of them are for training, the others for
# testing.
import os

import matplotlib.pyplot as plt
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
book a table for {count} at {restaurant} {day}
book a table at {restaurant} in {city} {day} at {time}
find a train to {city} for {count} {day}
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
    "count": "two|five people|six|eight people|three|four people|nine|seven people",
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


rng = np.random.default_rng(0)
lists = {kind: text.split("|") for kind, text in VALUES.items()}
train_values = {kind: values[: len(values) * 2 // 3] for kind, values in lists.items()}
test_values = {kind: values[len(values) * 2 // 3 :] for kind, values in lists.items()}
X_train, y_train = make_requests(300 if QUICK else 1000, train_values, rng)
X_test, y_test = make_requests(500, test_values, rng)
for token, label in zip(X_train[0], y_train[0], strict=True):
    print(f"{token:<10} {label}")


# %%
# A predicted slot is correct if its start, end and kind are correct. Precision is the fraction of the predicted slots
# that are correct, recall the fraction of the true slots that are found, and F1 is their harmonic mean. In invalid
# label sequences, an "I-kind" that continues no slot begins one, as in the script of the CoNLL shared tasks.
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
# Both taggers have the same network. They differ in how labels are decoded from its probabilities.
for transitions in (None, "bio"):
    tagger = RNNTagger(transitions=transitions, random_state=0).fit(X_train, y_train)
    predicted = tagger.predict(X_test)
    accuracy = tagger.score(X_test, y_test)
    print(f"transitions={transitions!s:<5} token accuracy {accuracy:.4f}, F1 of slots {span_f1(y_test, predicted):.4f}")

# %%
# The figure shows the predictions for some test requests: predicted slots are boxes, with their kind above. Slots that
# were missed, or predicted differently, are underlined, with the correct kind below.
COLORS = "#4477AA #EE6677 #228833 #CCBB44 #66CCEE #AA3377 #EE7733 #009988 #999999".split()
COLOR_OF = dict(zip(VALUES, COLORS, strict=True))


def draw(ax, y, tokens, predicted, truth):
    """Draw a request at height `y`, one character per unit of x."""
    begins = np.cumsum([0, *(len(token) + 1 for token in tokens)])
    for token, x in zip(tokens, begins, strict=False):
        ax.text(x, y, token, family="monospace", fontsize=10, va="center")
    for begin, end, kind in predicted:
        x, width = begins[begin], begins[end] - begins[begin] - 1
        box = plt.Rectangle((x - 0.3, y - 0.22), width + 0.6, 0.44, facecolor=COLOR_OF[kind], alpha=0.3, linewidth=0)
        ax.add_patch(box)
        ax.text(x, y + 0.36, kind, fontsize=7.5, va="center")
    for begin, end, kind in truth - predicted:
        x, stop = begins[begin], begins[end] - 1
        ax.plot([x, stop], [y - 0.28, y - 0.28], color="black", linewidth=1.5)
        ax.text(x, y - 0.42, f"correct: {kind}", fontsize=7.5, va="center")


is_wrong = np.array([spans(labels) != spans(truth) for labels, truth in zip(predicted, y_test, strict=True)])
several = np.array([len(spans(labels)) > 1 for labels in y_test])
shown = [*np.flatnonzero(~is_wrong & several)[:5], *np.flatnonzero(is_wrong)[:5]]
heights = np.cumsum([1.5 if is_wrong[row] else 1 for row in shown])  # a correction needs a line of its own
figure, ax = plt.subplots(figsize=(7, 0.5 * heights[-1]), layout="constrained")
for row, height in zip(shown, heights, strict=True):
    draw(ax, (0.5 if is_wrong[row] else 0) - height, X_test[row], spans(predicted[row]), spans(y_test[row]))
ax.set(xlim=(-1, 7 * 72 / 6.1), ylim=(-heights[-1] - 0.1, -0.4))
ax.axis("off")
plt.show()

# %%
# New values can be found because the network starts from a linear model of each token and its neighbours. The features
# of this model have names: "lower" is the token in lower case, "shape" its pattern of capital and small letters, and
# "before" and "after" are the neighbours. Besides the values of the training requests, the word before a city, its
# shape and its last letters are evidence, and new cities can share these.
weights = tagger.wide_.coef_[:, list(tagger.classes_).index("B-city")]
names = np.array(tagger.wide_.feature_names())
largest = np.argsort(weights)[-15:]
figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
ax.barh(names[largest], weights[largest], color="#0072B2")
ax.set(xlabel="weight for the label B-city")
plt.show()

# %%
# :class:`seqclf.RNNTagger` also labels the steps of series, see :ref:`sphx_glr_auto_examples_series_plot_activity.py`.
