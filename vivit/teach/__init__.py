"""A new head on frozen features: a checkpoint for classes of one's own, from a handful of clips of each."""
