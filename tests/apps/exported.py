"""What the tests of exports share: a small run whose network scores photos of people who do not exist."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from selfie_utils.core.run_folder import RunFolder, create_run
from selfie_utils.model.network import build_network, save_network
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.scorer import Scorer
from selfie_utils.photos.images import UnreadableImage, decode, open_images
from selfie_utils.posts.data_folder import open_data

PHOTOS = 60


def make_run(root: Path, image_size: int) -> RunFolder:
    """Make a run with ImageNet's EfficientNet-lite0 and a last layer by which its photos' scores differ."""
    run, data = create_run(root), open_data("demo")
    images = open_images(data.images)
    names = [name for name in images.names()[: PHOTOS + 5] if _readable(images, name)][:PHOTOS]
    recipe = Recipe(image_size=image_size)
    network = build_network(recipe)
    fc7 = torch.from_numpy(Scorer(network, "cpu").rate_named(images, names)[0].fc7)
    odds = fc7 @ (network.head.weight[1] - network.head.weight[0]).detach()
    network.head.weight.data *= 1 / odds.std()
    network.head.bias.data = torch.tensor([(odds.mean() / odds.std()).item(), 0.0])
    save_network(run, network, {"weights": "imagenet", "image_size": image_size}, pd.DataFrame(), key="k")
    score = Scorer(network, "cpu").rate_named(images, names)[0].score
    assert np.ptp(score) > 0.5
    run.write_table("scores", pd.DataFrame({"image": names, "post_id": names, "score": score}))
    run.write_table("truth", pd.DataFrame({"appeal": [0.0]}))  # only simulated people have one
    run.write_json("data", {"images": str(data.images)})
    return run


def _readable(images, name: str) -> bool:
    try:
        decode(images.read(name))
    except UnreadableImage:
        return False
    return True
