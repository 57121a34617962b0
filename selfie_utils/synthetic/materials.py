"""What skin, cloth, eyes and frames are made of, as Cycles shaders; most colours come from the points.

Shaders read what a mesh has at each point: "col" and "col2" (colours), "rough" (roughness), "rp" (the place
on the base mesh, decimetres) and "cut" (what is seen: cloth where it is positive).
"""

import bpy

from selfie_utils.synthetic.blender import Nodes

PLAIN = {  # materials of one colour: linear RGB, roughness, and what else they differ in
    "tongue": ((0.42, 0.11, 0.10), 0.35, {}),
    "frame": ((0.02, 0.02, 0.02), 0.25, {}),
    "metal": ((0.75, 0.6, 0.35), 0.25, {"Metallic": 1.0}),
    "lens": ((0.012, 0.010, 0.010), 0.12, {"Specular__IOR__Level": 0.35}),
    "phone": ((0.03, 0.03, 0.035), 0.2, {}),
    "silver": ((0.80, 0.78, 0.74), 0.2, {"Metallic": 1.0}),
}
CLOTHS = ("cloth_plain", "cloth_stripes", "cloth_dots", "cloth_plaid", "cloth_knit", "leather")
STRIPE, HALF_PERIOD = 0.085, 0.22  # decimetres


def material(name: str) -> bpy.types.Material:
    """Return a material that `make_materials` made."""
    return bpy.data.materials[name]


def make_materials() -> None:
    """Make every material of people, once for each of Blender's scenes."""
    _make_skin()
    eye = _Surface("eye", Roughness=0.12, Specular__IOR__Level=0.5, Coat__Weight=1.0, Coat__Roughness=0.02)
    eye.colour(eye.attribute("col", "Color"))
    teeth = _Surface("teeth", Roughness=0.3)
    teeth.colour(teeth.attribute("col", "Color"))
    lash = _Surface("lash", Base__Color=(0.012, 0.009, 0.008, 1), Roughness=0.7, Specular__IOR__Level=0.1)
    lash.show(lash.attribute("cut", "Fac"))
    for name in CLOTHS:
        _make_cloth(name)
    for name, (colour, rough, more) in PLAIN.items():
        _Surface(name, Base__Color=(*colour, 1), Roughness=rough, **more)


class _Surface(Nodes):
    """A material that starts as one of Blender's principled shaders."""

    def __init__(self, name: str, **settings):
        super().__init__(bpy.data.materials.new(name))
        self.shader = self.node("BsdfPrincipled", **settings)
        self.output = self.node("OutputMaterial")
        self.link(self.shader.outputs[0], self.output.inputs[0])

    def colour(self, colour):
        """Take the colour from an output."""
        self.link(colour, self.shader.inputs["Base Color"])

    def show(self, share):
        """Make the surface transparent where an output is 0."""
        mix = self.node("MixShader")
        self.link(share, mix.inputs[0])
        self.link(self.node("BsdfTransparent").outputs[0], mix.inputs[1])
        self.link(self.shader.outputs[0], mix.inputs[2])
        self.link(mix.outputs[0], self.output.inputs[0])

    def texture(self, kind: str, place, **settings):
        """Return a node of texture, seen at an output."""
        node = self.node("Tex" + kind, **settings)
        self.link(place, node.inputs["Vector"])
        return node

    def bump(self, height, strength: float, distance: float, below=None):
        """Let an output raise the surface, over the normal `below` where there is one; returns the normal."""
        node = self.node("Bump", Strength=strength, Distance=distance)
        self.link(height, node.inputs["Height"])
        if below is not None:
            self.link(below, node.inputs["Normal"])
        self.link(node.outputs[0], self.shader.inputs["Normal"])
        return node.outputs[0]


def _make_skin() -> None:
    skin = _Surface("skin", Subsurface__Weight=1.0, Subsurface__Scale=0.006, Specular__IOR__Level=0.35)
    skin.shader.subsurface_method = "BURLEY"
    skin.shader.inputs["Subsurface Radius"].default_value = (1.0, 0.35, 0.2)
    skin.colour(skin.attribute("col", "Color"))
    skin.link(skin.attribute("rough", "Fac"), skin.shader.inputs["Roughness"])
    pores = skin.texture("Noise", skin.attribute("rp", "Vector"), Scale=9.0, Detail=3.0)
    skin.bump(pores.outputs[0], 0.12, 0.004)


def _make_cloth(name: str) -> None:
    rough, shine = (0.38, 0.5) if name == "leather" else (0.85, 0.15)
    sheen = {"Sheen__Weight": 0.12, "Sheen__Roughness": 0.4}
    cloth = _Surface(name, Roughness=rough, Specular__IOR__Level=shine, **sheen)
    place, colour = cloth.attribute("rp", "Vector"), cloth.attribute("col", "Color")
    if name in _PATTERNS:
        mix = cloth.node("Mix", _data_type="RGBA")
        parts = (_PATTERNS[name](cloth, place), colour, cloth.attribute("col2", "Color"))
        for part, socket in zip(parts, (0, 6, 7), strict=True):
            cloth.link(part, mix.inputs[socket])
        colour = mix.outputs[2]
    cloth.colour(colour)
    knit = name == "cloth_knit"
    slack = cloth.texture("Noise", place, Scale=1.5 if knit else 1.0, Detail=1.0, Distortion=0.8)
    normal = cloth.bump(slack.outputs[0], 0.35, 0.03)
    if knit:
        ribs = cloth.texture("Wave", place, Scale=6.0, Distortion=1.0)
        cloth.bump(ribs.outputs["Fac"], 0.5, 0.006, normal)
    cloth.show(cloth.maths("GREATER_THAN", cloth.attribute("cut", "Fac"), 0))


def _dots(cloth: _Surface, place):
    spots = cloth.texture("Voronoi", place, Scale=3.2, Randomness=0.0)
    spots.voronoi_dimensions = "2D"  # seen from the front, or dots become streaks where cloth turns
    return cloth.maths("LESS_THAN", spots.outputs["Distance"], 0.3)


def _stripes(cloth: _Surface, place, axis: str = "Y"):
    axes = cloth.node("SeparateXYZ")
    cloth.link(place, axes.inputs[0])
    return cloth.maths("LESS_THAN", cloth.maths("PINGPONG", axes.outputs[axis], HALF_PERIOD), STRIPE)


def _plaid(cloth: _Surface, place):
    both = cloth.node("Math", _operation="ADD")
    for axis, socket in zip("XY", both.inputs, strict=False):
        cloth.link(_stripes(cloth, place, axis), socket)
    return cloth.maths("MULTIPLY", both.outputs[0], 0.45)


_PATTERNS = {"cloth_stripes": _stripes, "cloth_dots": _dots, "cloth_plaid": _plaid}
