from tests.training.conftest import experiment, run

__all__ = ["experiment", "run"]
