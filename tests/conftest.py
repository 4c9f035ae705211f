import os

# Small models run fastest in one thread, also in the programs that tests start; several test processes share the cores.
os.environ["OMP_NUM_THREADS"] = "1"
# No test may ask a model hub.
os.environ["HF_HUB_OFFLINE"] = "1"
