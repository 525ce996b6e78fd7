"""Clips of an articulated figure, rendered on tensors, that teach and test a small video model.

`actions` says what the figure does, by `poses`, which are made of `paths`, and by `clocks`; `novel` what no embedded checkpoint
has seen it do. `body` turns a pose into capsules, `scene` draws everything that a seed decides, `render` casts the rays,
`sample` puts these together and writes video files; `train`, `evaluate`, `teach` and others render clips by it.
"""
