"""The look of every HTML page: one file that asks nothing of the network, runs no script, and can be printed.

Belongs here: the frame and the style (``page.html.j2``), how numbers are written, which letters are never shown. Does
not belong: what a page says; that is a template beside the module it belongs to, which extends the frame.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any

from stratify import periods

if TYPE_CHECKING:
    from jinja2 import Environment, Template

_MARKS: dict[int, str | None] = dict.fromkeys(
    (
        *(code for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)),
        0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x2028, 0x2029, 0xFEFF,
    )
)  # fmt: skip
_MARKS[0x09] = " "


def without_marks(text: str) -> str:
    """Leave out controls and marks that turn the direction of text: they make a name read as another. A tab is a blank.

    Unicode Technical Report 36, bidirectional text spoofing.
    """
    return text if text.isascii() and text.isprintable() else text.translate(_MARKS)


def _shown(value: Any) -> Any:  # noqa: ANN401  whatever a template shows
    return without_marks(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def render(package: str, template: str, *, title: str, subtitle: str, is_test: bool, **values: Any) -> str:  # noqa: ANN401
    """Write a page from the template of a package.

    Args:
        package: Name of the package the template lies in.
        template: File name of the template; it extends ``page.html.j2`` and fills the block ``main``.
        title: Heading of the page.
        subtitle: The line below it.
        is_test: True for invented patients: a red banner says so, on paper too.
        values: What the template shows. All of it is escaped, and marks that turn text are left out.

    Returns:
        The HTML text, complete in itself; the same bytes for the same arguments.
    """
    page = _environment(package).get_template(template)
    return page.render(title=title, subtitle=subtitle, is_test=is_test, **values)


@cache
def _environment(package: str) -> Environment:
    """Give what reads the templates of a package, each once in a process."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # most commands write no page

    def load(name: str) -> str:
        return package_files(__package__ if name == "page.html.j2" else package).joinpath(name).read_text("utf-8")

    environment = Environment(
        loader=FunctionLoader(load),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {"whole": whole, "share": share, "day": day}
    return environment


def draw(package: str, template: str, **values: Any) -> str:  # noqa: ANN401
    """Draw a picture (SVG) from the template of a package; all values are escaped."""
    return _picture(package, template).render(**values) + "\n"


@cache
def _picture(package: str, template: str) -> Template:
    from jinja2 import Environment, StrictUndefined

    text = package_files(package).joinpath(template).read_text(encoding="utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    return environment.from_string(text)


def whole(number: int | None) -> str:
    """Write a count with its thousands, or that there is none."""
    return "not told" if number is None else f"{number:,}"


def share(part: int, of: int) -> str:
    """Write a share so that some is never shown as none, and not quite all never as all."""
    if part == 0 or of == 0:
        return "0 %"
    percent = 100 * part / of
    if percent < 0.1:
        return "under 0.1 %"
    return "over 99.9 %" if part < of and percent > 99.9 else f"{percent:.1f} %"


def day(value: date) -> str:
    """Write a date as people read it."""
    return periods.in_words(value)
