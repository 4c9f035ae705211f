from tests.training.conftest import experiment

__all__ = ["experiment"]
