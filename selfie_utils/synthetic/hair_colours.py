"""Natural colours of hair, and the shader that shows them."""

import bpy
import numpy as np

from selfie_utils.synthetic.blender import Nodes
from selfie_utils.synthetic.description import Person

# name: (colour of the strands, of the scalp's and brows' paint), linear RGB
TINTS = {
    "black": ((0.013, 0.010, 0.009), (0.010, 0.008, 0.007)),
    "darkbrown": ((0.045, 0.023, 0.013), (0.030, 0.017, 0.010)),
    "brown": ((0.125, 0.060, 0.029), (0.065, 0.034, 0.017)),
    "chestnut": ((0.165, 0.056, 0.023), (0.085, 0.034, 0.015)),
    "blonde": ((0.66, 0.475, 0.265), (0.38, 0.25, 0.13)),
    "darkblonde": ((0.40, 0.25, 0.125), (0.20, 0.11, 0.045)),
    "red": ((0.40, 0.12, 0.036), (0.24, 0.065, 0.018)),
    "grey": ((0.55, 0.545, 0.54), (0.34, 0.335, 0.33)),
}


def strand_colour(person: Person) -> tuple:
    """Return the linear RGB of somebody's hair."""
    return person.dye if person.hair_colour == "dyed" else TINTS[person.hair_colour][0]


def paint_colour(person: Person) -> np.ndarray:
    """Return the linear RGB (3,) of the skin below hair."""
    return np.array(person.dye if person.hair_colour == "dyed" else TINTS[person.hair_colour][1])


def beard_colour(name: str) -> tuple:
    """Return the linear RGB of a beard and brows: darker than light hair, grey where hair is grey."""
    red, green, blue = TINTS["brown" if name == "dyed" else name][0]
    deep = 0.8 if name == "grey" else 0.75 / (1 + 3 * red)
    return red * deep, green * deep, blue * deep


def hair_material(colour: tuple, rough: float, soft: float) -> bpy.types.Material:
    """Make a shader of strands of a linear RGB; each strand is a little lighter or darker than the next.

    `soft` is the share of plain diffuse light: three bounces alone leave light hair grey.
    """
    material = bpy.data.materials.new("hair_tmp")
    nodes = Nodes(material)
    vary = nodes.node("MapRange", To__Min=0.72, To__Max=1.28)
    nodes.link(nodes.node("HairInfo").outputs["Random"], vary.inputs["Value"])
    tint = nodes.node("Mix", _data_type="RGBA", _blend_type="MULTIPLY")
    tint.inputs[0].default_value = 1.0
    tint.inputs[6].default_value = (*colour, 1)
    nodes.link(vary.outputs[0], tint.inputs[7])
    fibre = nodes.node("BsdfHairPrincipled", _model="CHIANG", _parametrization="COLOR", Roughness=rough)
    fibre.inputs["Radial Roughness"].default_value = 0.45
    diffuse = nodes.node("BsdfDiffuse")
    both = nodes.node("MixShader", Fac=soft)
    for shader, socket in ((fibre, 1), (diffuse, 2)):
        nodes.link(tint.outputs[2], shader.inputs["Color"])
        nodes.link(shader.outputs[0], both.inputs[socket])
    nodes.link(both.outputs[0], nodes.node("OutputMaterial").inputs[0])
    return material
