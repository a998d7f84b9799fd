"""Modules whose inner values are computed again in the backward pass.

In: modules. Out: wrapped modules. Invariant: see `checkpoint_wrapper.py`.
"""
