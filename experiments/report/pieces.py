"""Pieces of the report's page: numbers and durations as people read them, tables, pictures."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments import plots
from experiments.evaluation.entries import Interval, Timing
from experiments.wording import in_unit, is_finite, words

MARKS = {True: '<span class="mark">○ inside</span>', False: '<span class="mark outside">▲ outside</span>'}
"""Whether a value lies inside its null band, for eyes that see no colour too."""


_STYLE = Path(__file__).with_name("report.css")


def document(title: str, sections: Sequence[str]) -> str:
    """Join sections to a page that stands by itself; empty ones are left out."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{_STYLE.read_text()}</style>\n</head>\n<body>\n"
        + "\n".join(one for one in sections if one)
        + "\n</body>\n</html>\n"
    )


def number(value: object) -> str:
    """Write a measured number for people: three digits, zeros kept; counts whole, with thin spaces."""
    if not is_finite(value):
        return "–" if value is None or isinstance(value, float) else html.escape(str(value))
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "&#8239;") if abs(value) < 1e12 else _power(value)
    return f"{value:#.3g}".rstrip(".") if not value or abs(value) >= 1e-4 else _power(value)


def given(value: object) -> str:
    """Write a number that somebody chose, a target or a setting, as it was chosen."""
    return f"{value:g}" if is_finite(value) else number(value)


def interval(ends: Interval | None) -> str:
    """Write an interval; a dash where there is none."""
    return "–" if ends is None or not is_finite(ends[0]) else f"{number(ends[0])} to {number(ends[1])}"


def p_value(value: float) -> str:
    """Write a p-value with two digits."""
    return f"{value:.2g}" if is_finite(value) else "–"


def name(key: str) -> str:
    """Write a key in words, as markup."""
    return html.escape(words(key))


def _power(value: float) -> str:
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return f"{mantissa}&#8239;×&#8239;10<sup>{int(exponent)}</sup>"


def seconds(value: object) -> str:
    """Write a duration in the unit that suits it, from nanoseconds to hours."""
    if not is_finite(value):
        return "–"
    shown, unit = in_unit(value)
    return f"{number(shown)} {unit}"


def timing(found: Timing | None) -> str:
    """Write a time, with its smallest and largest value where it was taken more than once; a dash for none."""
    if found is None:
        return "–"
    if found.repeats <= 1:
        return seconds(found.seconds)
    return f"{seconds(found.seconds)} ({seconds(found.low)} to {seconds(found.high)})"


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], marked: Sequence[bool] = (), text: Sequence[int] = ()
) -> str:
    """Lay out cells that are HTML already; ``marked`` rows stand out, ``text`` columns may wrap."""
    columns = "".join(f'<th scope="col">{one}</th>' for one in head)
    lines = []
    for index, row in enumerate(rows):
        cells = "".join(f'<td class="text">{one}</td>' if i in text else f"<td>{one}</td>" for i, one in enumerate(row))
        chosen = ' class="chosen"' if index < len(marked) and marked[index] else ""
        lines.append(f"<tr{chosen}>{cells}</tr>")
    body = "".join(lines)
    return f'<div class="wide"><table><thead><tr>{columns}</tr></thead><tbody>{body}</tbody></table></div>'


def gallery(pictures: Sequence[plots.Picture | plots.SampleHistory], kind: str = "cards") -> str:
    """Show pictures as cards side by side, or as one column ("one"); nothing where there are none."""
    if not pictures:
        return ""
    shown = "".join(
        f'<figure><img alt="{html.escape(one.caption, quote=True)}" src="{one.data_uri()}">'
        + (f"<figcaption>{html.escape(one.caption_shown)}</figcaption>" if one.caption_shown else "")
        + "</figure>"
        for one in pictures
    )
    return f'<div class="{kind}">{shown}</div>'


def folded(title: str, content: str, shown: bool = False) -> str:
    """Fold content away under a title; nothing where there is no content."""
    return f"<details{' open' * shown}><summary>{title}</summary>{content}</details>" if content else ""


def definitions(meanings: Mapping[str, str], title: str = "What each is") -> str:
    """What each name means, folded away; nothing where there is nothing to say."""
    items = "".join(
        f"<li><b>{name(key)}</b>: {html.escape(meaning)}</li>" for key, meaning in meanings.items() if meaning
    )
    return folded(title, f"<ul>{items}</ul>" if items else "")
