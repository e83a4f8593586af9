"""Gaussian mixtures as values, the one pass over the data, and the covariance families."""
