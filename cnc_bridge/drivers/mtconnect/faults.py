"""What can go wrong with an agent, in one sentence each, with the next step."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import TypeVar

import httpx

from cnc_bridge.drivers.mtconnect.documents import AgentError, BadDocumentError
from cnc_bridge.drivers.mtconnect.settings import Settings
from cnc_bridge.port import DriverFaultError

_E = TypeVar("_E", bound=BaseException)


def explain(error: BaseException, settings: Settings) -> DriverFaultError:
    """`error`, raised while talking to the agent of `settings`, as a fault for log and page."""
    where = settings.url
    if isinstance(error, DriverFaultError):
        return error
    if isinstance(error, BadDocumentError):
        return DriverFaultError(
            "not_mtconnect",
            f"{where}: {error}",
            "La réponse n'est pas celle d'un agent MTConnect : vérifier l'adresse et le port de `url` (souvent 5000).",
        )
    if isinstance(error, AgentError):
        return DriverFaultError(
            "agent_error",
            f"{where}: the agent answers {error}",
            f"L'agent MTConnect refuse la demande ({error.code}) : vérifier `device` et `path`, "
            "ou mettre l'agent à jour.",
        )
    causes = list(_causes(error))
    if found := _first(causes, socket.gaierror):
        return DriverFaultError(
            "unknown_host",
            f"{where}: no such host on this network ({found.strerror})",
            f"Adresse inconnue « {where} » : vérifier `url`, ou mettre l'adresse IP de l'agent.",
        )
    if _first(causes, ConnectionRefusedError):
        return DriverFaultError(
            "refused",
            f"{where}: nothing listens on this port",
            "Rien n'écoute sur ce port : démarrer l'agent MTConnect, ou corriger le port de `url` (souvent 5000).",
        )
    if tls := _first(causes, ssl.SSLError):
        return DriverFaultError(
            "tls",
            f"{where}: the secure connection failed ({tls.reason or tls})",
            "Connexion https refusée : indiquer dans `ca_file` l'autorité qui a signé le certificat de l'agent, "
            "ou corriger `url`.",
        )
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return DriverFaultError(
            "no_answer",
            f"{where}: no answer within {settings.timeout_s:g} s",
            "L'agent MTConnect ne répond pas : vérifier qu'il tourne, que son ordinateur est sous tension "
            "et que son câble réseau est branché.",
        )
    return DriverFaultError(
        "unreachable",
        f"{where}: connection lost or impossible ({type(error).__name__}: {error})"[:300],
        "Liaison avec l'agent MTConnect impossible ou coupée : vérifier l'agent, le câble et le commutateur.",
    )


def silent(settings: Settings, quiet_s: float) -> DriverFaultError:
    return DriverFaultError(
        "heartbeat_lost",
        f"{settings.url}: no document for {quiet_s:.1f} s",
        "L'agent MTConnect n'envoie plus rien : vérifier l'agent et le réseau.",
    )


def deaf_stream(settings: Settings, item: str) -> DriverFaultError:
    return DriverFaultError(
        "stream_dead",
        f"{settings.url}: the stream does not bring what /current already shows ({item})",
        "Le flux de l'agent MTConnect est vivant mais muet : nouvelle connexion ; si cela dure, redémarrer l'agent.",
    )


def restarted(settings: Settings) -> DriverFaultError:
    return DriverFaultError(
        "agent_restarted",
        f"{settings.url}: the agent has restarted",
        "L'agent MTConnect a redémarré ; reprise en cours.",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what is behind it: httpx wraps httpcore, which wraps anyio, which groups the system's errors."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += list(one.exceptions)


def _first(causes: list[BaseException], kind: type[_E]) -> _E | None:
    return next((one for one in causes if isinstance(one, kind)), None)
