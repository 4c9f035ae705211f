"""A trained artifact in use: what the user named, what may be asked of it, and the model that answers.

`stored` and `requests` import no torch, so that errors are reported at once; `predictor` imports no Lightning.
"""
