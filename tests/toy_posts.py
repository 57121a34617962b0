"""A few photos with labels, tiny networks, and what they should say: for tests of training and scoring."""

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

from selfie_utils.model.network import SelfieNetwork
from selfie_utils.model.recipe import Recipe
from selfie_utils.photos.images import ImageFolder


def make_posts(folder):
    """Make 29 noisy photos: the good ones have a bright upper half, the bad ones a bright lower half.

    Numbers that nothing divides, in no order, with gaps in the index. Of 32 px, which squishing leaves as
    they are.
    """
    rng, rows = np.random.default_rng(0), []
    for i in range(29):
        pixels = rng.integers(0, 120, (32, 32, 3), dtype=np.uint8)
        pixels[:16] += np.uint8(120 * (i % 2))
        pixels[16:] += np.uint8(120 * (1 - i % 2))
        Image.fromarray(pixels).save(folder / f"{i}.png")
        rows.append({"post_id": f"p{i}", "image": f"{i}.png", "user_id": f"u{i}", "label": i % 2})
    table = pd.DataFrame(rows).assign(split=["train"] * 17 + ["validation"] * 7 + ["test"] * 5)
    return ImageFolder(folder), table.set_index(pd.Index(range(0, 87, 3))).sample(frac=1, random_state=1)


def toy(dropout=0.0, seed=0, precision="auto"):
    """A network of three small layers, whose batch statistics and dropout show."""
    torch.manual_seed(seed)
    body = nn.Sequential(
        nn.AvgPool2d(8), nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()
    )  # (N, 3, 32, 32) to (N, 16)
    return SelfieNetwork(body, Recipe("toy", image_size=32, dropout=dropout, precision=precision))


def pixels_of(posts, names):
    """Photos as they are in their files, uint8 (N, 3, 32, 32)."""
    opened = [np.asarray(Image.open(posts[0].root / name)) for name in names]
    return torch.from_numpy(np.stack(opened)).permute(0, 3, 1, 2)


def chance_of_good(network, photos):
    return 1 / (1 + np.exp(-log_odds(network, photos)))


def log_odds(network, photos):
    with torch.inference_mode():
        logits = network(photos)[0].double().numpy()
    return logits[:, 1] - logits[:, 0]


def of_split(posts, split):
    return posts[1][posts[1]["split"] == split]
