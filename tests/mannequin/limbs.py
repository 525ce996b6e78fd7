"""What holds of every action's figure."""

import torch

from mannequin.body import FOREARM, SHIN, THIGH, UPPER_ARM, Joints


def assert_limbs_keep_their_length(joints: Joints) -> None:
    """However a figure moves, its bones are as long as they are."""
    for start, end, length in (
        (joints.shoulders, joints.elbows, UPPER_ARM),
        (joints.elbows, joints.hands, FOREARM),
        (joints.hips, joints.knees, THIGH),
        (joints.knees, joints.ankles, SHIN),
    ):
        assert torch.allclose((end - start).norm(dim=-1), torch.tensor(length), atol=1e-4)
