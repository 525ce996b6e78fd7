"""What every test shares."""

import os

# Nothing here may reach a network: the oracle and the hub client would otherwise try.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
# Threads that wait for one another sleep: on a machine that is busy elsewhere they would spin for minutes.
os.environ["OMP_WAIT_POLICY"] = "passive"
