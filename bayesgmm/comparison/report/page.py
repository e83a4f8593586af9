"""One self-contained HTML page, made from a template and the values that it shows."""

import base64
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bayesgmm.comparison.report.typography import pages, prose


def page(template: str, content: Mapping[str, Any]) -> str:
    """The page as HTML; the same content gives the same text.

    Its only script sorts tables. The page's Content-Security-Policy admits it by its hash, and
    forbids everything else, so that nothing can be loaded from elsewhere.
    """
    environment = Environment(
        loader=PackageLoader("bayesgmm.comparison.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"prose": prose, "pages": pages}
    script = _text("sort.js")
    own = {"style": Markup(_text("style.css")), "script": Markup(script)}
    return environment.get_template(template).render(
        **content, **own, script_hash=_hash(f"\n{script}")
    )


def _text(name: str) -> str:
    return (
        files("bayesgmm.comparison.report").joinpath("templates", name).read_text(encoding="utf-8")
    )


def _hash(script: str) -> str:
    """As a Content-Security-Policy names a script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"
