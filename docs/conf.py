"""How Sphinx builds the site; what a page needs is in the build, and nothing is fetched."""

import re
import sys
from contextlib import suppress
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.domains.python import PyObject

import bayesgmm

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "bayesgmm"
author = "The bayesgmm developers"
copyright = f"2026, {author}"
version = release = bayesgmm.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "mathml",
]
exclude_patterns = ["_build", "**/.*"]

# Docstrings are in Google's style, with `code` between single backticks.
default_role = "literal"
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"
napoleon_numpy_docstring = False
napoleon_attr_annotations = False
napoleon_use_ivar = True

# Notebooks are committed with their output, which is what the site shows.
nb_execution_mode = "off"
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]
myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 3
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_title = f"bayesgmm {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "bayesgmm"},
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": False,
    "show_toc_level": 2,
}
ALONE = ("index", "getting-started", "method", "promises", "changelog", "contributing")
html_sidebars = {page: [] for page in ALONE}


def link_notebooks(app: Sphinx, config: object) -> None:
    """The notebooks of the repository, where Sphinx finds them; git ignores the link."""
    with suppress(FileExistsError):  # another build made it
        (HERE / "notebooks").symlink_to(Path("..") / "notebooks", target_is_directory=True)


def keep_underscores(
    app: Sphinx, what: str, name: str, thing: object, options: object, lines: list[str]
) -> None:
    """Names such as `means_` in a list of attributes, where reST would read a reference."""
    for place, line in enumerate(lines):
        if line.startswith(":ivar "):
            names, rest = line[1:].split(":", 1)
            lines[place] = f":{re.sub(r'_(?=,|$)', r'\\_', names)}:{rest}"


def setup(app: Sphinx) -> None:
    app.connect("config-inited", link_notebooks)
    app.connect("autodoc-process-docstring", keep_underscores, priority=900)
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"
