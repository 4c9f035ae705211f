"""A trained artifact in use: what the user named, what may be asked of it, and the model that answers.

`stored` and `requests` import no torch, so that what is wrong is told at once; `predictor` imports no Lightning.
"""
