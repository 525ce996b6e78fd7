"""Clips of an articulated figure, rendered on tensors, that teach and test a small video model.

`actions` says what the figure does, `body` turns a pose into capsules, `scene` draws everything that a seed decides,
`render` casts the rays, `clip` puts them together and writes video files, `train` and `evaluate` use them.
"""
