"""A widget's JavaScript in a page of its own: what it sends reaches the Python widget, and comes back."""

import base64
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

STUB = """async ([code, css, state, binary]) => {
    const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
    for (const name of binary) state[name] = [].concat(state[name]).map(bytes);
    const heard = {};
    window.model = {
        get: (name) => state[name],
        on: (kind, act) => (heard[kind] ??= []).push(act),
        set(name, value) { state[name] = value; for (const act of heard[`change:${name}`] ?? []) act(); },
        async send(message) {
            const { traits, said } = await toKernel(message);
            for (const [name, value] of Object.entries(traits)) this.set(name, value);
            for (const one of said) for (const act of heard["msg:custom"] ?? []) act(one);
        },
    };
    document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const { default: widget } = await import(url);
    const el = document.body.appendChild(document.createElement("main"));
    window.started = performance.now();
    widget.render({ model: window.model, el });
}"""


def encoded(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return [encoded(one) for one in value] if isinstance(value, list) else value


def open_widget(page: Page, widget: Any, script: Path, binary: tuple[str, ...], hear: Any = None) -> None:
    """Render a widget, whose traits `binary` are lists of bytes.

    `hear(message)` answers what it sends with (changed traits, messages).
    """

    def to_kernel(message):
        traits, said = hear(message) if hear else ({}, [])
        return {"traits": traits, "said": said}

    page.expose_function("toKernel", to_kernel)
    page.set_content("<!doctype html><meta name=viewport content='width=device-width'><body></body>")
    names = [name for name in widget.traits(sync=True) if not name.startswith("_") and name != "layout"]
    state = {name: encoded(getattr(widget, name)) for name in names if name not in ("tabbable", "tooltip")}
    code, css = (script.with_suffix(end).read_text(encoding="utf-8") for end in (".js", ".css"))
    page.evaluate(STUB, [code, css, state, list(binary)])
