"""From shapes to HTML: the templates, and how moments, lengths and sizes are written on the page."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from models.access import Scope
from models.rollouts import RolloutSpec
from producers.cli.screen import short, span
from producers.cli.sizes import as_share, as_size
from producers.tokens import Caller

STATIC = files("producers.page") / "static"
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain", ".webmanifest": "application/manifest+json"}


class Renderer:
    """The templates of the page; made once per process."""

    def __init__(self) -> None:
        self.assets = {one.name: one.read_bytes() for one in STATIC.iterdir() if one.name.endswith(tuple(KINDS))}
        self._versions = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in self.assets.items()}
        self._environment = Environment(
            loader=PackageLoader("producers.page"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._environment.filters.update(
            moment=moment,
            by_the_clock_of=by_the_clock_of,
            seconds=seconds,
            size=as_size,
            short=short,
            plain=plain,
            took=took,
            words=words,
            count=count,
            percent=percent,
            lasting=lasting,
            written=written,
        )
        self._environment.globals.update(asset=self.asset, share=as_share, sees=sees, entry_of=entry_of, limits=limits)
        self.parts: Any = self._environment.get_template("parts.html").module  # macros by name

    def asset(self, name: str) -> str:
        """The address of a file of ours; another content is another address, so browsers may keep it."""
        return f"/static/{name}?v={self._versions[name]}"

    def page(self, template: str, **context: Any) -> str:  # noqa: ANN401 - what the template names
        """A whole page."""
        return self._environment.get_template(template).render(**context)


def moment(at: str | None) -> Markup:
    """A moment in UTC: the time of day, with its date when that is another; the whole of it for machines and on hovering."""
    if not at:
        return Markup("")
    when = _read(at)
    text = f"{when:%H:%M:%S}" if when.date() == datetime.now(UTC).date() else f"{when:%Y-%m-%d %H:%M}"
    return Markup('<time datetime="{0}" title="{1} UTC">{2}</time>').format(at, f"{when:%Y-%m-%d %H:%M:%S}", text)


def by_the_clock_of(at: str, zone: str) -> Markup:
    """A moment as the clocks of that zone show it."""
    return Markup('<time datetime="{0}" title="{1} UTC">{2}</time>').format(
        at, f"{_read(at):%Y-%m-%d %H:%M:%S}", f"{_read(at).astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M}"
    )


def took(begun: str | None, ended: str | None) -> str:
    """How long from one moment to another."""
    return span(_read(ended) - _read(begun)) if begun and ended else ""


def seconds(length: float | None, digits: int = 3) -> str:
    """A measured length; not measured is not zero."""
    return "not measured" if length is None else f"{length:.{digits}f} s"


def plain(value: object) -> str:
    """A value as a person reads it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def words(name: str) -> str:
    """in_flight, in-flight → in flight."""
    return str(name).replace("_", " ").replace("-", " ")


def count(number: int, one: str, many: str = "") -> str:
    """1 job, 2 jobs."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def percent(part: float, whole: float) -> str:
    """Of the width of a bar."""
    return f"{min(100.0, max(0.0, 100 * part / whole)) if whole else 0.0:.1f}%"


def _read(at: str) -> datetime:
    return datetime.fromisoformat(at)


def sees(caller: Caller, whole: bool, scope: str) -> bool:  # noqa: FBT001 - from a table of the template
    """The menu names what this caller's token opens: not what concerns the whole house where it is bound to a customer."""
    return caller.may(Scope(scope)) and not (whole and caller.customer is not None)


def entry_of(here: str) -> str:
    """The entry of the menu that a page belongs to."""
    first = here.removeprefix("/").partition("/")[0]
    return {"nodes": "/", "campaigns": "/rollouts", "relocations": "/moves", "console": "/containers"}.get(first, f"/{first}")


def limits(spec: dict[str, Any]) -> str:
    """What holds a roll-out back, and what ends it."""
    told = RolloutSpec.model_validate(spec)
    budget = told.budget
    most = [
        f"{budget.failures} in all" if budget.failures is not None else "",
        f"{budget.rate} of those that have ended" if budget.rate is not None else "",
    ]
    over = " or ".join(part for part in most if part)
    counted = ", ".join(budget.counts)
    return (
        f"At most {told.at_once.all} at once, {told.at_once.per_node} per node. "
        f"{'Pauses' if budget.then == 'pause' else 'Stops'} when more than {over} are {counted}; those in flight count too."
    )


def written(value: object) -> str:
    """A specification or an order, as its keeper wrote it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def lasting(length: float) -> str:
    """Seconds in a unit that fits."""
    return span(timedelta(seconds=length))
