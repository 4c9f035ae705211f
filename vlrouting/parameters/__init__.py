"""How many parameters train in every variant of an experiment, by part, without weights and without training."""

from vlrouting.parameters import show
from vlrouting.parameters.counts import ParameterCounts, count_parameters
from vlrouting.parameters.variants import VariantParameters, experiment_parameters

__all__ = ["ParameterCounts", "VariantParameters", "count_parameters", "experiment_parameters", "show"]
