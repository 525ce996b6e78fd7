"""Jobs and the processes that run them; what a job does is the matter of its worker's task module."""

from engine.engine import Engine
from engine.jobs import Cancelled, Job
from engine.process import WorkerSpec

__all__ = ["Cancelled", "Engine", "Job", "WorkerSpec"]
