"""What every test shares."""

import os

# Nothing here may reach a network: the oracle and the hub client would otherwise try.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
