"""Renders the clips that ship with the checkpoint, one per action: `python -m mannequin.bundle --out vivit/assets/clips`.

Kinetics-like: 340 x 256, 5 to 8 seconds, H.264. Their seeds are never used in training; of an action's seeds, taken in
order, the first is kept whose file the checkpoint names right and with confidence, and finds familiar.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from mannequin.actions import LABELS
from mannequin.evaluate import CHECKPOINT
from mannequin.renders import render_video
from mannequin.sample import write_video
from mannequin.train import BUNDLED_SEEDS, FRAMES
from vivit.device import default_device
from vivit.familiarity import load
from vivit.model import VivitForVideoClassification
from vivit.preparing import prepare_clip
from vivit.processing import VivitImageProcessor

FPS, CRF, CONFIDENT = 25.0, 21, 0.85
TRIES = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mannequin.bundle", description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=CHECKPOINT)
    parser.add_argument("--device", default=str(default_device()))
    options = parser.parse_args()
    model = VivitForVideoClassification.from_pretrained(options.model, device=options.device)
    image_processor = VivitImageProcessor.from_pretrained(options.model)
    familiarity = load(options.model)
    options.out.mkdir(parents=True, exist_ok=True)
    clips = []
    for index, label in enumerate(LABELS):
        for k in range(TRIES):
            seed = BUNDLED_SEEDS[index * TRIES + k]
            file = options.out / f"{label.replace(' ', '_')}.mp4"
            write_video(file, render_video(label, seed, FPS, samples=2, device=options.device), FPS, CRF, "veryslow")
            pixels = image_processor.normalise(prepare_clip(file, FRAMES, image_processor).pixels[0])
            with torch.inference_mode():
                features = model.features(torch.as_tensor(pixels)[None].to(options.device))
                logits = model.classifier(features)
            confidence, guess = logits[0].float().softmax(-1).max(-1)
            feature = features[0].float().cpu().numpy()
            if guess == index and confidence >= CONFIDENT and (not familiarity or familiarity.is_familiar(feature)):
                break
        else:
            raise SystemExit(f"none of {TRIES} clips of '{label}' is named with confidence")
        clips.append({"file": file.name, "label": label, "seed": seed})
        print(f"{label}: seed {seed}, {confidence:.2f}, {file.stat().st_size / 1024:.0f} KiB", flush=True)
    (options.out / "clips.json").write_text(json.dumps(clips, indent=1) + "\n")


if __name__ == "__main__":
    main()
