"""Sphinx configuration; `make docs` builds with it, warnings being errors.

The `>>>` snippets of the pages are run by pytest (`--doctest-glob=*.rst`, see
pyproject.toml), so `make test` fails on a page that no longer tells the truth.
Nothing here needs the network: links to scikit-learn's pages are made by
`link_scikit_learn` instead of intersphinx.
"""

from docutils import nodes

import skautoencoder

project = "skautoencoder"
author = "skautoencoder developers"
copyright = "2026, skautoencoder developers"
version = release = skautoencoder.__version__

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",  # CHANGELOG.md
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "**.ipynb", "auto_examples/*.py"]
default_role = "code"
# A reference without a target is a warning, and so an error of `make docs`. What other
# packages document is not looked up, but for scikit-learn's (below).
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(matplotlib|skorch|torch)\..*")]

# --- API reference ------------------------------------------------------------

autosummary_generate = True
# Some file systems take it for the page of `Contraction`.
autosummary_filename_map = {
    "skautoencoder.objectives.contraction": "skautoencoder.objectives.contraction_",
}
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # numpydoc sections already name the types
# The class template lists the members; numpydoc must not list them again.
numpydoc_show_class_members = False

# --- pictures of the guides -----------------------------------------------------

plot_include_source = True
plot_html_show_source_link = False
plot_html_show_formats = False
plot_formats = [("png", 100)]

# --- examples -----------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"[/\\]plot_",
    # demo_digits.py is the program behind `make demo`, not a page.
    "ignore_pattern": r"(^|[/\\])(?!plot_)[^/\\]+\.py$",
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("skautoencoder",),
    "reference_url": {"skautoencoder": None},
    "backreferences_dir": "generated/backreferences",
    "download_all_examples": False,
    "abort_on_example_error": False,
}

# --- HTML -----------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "skautoencoder"
html_show_sourcelink = False
html_theme_options = {
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc"], "coming_from": []},
    "navbar_persistent": ["search-button"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
html_static_path = ["_static"]
html_css_files = ["site.css"]
# Where a section has pages, they stand at the left; elsewhere the top bar is enough.
html_sidebars = {
    page: []
    for page in ("index", "getting_started", "coming_from", "comparison", "changelog")
}
copybutton_exclude = ".linenos, .gp, .go"

# --- links to scikit-learn ------------------------------------------------------

SCIKIT_LEARN = "https://scikit-learn.org/stable/"
# Labels of scikit-learn's guide that inherited docstrings refer to.
LABELS = {
    "df_output_transform": "modules/df_output_transform.html",
    "metadata_routing": "metadata_routing.html",
}
GALLERY_LABEL = "sphx_glr_auto_examples_"


def scikit_learn_page(domain, kind, target):
    """Return the page of scikit-learn's site that a reference means, or None."""
    if domain == "py" and kind in ("class", "func", "obj"):
        if target.startswith("sklearn."):
            return f"modules/generated/{target}.html"
    elif domain == "std" and kind == "ref":
        if target.startswith(GALLERY_LABEL):
            # sphx_glr_auto_examples_<folder>_plot_<name>.py
            folder, _, name = target.removeprefix(GALLERY_LABEL).partition("_plot_")
            return f"auto_examples/{folder}/plot_{name.removesuffix('.py')}.html"
        return LABELS.get(target)
    elif domain == "std" and kind == "term":
        # Inherited docstrings use terms of scikit-learn's glossary; there is none here.
        return f"glossary.html#term-{target.replace(' ', '-')}"
    return None


def link_scikit_learn(app, env, node, contnode):
    """Resolve a reference that Sphinx could not, if scikit-learn has its target."""
    page = scikit_learn_page(
        node.get("refdomain"), node.get("reftype"), node.get("reftarget", "")
    )
    if page is None:
        return None
    return nodes.reference("", "", contnode, internal=False, refuri=SCIKIT_LEARN + page)


def setup(app):
    """Connect the handler above."""
    app.connect("missing-reference", link_scikit_learn)
