"""The hook of MkDocs (mkdocs.yml): the pages that are not files of docs/, and links between all of them."""

import api_reference
import pages
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Give headings the anchors that they have on GitHub, to which the documents link."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = pages.slug
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents from outside of docs/, the files that pages link to, and the reference of the API."""
    contents = {page: (pages.ROOT / source).read_text() for source, page in pages.PROJECT.items()}
    contents[pages.API_REFERENCE] = api_reference.render((pages.ROOT / "docs/openapi.json").read_text())
    for name, content in contents.items():
        files.append(File.generated(config, name, content=content))
    for path, name in pages.shown_files().items():
        level = InclusionLevel.NOT_IN_NAV
        files.append(File.generated(config, name, content=pages.show(path), inclusion=level))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Lead the links of a document to pages of the site."""
    sources = {name: source for source, name in pages.documents().items()}
    source = sources.get(page.file.src_uri)
    return pages.prepare(markdown, source) if source else markdown
