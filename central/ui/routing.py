"""A route that answers as a page in every case: errors in French with a next step, a sign-in where one is needed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as AnyHTTPException

from central.core import refusals
from central.ui.shell import NOBODY
from central.ui.templating import render

log = logging.getLogger(__name__)


class PageRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                _refuse_other_sites(request)
                response = await handler(request)
            except AnyHTTPException as error:
                response = _sign_in(request, error) or failure(request, error.status_code, str(error.detail))
            except RequestValidationError as error:
                log.info("bad request on %s: %s", request.url.path, error)
                response = failure(request, 422, "La demande n’est pas complète : rechargez la page et recommencez.")
            except refusals.UNHOLDABLE as error:
                log.warning("page %s: %s", request.url.path, str(error).partition("\n")[0])
                response = failure(request, 422, refusals.SAYS)
            except Exception:
                # Shown as a page, and whole in the log: the person sees what to do, the maintainer sees why.
                log.exception("page %s failed", request.url.path)
                response = failure(request, 500, "")
            return response

        return answer


def _refuse_other_sites(request: Request) -> None:
    """Only our own pages change things: another site cannot send this header without being asked first (CORS)."""
    if request.method != "GET" and "HX-Request" not in request.headers:
        raise HTTPException(403, "Cette action se fait depuis les pages de Copeau.")


def _sign_in(request: Request, error: AnyHTTPException) -> Response | None:
    """The page to sign in at (401), or where the code or the second factor is asked for. None: there is no better page.

    A fragment asked by htmx takes the whole page there.
    """
    must = (error.headers or {}).get("X-Must", "")
    if (error.status_code != 401 and not must) or _is_data(request):
        return None
    fragment = "HX-Request" in request.headers
    here = urlsplit(request.headers.get("HX-Current-URL", "")).path if fragment else request.url.path
    goal = {"code": "/connexion/code", "factor": "/compte"}.get(must) or f"/connexion?{urlencode({'vers': here})}"
    if fragment:
        return Response(status_code=error.status_code, headers={"HX-Redirect": goal})
    if must:
        return RedirectResponse(goal, 303)
    return render(request, "connexion.html", 401, goal=here, refused="")


def _is_data(request: Request) -> bool:
    """Asked by a script, which wants the status and no page."""
    return request.url.path.startswith(("/api/", "/static/"))


def refusal(text: str) -> Response:
    """An ordinary answer that says no, for pages that ask by script (``ask.js``): a 4xx would be an error there."""
    return Response(text, media_type="text/plain", headers={"X-Refused": "1"})


def failure(request: Request, status: int, detail: str) -> Response:
    """The error page; a fragment asked by htmx keeps its place on the page and only says it failed."""
    if status == 404:
        title, what = "Page introuvable", detail if detail != "Not Found" else "Rien ne porte cette adresse."
        advice = "L’adresse est peut-être ancienne, ou l’article a changé de code."
    elif status >= 500:
        title, what = "Le centre a rencontré un problème", "Cette page n’a pas pu être préparée."
        advice = (
            "Les faits de l’atelier continuent d’être enregistrés. Réessayez ; si cela dure, le journal dit pourquoi."
        )
    else:
        title, what, advice = "Ce n’est pas possible", detail, "Revenez à la page précédente."
    if request.headers.get("HX-Request"):
        return Response(f"{title}. {what}", status_code=status, media_type="text/plain")
    return render(
        request, "error.html", status, tab_name="", waiting=NOBODY, after=0, title=title, what=what, advice=advice
    )
