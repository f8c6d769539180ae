"""What can go wrong with an OPC UA server, in one sentence each, with the next step."""

from __future__ import annotations

import socket

from asyncua.ua import uaerrors

from cnc_bridge.drivers.opcua.settings import Settings
from cnc_bridge.port import DriverFaultError

LOCK_OUT_S = 30.0
"""Pause after a refused password: a controller locks an account that is tried too often."""


def explain(error: BaseException, settings: Settings) -> DriverFaultError:
    """`error`, raised while talking to the server of `settings`, as a fault for log and page."""
    where = settings.endpoint
    if isinstance(error, DriverFaultError):
        return error
    if isinstance(error, socket.gaierror):
        return DriverFaultError(
            "unknown_host",
            f"{where}: no such host on this network ({error.strerror})",
            f"Adresse inconnue « {where} » : vérifier `endpoint`, ou mettre l'adresse IP de la machine.",
        )
    if isinstance(error, ConnectionRefusedError):
        return DriverFaultError(
            "refused",
            f"{where}: nothing listens on this port",
            "Rien n'écoute sur ce port : activer le serveur OPC UA de la machine, ou corriger le port de `endpoint`.",
        )
    if isinstance(error, TimeoutError):
        return DriverFaultError(
            "no_answer",
            f"{where}: no answer within {settings.timeout_s:g} s",
            "La machine ne répond pas : vérifier qu'elle est sous tension, son câble réseau, "
            "et que ce port est bien celui du serveur OPC UA.",
        )
    if isinstance(error, uaerrors.UaError):
        return _explain_ua(error, settings)
    if isinstance(error, OSError):
        return DriverFaultError(
            "unreachable",
            f"{where}: connection lost or impossible ({error.strerror or type(error).__name__})",
            "Liaison OPC UA impossible ou coupée : vérifier la machine, le câble et le commutateur.",
        )
    return DriverFaultError(
        "unexpected",
        f"{where}: unexpected {type(error).__name__}: {error}",
        f"Erreur imprévue ({type(error).__name__}) : transmettre le journal de l'agent.",
    )


def _refused_person(settings: Settings) -> tuple[str, str]:
    """Who the server refuses, and what to do."""
    if settings.user_certificate:
        step = (
            f"La machine refuse le certificat d'utilisateur « {settings.user_certificate.name} » : l'approuver dans "
            "son serveur OPC UA (certificats d'utilisateurs), ou en indiquer un autre dans `user_certificate`."
        )
        return f"the user certificate {settings.user_certificate}", step
    if settings.user:
        return (
            f"user {settings.user!r}",
            f"Utilisateur « {settings.user} » refusé : vérifier `user` et le mot de passe sur la machine.",
        )
    return (
        "an anonymous client",
        "La machine refuse les connexions anonymes : créer un utilisateur OPC UA et l'indiquer dans `user`.",
    )


def _explain_ua(error: uaerrors.UaError, settings: Settings) -> DriverFaultError:
    where, said = settings.endpoint, f"{type(error).__name__}: {error}".split("\n", 1)[0][:200]
    if isinstance(
        error,
        uaerrors.BadUserAccessDenied | uaerrors.BadIdentityTokenRejected | uaerrors.BadIdentityTokenInvalid,
    ):
        who, step = _refused_person(settings)
        return DriverFaultError(
            "bad_credentials", f"{where}: the server refuses {who} ({said})", step, retry_after_s=LOCK_OUT_S
        )
    if "No matching endpoints" in str(error) or isinstance(
        error, uaerrors.BadSecurityPolicyRejected | uaerrors.BadSecurityModeRejected
    ):
        return DriverFaultError(
            "no_such_security",
            f"{where}: the server does not offer {settings.security} {settings.mode}; `copeau cnc probe` lists its own",
            "La machine n'accepte pas de liaison sans sécurité : indiquer `security` et `mode` "
            "(`copeau cnc probe` liste ce qu'elle offre)."
            if settings.security == "None"
            else f"La machine n'offre pas la sécurité {settings.security} {settings.mode} : "
            "`copeau cnc probe` liste celles qu'elle offre ; corriger `security` et `mode`.",
            retry_after_s=LOCK_OUT_S,
        )
    if "Certificate" in type(error).__name__ or isinstance(error, uaerrors.BadSecurityChecksFailed):
        return DriverFaultError(
            "certificate_refused",
            f"{where}: the server does not trust our certificate {settings.certificate} ({said})",
            f"La machine n'accepte pas notre certificat « {settings.application_uri} » : dans la configuration OPC UA "
            "de sa commande, le déplacer des certificats refusés vers les certificats approuvés, ou y copier "
            f"le fichier {settings.certificate.resolve()} ; nouvelle tentative automatique.",
        )
    if isinstance(error, uaerrors.BadTooManySessions | uaerrors.BadMaxConnectionsReached):
        return DriverFaultError(
            "too_many_sessions",
            f"{where}: the server has no free session ({said})",
            "La machine n'a plus de session OPC UA libre : fermer un autre client, "
            "ou attendre que les anciennes expirent.",
        )
    return DriverFaultError(
        "protocol",
        f"{where}: the server answers {said}",
        f"Réponse inattendue du serveur OPC UA ({type(error).__name__}) : "
        "redémarrer le serveur de la machine si cela dure.",
    )
