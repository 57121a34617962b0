"""What skin, cloth, hair, eyes and frames are made of, as Cycles shaders."""

import math
import numpy as np
import bpy
from selfie_utils.synthetic.blender import *

MATS = {}


def materials():
    def new(n):
        m = bpy.data.materials.new(n)
        MATS[n] = m
        return NT(m)

    def pr(t, **kw):
        b = t.n("ShaderNodeBsdfPrincipled")
        o = t.n("ShaderNodeOutputMaterial")
        t.l(b.outputs[0], o.inputs[0])
        for k, v in kw.items():
            b.inputs[k.replace("__", " ")].default_value = v
        return b, o

    t = new("skin")
    b, o = pr(t, Subsurface__Weight=1.0, Subsurface__Scale=0.006, Roughness=0.45, Specular__IOR__Level=0.35)
    b.subsurface_method = "BURLEY"
    b.inputs["Subsurface Radius"].default_value = (1.0, 0.35, 0.2)
    a = t.n("ShaderNodeAttribute", _attribute_name="col")
    t.l(a.outputs["Color"], b.inputs["Base Color"])
    a2 = t.n("ShaderNodeAttribute", _attribute_name="rough")
    t.l(a2.outputs["Fac"], b.inputs["Roughness"])
    tc = t.n("ShaderNodeAttribute", _attribute_name="rp")
    ns = t.n("ShaderNodeTexNoise", Scale=9.0, Detail=3.0)
    t.l(tc.outputs["Vector"], ns.inputs["Vector"])
    bu = t.n("ShaderNodeBump", Strength=0.12, Distance=0.004)
    t.l(ns.outputs[0], bu.inputs["Height"])
    t.l(bu.outputs[0], b.inputs["Normal"])
    t = new("eye")
    b, o = pr(t, Roughness=0.12, Specular__IOR__Level=0.5, Coat__Weight=1.0, Coat__Roughness=0.02)
    a = t.n("ShaderNodeAttribute", _attribute_name="col")
    t.l(a.outputs["Color"], b.inputs["Base Color"])
    t = new("teeth")
    pr(t, Base__Color=(0.66, 0.60, 0.50, 1), Roughness=0.25, Subsurface__Weight=0.3, Subsurface__Scale=0.003)
    t = new("tongue")
    pr(t, Base__Color=(0.42, 0.11, 0.10, 1), Roughness=0.35)
    t = new("lash")
    b, o = pr(t, Base__Color=(0.012, 0.009, 0.008, 1), Roughness=0.7, Specular__IOR__Level=0.1)
    tr = t.n("ShaderNodeBsdfTransparent")
    mx = t.n("ShaderNodeMixShader")
    a = t.n("ShaderNodeAttribute", _attribute_name="cut")
    t.l(a.outputs["Fac"], mx.inputs[0])
    t.l(tr.outputs[0], mx.inputs[1])
    t.l(b.outputs[0], mx.inputs[2])
    t.l(mx.outputs[0], o.inputs[0])
    for pat in ("plain", "stripes", "dots", "plaid", "knit", "leather"):
        leather = pat == "leather"
        t = new(pat if leather else "cloth_" + pat)
        b, o = pr(t, Roughness=0.85, Specular__IOR__Level=0.15, Sheen__Weight=0.12, Sheen__Roughness=0.4)
        if leather:
            b.inputs["Roughness"].default_value, b.inputs["Specular IOR Level"].default_value = 0.38, 0.5
        a = t.n("ShaderNodeAttribute", _attribute_name="col")
        rp = t.n("ShaderNodeAttribute", _attribute_name="rp")
        c2 = t.n("ShaderNodeAttribute", _attribute_name="col2")
        col = a.outputs["Color"]
        if pat not in ("plain", "knit", "leather"):
            if pat == "dots":
                vo = t.n("ShaderNodeTexVoronoi", Scale=3.2, Randomness=0.0)
                vo.voronoi_dimensions = "2D"  # seen from the front, or dots become streaks where cloth turns
                t.l(rp.outputs["Vector"], vo.inputs["Vector"])
                f = t.n("ShaderNodeMath", _operation="LESS_THAN")
                f.inputs[1].default_value = 0.3
                t.l(vo.outputs["Distance"], f.inputs[0])
            else:
                sep = t.n("ShaderNodeSeparateXYZ")
                t.l(rp.outputs["Vector"], sep.inputs[0])
                fs = []
                for ax in ("Y",) if pat == "stripes" else ("X", "Y"):
                    m1 = t.n("ShaderNodeMath", _operation="PINGPONG")
                    m1.inputs[1].default_value = 0.22
                    t.l(sep.outputs[ax], m1.inputs[0])
                    m2 = t.n("ShaderNodeMath", _operation="LESS_THAN")
                    m2.inputs[1].default_value = 0.085
                    t.l(m1.outputs[0], m2.inputs[0])
                    fs.append(m2)
                f = fs[0]
                if len(fs) > 1:
                    ad = t.n("ShaderNodeMath", _operation="ADD")
                    t.l(fs[0].outputs[0], ad.inputs[0])
                    t.l(fs[1].outputs[0], ad.inputs[1])
                    f = t.n("ShaderNodeMath", _operation="MULTIPLY")
                    f.inputs[1].default_value = 0.45
                    t.l(ad.outputs[0], f.inputs[0])
            mx = t.n("ShaderNodeMix", _data_type="RGBA")
            t.l(f.outputs[0], mx.inputs[0])
            t.l(col, mx.inputs[6])
            t.l(c2.outputs["Color"], mx.inputs[7])
            col = mx.outputs[2]
        t.l(col, b.inputs["Base Color"])
        ns = t.n("ShaderNodeTexNoise", Scale=1.0 if pat != "knit" else 1.5, Detail=1.0, Distortion=0.8)
        t.l(rp.outputs["Vector"], ns.inputs["Vector"])
        bu = t.n("ShaderNodeBump", Strength=0.35, Distance=0.03)
        t.l(ns.outputs[0], bu.inputs["Height"])
        nrm_ = bu
        if pat == "knit":
            wv = t.n("ShaderNodeTexWave", Scale=6.0, Distortion=1.0)
            t.l(rp.outputs["Vector"], wv.inputs["Vector"])
            bu2 = t.n("ShaderNodeBump", Strength=0.5, Distance=0.006)
            t.l(wv.outputs["Fac"], bu2.inputs["Height"])
            t.l(bu.outputs[0], bu2.inputs["Normal"])
            nrm_ = bu2
        t.l(nrm_.outputs[0], b.inputs["Normal"])
        tr = t.n("ShaderNodeBsdfTransparent")
        mx = t.n("ShaderNodeMixShader")
        ct = t.n("ShaderNodeAttribute", _attribute_name="cut")
        gt = t.n("ShaderNodeMath", _operation="GREATER_THAN")
        gt.inputs[1].default_value = 0
        t.l(ct.outputs["Fac"], gt.inputs[0])
        t.l(gt.outputs[0], mx.inputs[0])
        t.l(tr.outputs[0], mx.inputs[1])
        t.l(b.outputs[0], mx.inputs[2])
        t.l(mx.outputs[0], o.inputs[0])
    t = new("frame")
    pr(t, Base__Color=(0.02, 0.02, 0.02, 1), Roughness=0.25)
    t = new("metal")
    pr(t, Base__Color=(0.75, 0.6, 0.35, 1), Roughness=0.25, Metallic=1.0)
    t = new("lens")
    pr(t, Base__Color=(0.012, 0.010, 0.010, 1), Roughness=0.12, Specular__IOR__Level=0.35)
    t = new("phone")
    pr(t, Base__Color=(0.03, 0.03, 0.035, 1), Roughness=0.2)
    t = new("silver")
    pr(t, Base__Color=(0.80, 0.78, 0.74, 1), Roughness=0.2, Metallic=1.0)
