"""Labelled text: where it comes from, how it is split, and how it is tokenised. Needs no torch."""
