"""One generator for each thing that is drawn: what one draws more does not move the others."""

import numpy as np

STAGES = ("users", "genders", "people", "posts", "likes", "files", "famous", "celebrities", "twins")


def generator(seed: int, stage: str, number: int = 0) -> np.random.Generator:
    """Return the generator of the `number`-th thing of a stage, one of `STAGES`."""
    return np.random.default_rng([seed, STAGES.index(stage), number])
