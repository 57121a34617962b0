"""Score and train against the plain loop that one would write first, and against the network alone.

    python benchmarks/pipeline.py [--photos 5500] [--backbone efficientnet_lite0] [--size 96] [--device auto]

All in one run, on the same photos of 306 px and the same weights. The plain loop is torchvision's
ImageFolder, its usual transforms, a DataLoader with a worker a core, and the eager model in the default
layout; on a GPU it has bfloat16 as well. The ceiling is our own network, fused before, on one batch that is
already on the device, again and again. Each is warmed up and then timed three times (--rounds) in turn; the
median counts. Packing is timed apart: it happens once, while the plain loop decodes every time. An epoch of
training is timed on a quarter of the photos, since it takes four times as long per photo. Ours leaves
EfficientNet's first stages and batch norm as they are, as `fine_tune` does; the plain loop learns whole, and
once more with the same layers left as they are, which tells what all the rest is worth.
"""

import argparse

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=5500)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", default=["scoring", "training"])
    given = parser.parse_args()

    from loops import Recipe, main  # processes that decode import this file again: torch would hold them up

    recipe = Recipe(given.backbone, given.weights, given.size)
    main(given.photos, given.rounds, recipe, given.device, given.tasks)
