"""Every act that Copeau does, or will do, by itself; what a person keeps to himself or herself by default. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Mode: TypeAlias = Literal["automatic", "validated"]
Act: TypeAlias = Literal["camera_debit", "charge", "replenishment", "planning", "price", "hold", "update"]
Standing: TypeAlias = Literal["here", "agent", "later"]


@dataclass(frozen=True, slots=True)
class Described:
    """The texts are French."""

    act: Act
    label: str
    automatic: str
    """What happens by itself."""
    validated: str
    """What waits for a person instead."""
    default: Mode
    standing: Standing = "here"
    """``here``: the centre obeys this setting; ``agent``: the machine's agent decides, by its own file; ``later``:
    nothing does it yet, and when something will, it begins with the default.
    """
    harm: str = ""
    """What an automatic mode may cost, said before it is chosen."""


ACTS: Final = (
    Described(
        "camera_debit",
        "Débit du stock par caméra",
        "une caméra débite ou remet les classes d’articles où elle a fait ses preuves ; le reste est une proposition",
        "tout ce qu’une caméra voit est une proposition dans « À vérifier »",
        "automatic",
        harm="un débit faux reste à corriger par « Pas ça » ou un comptage",
    ),
    Described(
        "charge",
        "Imputation d’une prise à une opération",
        "une prise est imputée quand le badge et les opérations en cours ne laissent qu’une possibilité",
        "chaque prise attend « à imputer », avec les opérations possibles",
        "automatic",
        harm="un coût peut tomber sur la mauvaise opération, jusqu’à correction",
    ),
    Described(
        "replenishment",
        "Réapprovisionnement",
        "une commande part quand le seuil mini est atteint",
        "une proposition de commande attend une personne",
        "validated",
        "later",
        "une commande engage l’entreprise",
    ),
    Described(
        "planning",
        "Replanification",
        "le planning se refait quand une machine s’arrête ou qu’un OF prend du retard",
        "un nouveau planning est proposé, avec ce qui change",
        "validated",
        "later",
        "les postes changent d’ordre sans que le chef d’atelier l’ait vu",
    ),
    Described(
        "price",
        "Prix et coûts de revient",
        "les prix suivent les temps et les achats mesurés",
        "un prix calculé est proposé à côté de l’ancien",
        "validated",
        "later",
        "un devis peut partir avec un prix que personne n’a relu",
    ),
    Described(
        "hold",
        "Arrêt d’une machine par la garde anticollision",
        "la garde suspend l’avance en quelques millisecondes",
        "la garde alerte seulement (mode ombre)",
        "validated",
        "agent",
        "un arrêt de trop coûte une pièce ; la garde est une aide, jamais une fonction de sécurité",
    ),
    Described(
        "update",
        "Mises à jour des agents et du centre",
        "une version signée s’installe la nuit",
        "une version attend qu’une personne la lance",
        "validated",
        "later",
        "une version défectueuse arrête des postes",
    ),
)
BY_ACT: Final[dict[str, Described]] = {described.act: described for described in ACTS}
