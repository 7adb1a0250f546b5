"""Drawing: HTML for the pages; what they show is decided in `local.emr.pages`."""

import html
import time
from collections.abc import Iterable, Sequence

from starlette.responses import HTMLResponse, Response

# Colours have a contrast of 4.5 and more on white. On a telephone a table's row is a block of its own.
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff; overflow-wrap: break-word }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid #ddd }
th, td:not(:first-child, :last-child) { overflow-wrap: normal }
a { color: #086b3c } pre { white-space: pre-wrap; margin: 0; overflow-wrap: anywhere }
.FAILED, .TERMINATED_WITH_ERRORS { color: #b00 } .RUNNING, .BOOTSTRAPPING { color: #0057b0 }
@media (max-width: 50rem) {
  body { margin: 1rem }
  table, tbody, tr, td { display: block } th { display: none }
  tr { padding: .5rem 0; border-bottom: 1px solid #ddd } td { padding: 0; border: 0 } td:empty { display: none }
  td::before { content: attr(data-head) ": "; color: #555 }
}
"""
# What lives is drawn anew, without moving what is being read.
_FOLLOW = """
const following = setInterval(async () => {
  if (document.hidden) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelector("main").replaceWith(page.querySelector("main"));
  if (!page.querySelector("script")) clearInterval(following);
}, 3000);
"""


def page(title: str, body: str, ways: Sequence[str] = (), live: bool = False) -> Response:
    """Make a page.

    Parameters
    ----------
    ways : sequence of str
        Links to where one comes from, and to what belongs to it.
    live : bool
        Whether it can change by itself: then it follows what happens.
    """
    nav = f"<nav>{' · '.join(ways)}</nav>" if ways else ""
    script = f"<script>{_FOLLOW}</script>" if live else ""
    return HTMLResponse(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body>{nav}<h1>{text(title)}</h1><main>{body}</main>{script}</body></html>"
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{text(each)}</th>' for each in heads)
    lines = "".join(f"<tr>{_cells(heads, row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{lines}</table>"


def _cells(heads: Sequence[str], row: Sequence[str]) -> str:
    """Draw a row; each cell knows its heading, for where there is no room for a table."""
    return "".join(f'<td data-head="{text(of)}">{cell}</td>' for of, cell in zip(heads, row, strict=True))


def link(address: str, name: str) -> str:
    return f'<a href="{text(address)}">{text(name)}</a>'


def state(name: str) -> str:
    return f'<span class="{name}">{name}</span>'


def moment(seconds: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds)) if seconds is not None else ""


def text(given: str) -> str:
    return html.escape(given)
