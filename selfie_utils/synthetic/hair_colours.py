"""Natural colours of hair, and the shader that shows them."""

import bpy

from selfie_utils.synthetic.blender import NT

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
HAIR_COLOURS = {name: (tint, None, paint) for name, (tint, paint) in TINTS.items()}
HAIR_COLOURS["dyed"] = (None, None, (0.35, 0.05, 0.2))
SOFT = 0.5  # share of plain diffuse light: three bounces alone leave light hair grey


def strand_colour(name: str, dye) -> tuple:
    """Return the linear RGB of the strands of a named colour, or the dye's."""
    return tuple(dye) if name == "dyed" else TINTS[name][0]


def beard_colour(name: str) -> tuple:
    """Return the linear RGB of a beard and brows: darker than light hair, grey where hair is grey."""
    red, green, blue = TINTS["brown" if name == "dyed" else name][0]
    deep = 0.8 if name == "grey" else 0.75 / (1 + 3 * red)
    return red * deep, green * deep, blue * deep


def hair_material(colour, rough: float = 0.32, soft: float = SOFT):
    """Make a shader of strands of a linear RGB; each strand is a little lighter or darker than the next."""
    material = bpy.data.materials.new("hair_tmp")
    tree = NT(material)
    info = tree.n("ShaderNodeHairInfo")
    vary = tree.n("ShaderNodeMapRange", To__Min=0.72, To__Max=1.28)
    tree.l(info.outputs["Random"], vary.inputs["Value"])
    tint = tree.n("ShaderNodeMix", _data_type="RGBA", _blend_type="MULTIPLY")
    tint.inputs[0].default_value = 1.0
    tint.inputs[6].default_value = (*colour, 1)
    tree.l(vary.outputs[0], tint.inputs[7])
    fibre = tree.n("ShaderNodeBsdfHairPrincipled", _model="CHIANG", _parametrization="COLOR")
    fibre.inputs["Roughness"].default_value = rough
    fibre.inputs["Radial Roughness"].default_value = 0.45
    diffuse = tree.n("ShaderNodeBsdfDiffuse")
    both = tree.n("ShaderNodeMixShader", Fac=soft)
    for shader, socket in ((fibre, 1), (diffuse, 2)):
        tree.l(tint.outputs[2], shader.inputs["Color"])
        tree.l(shader.outputs[0], both.inputs[socket])
    tree.l(both.outputs[0], tree.n("ShaderNodeOutputMaterial").inputs[0])
    return material
