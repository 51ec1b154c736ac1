"""The settings of the documentation site, which `make site` builds into docs/_build/html."""

import os
import re
import sys
import warnings
import zlib
from pathlib import Path

from docutils import nodes
from sphinx.transforms import SphinxTransform
from sphinx_gallery.sorting import ExplicitOrder

import seqclf

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))  # for _tables.py, which the pages import
os.environ.setdefault("SEQCLF_EXAMPLES_QUICK", "1")
os.environ.pop("MPLBACKEND", None)  # the kernels that run the pages show figures inline
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(DOCS), os.environ.get("PYTHONPATH")]))  # for the kernels

project = "seqclf"
author = "The seqclf developers"
copyright = author
version = release = seqclf.__version__

extensions = [
    "myst_nb",  # Markdown pages whose code runs during the build
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx_llms_txt",
    "sphinx-mathjax-offline",
    "sphinxext.opengraph",
]
exclude_patterns = ["_build", "**.ipynb"]  # the gallery writes notebooks for download
templates_path = ["_templates"]
suppress_warnings = ["config.cache"]  # sphinx-gallery's settings contain functions

# Markdown
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "amsmath"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_timeout = 120
nb_merge_streams = True
nb_render_markdown_format = "myst"  # with tables

# The reference
autosummary_generate = True
autodoc_typehints = "none"  # the docstrings name the types
numpydoc_show_class_members = False  # the template of a class lists them
numpydoc_xref_param_type = False
# Not checked are four rules that are matters of taste, RT02 ("self : object" is scikit-learn's convention), and SS05,
# which takes a noun such as "Probabilities" for a verb.
numpydoc_validation_checks = {"all", "ES01", "EX01", "GL01", "SA01", "RT02", "SS05"}
numpydoc_validation_exclude = {r"\.set_\w+_request$", r"\.set_output$"}  # written by scikit-learn


def write_inventory() -> str:
    """Write sklearn_objects.txt as an intersphinx file, so that a build downloads nothing, and return its path."""
    lines = [line for line in (DOCS / "sklearn_objects.txt").read_text().splitlines() if not line.startswith("#")]
    entries = "".join("{} {} -1 {} -\n".format(*line.split()) for line in lines)
    header = "# Sphinx inventory version 2\n# Project: scikit-learn\n# Version:\n"
    header += "# The remainder of this file is compressed using zlib.\n"
    path = DOCS / "_build" / "sklearn.inv"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(header.encode() + zlib.compress(entries.encode()))
    return str(path)


intersphinx_mapping = {"sklearn": ("https://scikit-learn.org/stable/", write_inventory())}

# The gallery
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "subsection_order": ExplicitOrder(
        [f"../examples/{name}" for name in ("first_steps", "text", "series", "tuning", "inspection", "shipping")]
    ),
    "filename_pattern": "/plot_",
    "ignore_pattern": r"demo\.py$",
    "reference_url": {"seqclf": None},
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("seqclf",),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "matplotlib_animations": False,
    "capture_repr": ("_repr_html_", "__repr__"),
    "write_computation_times": False,
}

# The pages
html_theme = "pydata_sphinx_theme"
html_title = "seqclf"
html_context = {"default_mode": "auto"}  # the theme of the system, until a reader chooses another
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "seqclf", "image_light": "_static/logo.svg", "image_dark": "_static/logo.svg"},
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "install": [], "changelog": []}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# The address of the published site, if there is one
ogp_site_url = html_baseurl = os.environ.get("SEQCLF_SITE_URL", "")
ogp_site_name = "seqclf"
ogp_description_length = 200
ogp_enable_meta_description = True
ogp_social_cards = {"enable": False}
llms_txt_file = False  # ../llms.txt is written by hand
llms_txt_full_file = True

warnings.filterwarnings("ignore", message=".*non-interactive.*cannot be shown")  # plt.show() of the examples


class AlternativeText(SphinxTransform):
    """Name the section of each figure that code draws, unless its cell has `:mystnb: {image: {alt: "..."}}`."""

    default_priority = 900

    def apply(self) -> None:
        """Add the text to images that have none."""
        for image in self.document.findall(nodes.image):
            section = image.parent
            while section is not None and not isinstance(section, nodes.section):
                section = section.parent
            if section is not None and "alt" not in image:
                image["alt"] = f"Figure of the section {section.next_node(nodes.title).astext()}"


def copy_llms_txt(app, error) -> None:
    """Copy ../llms.txt to the site, with links to its pages instead of their sources."""
    if error is not None:
        return
    text = (DOCS.parent / "llms.txt").read_text(encoding="utf-8").replace("(CHANGELOG.md)", "(changelog.html)")
    text = re.sub(r"\(docs/([\w/]+)\.\w+\)", r"(\1.html)", text)
    (Path(app.outdir) / "llms.txt").write_text(text, encoding="utf-8")


def setup(app) -> None:
    """Register the transform above, and the function that runs after the build."""
    app.add_transform(AlternativeText)
    app.connect("build-finished", copy_llms_txt)
