"""Ten lines for those who get a network: how to score a photo with it, and nothing of this project."""

# SIZE, MEAN, STD, LIBRARY and CONSTRUCTOR are filled in for each network.
ONNX_EXAMPLE = '''"""Score a photo: python example.py me.jpg (needs numpy, onnxruntime and pillow)."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

photo = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")
photo = photo.resize((SIZE, SIZE), Image.Resampling.BILINEAR)  # squished to a square
network = onnxruntime.InferenceSession(Path(__file__).with_name("model.onnx"))
score, log_odds, fc7 = network.run(None, {"photos": np.asarray(photo)[None]})  # uint8 (N, S, S, 3)
print(f"score {score[0]:.1%}")
'''
SAFETENSORS_EXAMPLE = '''"""Score a photo: python example.py me.jpg (needs pillow, safetensors, LIBRARY)."""

import sys
from pathlib import Path

import LIBRARY
from PIL import Image, ImageOps
from safetensors.torch import load_file
from torchvision.transforms.functional import normalize, to_tensor

network = CONSTRUCTOR.eval()
network.load_state_dict(load_file(Path(__file__).with_name("model.safetensors")))
photo = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")
photo = photo.resize((SIZE, SIZE), Image.Resampling.BILINEAR)  # squished to a square
pixels = normalize(to_tensor(photo), MEAN, STD)
score = network(pixels[None]).softmax(1)[0, 1].item()  # of the classes bad and good
print(f"score {score:.1%}")
'''
