"""The internal form of all sequences, without padding. It needs only numpy."""
