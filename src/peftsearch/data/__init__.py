"""Labelled text: its sources, its splits and its tokens. Needs no torch."""
