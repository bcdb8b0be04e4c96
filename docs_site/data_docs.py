"""Great Expectations' Data Docs as part of the site: the same pages, with what they want from the network beside them.

They load styles and scripts from eight hosts, and a logo whose address tells Great Expectations of each visit. The site
holds the styles and scripts itself, in the versions that the pages name, and leaves the rest out.

Of the scripts that stand in a page those run that Great Expectations' templates have, and those of the first page, which
lists suites and runs and shows nothing of rows.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

from cinelake.stack.jars import web_jars
from docs_site.policy import inline_scripts, of_tool, with_policy

WEB = "META-INF/resources/webjars/"
"""Where a WebJar holds its files: https://www.webjars.org/documentation"""
VENDOR = Path("static") / "vendor"
HELD = {
    "bootstrap": r"/bootstrap/4\.3\.1/",
    "bootstrap-datepicker": r"/bootstrap-datepicker/1\.9\.0/",
    # The pages name two versions of it, of which the newer one holds both files.
    "bootstrap-table": r"/bootstrap-table@1\.19\.\d/",
    "font-awesome": r"/font-awesome/6\.6\.0/",
    "jquery": r"//code\.jquery\.com/(?=jquery-3\.7\.1\.)",
    "popper.js": r"/popper\.js/1\.12\.9/",
}
"""What of the pages' addresses stands for the root of a library's files."""
RENAMED = {"jquery-3.7.1.min.js": "jquery.min.js"}
WANTED = re.compile(r"\.min\.(css|js)$|filter-control\.css$|/webfonts/.*\.woff2$")

_ELEMENT = re.compile(
    r"<script\b[^>]*\bsrc=\"(?P<script>(?:https?:)?//[^\"]+)\"[^>]*>\s*</script>"
    r"|<link\b[^>]*\bhref=\"(?P<style>(?:https?:)?//[^\"]+)\"[^>]*>"
    r"|<(?:img|source)\b[^>]*\bsrc(?:set)?=[\"'](?:https?:)?//[^\"']+[\"'][^>]*>"
)

_PICTURE = re.compile(r"url\([\"']?(?:https?:)?//[^)]+\)")


def copy_data_docs(source: Path, target: Path) -> None:
    """Copy Data Docs into the site, such that they need no network.

    Args:
        source: The folder that Great Expectations wrote.
        target: A folder that does not exist yet.

    Raises:
        ServiceError: The web's jars were not fetched.
        OSError: A file cannot be read or written.
    """
    shutil.copytree(source, target)
    held = _unpack(target / VENDOR)
    known = {script for template in _templates() for script in inline_scripts(template)}
    for page in target.rglob("*.html"):
        depth = len(page.relative_to(target).parts) - 1
        text = _offline(page.read_text("utf-8"), "../" * depth, held)
        scripts = [each for each in inline_scripts(text) if not depth or each in known]
        page.write_text(with_policy(text, of_tool(scripts)), encoding="utf-8")


def _templates() -> Iterator[str]:
    """The templates of Great Expectations' pages."""
    package = find_spec("great_expectations")
    assert package is not None and package.origin is not None, "the project depends on it"
    for template in Path(package.origin).parent.glob("render/view/templates/*.j2"):
        yield template.read_text("utf-8")


def _unpack(folder: Path) -> Mapping[str, str]:
    """Unpack the libraries; the folder of each, from the root of Data Docs, by the library's name."""
    found: dict[str, str] = {}
    for jar in web_jars():
        with ZipFile(jar) as archive:
            for name in archive.namelist():
                library, _, rest = name.removeprefix(WEB).partition("/")
                if name.startswith(WEB) and WANTED.search(rest):
                    version, _, path = rest.partition("/")
                    file = folder / library / version / path
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(archive.read(name))
                    found[library] = (VENDOR / library / version).as_posix()
    return found


def _offline(page: str, to_root: str, held: Mapping[str, str]) -> str:
    def local(match: re.Match[str]) -> str:
        address = match["script"] or match["style"] or ""
        path = _path(address, held)
        if path is None:
            return ""
        if match["script"]:
            return f'<script src="{to_root}{path}"></script>'
        return f'<link rel="stylesheet" href="{to_root}{path}">'

    return _PICTURE.sub("none", _ELEMENT.sub(local, page))


def _path(address: str, held: Mapping[str, str]) -> str | None:
    """Where the site holds what an address names; None when it does not."""
    for library, pattern in HELD.items():
        if found := re.search(pattern, address):
            file = address[found.end() :]
            return f"{held[library]}/{RENAMED.get(file, file)}"
    return None
