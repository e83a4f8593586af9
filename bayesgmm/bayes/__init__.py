"""The posterior of any NumPyro mixture program, started from the maximum-likelihood fit."""
