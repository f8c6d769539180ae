"""Jinja: the environment, its French filters, and `render`. Autoescape is on; templates hold no script and no style."""

from __future__ import annotations

import hashlib
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from central.core.access import identity_of
from central.core.settings import Settings
from central.core.uow import Units
from central.ui import formats, words

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static"


def units_of(request: Request) -> Units:
    units: Units = request.app.state.units
    return units


@cache
def environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "number": formats.number,
        "quantity": formats.quantity,
        "percent": formats.percent,
        "duration": formats.duration,
        "hours": formats.hours,
        "seconds": formats.exact_duration,
        "plain": formats.plain,
        "fr": formats.typography,
    }
    env.globals |= {"icon": icon, "plural": formats.plural, "words": words, "asset": asset}
    return env


def icon(name: str) -> Markup:
    """One of our own icons; always beside a word, so hidden from readers."""
    return Markup('<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>').format(asset("icons.svg"), name)


@cache
def asset(path: str) -> str:
    """The address of a static file with a short hash of its content, so that a new version is fetched at once."""
    file = STATIC / path
    if not file.is_file():
        return f"/static/{path}"
    return f"/static/{path}?{hashlib.blake2b(file.read_bytes(), digest_size=4).hexdigest()}"


def render(request: Request, template: str, status_code: int = 200, **context: Any) -> HTMLResponse:
    """The page or fragment, with the clock and zone that its times are written in."""
    units = units_of(request)
    me = identity_of(request)
    html = page(template, units.settings, units.clock.now(), path=request.url.path, me=me, **context)
    return HTMLResponse(html, status_code=status_code, headers={"Cache-Control": "no-store"})


def page(template: str, settings: Settings, now: datetime, **context: Any) -> str:
    zone = settings.zone

    def ago(at: datetime | None, said: str = "depuis") -> Markup:
        """An age that ticks in the page; `said` is the word before it."""
        if at is None:
            return Markup("")
        text = formats.duration((now - at).total_seconds())
        return Markup(
            '<time data-since="{:.0f}" data-words="{}" datetime="{}" title="{}">{}</time>',
        ).format(at.timestamp(), said, at.isoformat(), formats.moment(at, now, zone), f"{said} {text}".strip())

    def when(at: datetime | None) -> Markup:
        if at is None:
            return Markup("–")
        text = formats.moment(at, now, zone)
        return Markup('<time datetime="{}">{}</time>').format(at.isoformat(), escape(text))

    return (
        environment()
        .get_template(template)
        .render(
            **context,
            now=now,
            zone=settings.timezone,
            site=settings.site,
            today=formats.day(now, zone),
            ago=ago,
            when=when,
            clock=lambda at: formats.clock(at, zone),
        )
    )
