"""Who may do what: pure rules over modules, actions, starting roles and one person's exceptions."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

Module: TypeAlias = Literal[
    "atelier", "stock", "rayonnages", "machines", "programmes", "alertes", "agents", "quarantaine", "vie_privee",
    "comptes", "journal", "reglages", "poste",
]  # fmt: skip
Action: TypeAlias = Literal["lire", "creer", "modifier", "supprimer", "valider"]
Role: TypeAlias = Literal[
    "operateur", "regleur", "chef_atelier", "methodes", "programmeur", "qualite", "magasinier", "maintenance", "admin"
]

MODULES: Final[dict[Module, str]] = {
    "atelier": "Atelier et pointages",
    "stock": "Stock",
    "rayonnages": "Rayonnages et caméras",
    "machines": "Machines",
    "programmes": "Programmes",
    "alertes": "Alertes",
    "agents": "Agents et terminaux",
    "quarantaine": "Quarantaine",
    "vie_privee": "Vie privée",
    "comptes": "Personnes et comptes",
    "journal": "Journal",
    "reglages": "Réglages",
    "poste": "Poste opérateur",
}
ACTIONS: Final[dict[Action, str]] = {
    "lire": "Lire",
    "creer": "Créer",
    "modifier": "Modifier",
    "supprimer": "Supprimer",
    "valider": "Valider",
}
ROLES: Final[dict[Role, str]] = {
    "operateur": "Opérateur",
    "regleur": "Régleur",
    "chef_atelier": "Chef d’atelier",
    "methodes": "Méthodes",
    "programmeur": "Programmeur",
    "qualite": "Qualité",
    "magasinier": "Magasinier",
    "maintenance": "Maintenance",
    "admin": "Administrateur",
}


class Right(NamedTuple):
    module: Module
    action: Action


def _rights(**modules: str) -> frozenset[Right]:
    """``stock="lm"``: read and modify. One letter for each action."""
    letters = {action[0]: action for action in get_args(Action)}
    return frozenset(Right(module, letters[letter]) for module, given in modules.items() for letter in given)  # type: ignore[arg-type]


EVERYTHING: Final = frozenset(Right(module, action) for module in MODULES for action in ACTIONS)
MATRIX: Final[dict[Role, frozenset[Right]]] = {
    "operateur": _rights(poste="lc"),
    "regleur": _rights(
        atelier="lc", stock="l", rayonnages="l", machines="lmv", programmes="l", alertes="lv", poste="lc"
    ),
    "chef_atelier": _rights(
        atelier="lcmsv", stock="lcmv", rayonnages="lmv", machines="lmv", programmes="l", alertes="lv", agents="l",
        quarantaine="lm", vie_privee="l", comptes="l", poste="lc",
    ),
    "methodes": _rights(
        atelier="lcm", stock="l", rayonnages="l", machines="lm", programmes="lcmsv", alertes="lv", poste="l"
    ),
    "programmeur": _rights(atelier="l", stock="l", machines="l", programmes="lcm", alertes="l"),
    "qualite": _rights(
        atelier="lv", stock="l", rayonnages="l", machines="l", programmes="l", alertes="lv", quarantaine="l",
        journal="l",
    ),
    "magasinier": _rights(
        atelier="l", stock="lcmv", rayonnages="lcmv", machines="l", alertes="lv", quarantaine="lm", poste="lc"
    ),
    "maintenance": _rights(
        atelier="l", stock="l", rayonnages="lm", machines="lmv", alertes="lv", agents="l", quarantaine="l"
    ),
    "admin": EVERYTHING,
}  # fmt: skip
"""What a role may do with everything of a module. What the owner gives or takes a person stands beside it."""
OWN: Final[dict[Role, frozenset[Right]]] = {
    "operateur": _rights(atelier="lc"),
    "regleur": _rights(atelier="lc"),
}
"""… and what it may do with its own operations only: those given to the person, queued on a machine that the person is
qualified for, or handed over to the person."""
_ADMINISTERS: Final = frozenset({"comptes", "agents", "reglages"})


@dataclass(frozen=True, slots=True)
class Grants:
    """What one person, or one device, may do."""

    everywhere: frozenset[Right] = frozenset()
    own: frozenset[Right] = frozenset()
    """Only with own operations."""

    def allows(self, module: Module, action: Action, *, own: bool = False) -> bool:
        """`own`: the answer is limited to the person's own operations where the right is."""
        right = Right(module, action)
        return right in self.everywhere or (own and right in self.own)

    def hold(self, other: Grants) -> bool:
        """Whether whoever has these gains nothing by `other`."""
        return other.everywhere <= self.everywhere and other.own <= self.everywhere | self.own


class Exceptional(NamedTuple):
    """A right that one person has, or has not, whatever the roles say."""

    right: Right
    allowed: bool


ALL_GRANTS: Final = Grants(EVERYTHING, frozenset())


def grants_of(roles: Iterable[Role], exceptions: Collection[Exceptional] = (), *, owner: bool = False) -> Grants:
    """The rights of a person. An exception that takes away wins over every role; nothing is taken from the owner."""
    if owner:
        return ALL_GRANTS
    held = list(roles)
    given = {e.right for e in exceptions if e.allowed}
    taken = {e.right for e in exceptions if not e.allowed}
    everywhere = frozenset().union(*(MATRIX[role] for role in held), given) - taken
    own = frozenset().union(*(OWN.get(role, frozenset()) for role in held)) - taken - everywhere
    return Grants(everywhere, own)


def administers(grants: Grants) -> bool:
    """Whether these rights need a second factor at sign-in: people, devices or settings can be changed with them."""
    return any(right.module in _ADMINISTERS and right.action != "lire" for right in grants.everywhere)


_TOPICS: Final[dict[str, Module]] = {
    "stock": "stock",
    "unknown": "stock",
    "proposals": "stock",
    "work": "atelier",
    "operation": "atelier",
    "people": "atelier",
    "machine": "machines",
    "machines": "machines",
    "samples": "machines",
    "programme": "programmes",
    "programmes": "programmes",
    "transfer": "programmes",
    "alerts": "alertes",
    "quarantine": "quarantaine",
    "agent": "agents",
    "agents": "agents",
    "sources": "agents",
    "command": "agents",
    "post": "poste",
}


TERMINAL_TOPICS: Final[frozenset[Module]] = frozenset({"poste", "rayonnages", "stock", "atelier"})
"""What a shared terminal is told of, whoever stands there: ids, no names."""


def topic_module(topic: str) -> Module:
    """The module whose readers may be told of this topic of the live stream; what nobody named is for `reglages`."""
    name = topic.partition(":")[0]
    return "rayonnages" if name.startswith("rack") else _TOPICS.get(name, "reglages")
