"""The journal's verbs in the shop's words, and who or what did it."""

from __future__ import annotations

from typing import Final

FEATURES: Final[dict[str, str]] = {
    "alerts": "Alertes",
    "audit": "Journal",
    "automation": "Validation humaine",
    "fleet": "Agents et terminaux",
    "inbox": "Quarantaine",
    "machines": "Machines",
    "people": "Personnes et comptes",
    "privacy": "Vie privée",
    "programmes": "Programmes",
    "racks": "Rayonnages",
    "signing": "Signatures",
    "stock": "Stock",
    "work": "Atelier",
}
_VERBS: Final[dict[str, str]] = {
    "alerts.acknowledge": "Alerte prise en charge",
    "audit.erase": "Textes du journal effacés",
    "audit.export": "Journal exporté",
    "audit.restore": "Perte reconnue, sauvegarde remise",
    "audit.verify": "Journal vérifié",
    "automation.set": "Validation humaine changée",
    "fleet.enrol": "Appareil enrôlé",
    "fleet.invite": "Invitation d’un appareil",
    "fleet.renew": "Certificat renouvelé",
    "fleet.retire": "Appareil retiré",
    "fleet.revoke": "Certificat révoqué",
    "fleet.wipe": "Effacement d’un appareil demandé",
    "machines.counting": "Comptage des pièces changé",
    "machines.guard_rearm": "Garde-collision réarmée",
    "machines.limit": "Limite réglée",
    "machines.limit_forgotten": "Limite retirée",
    "machines.parameters": "Machine décrite",
    "machines.programme": "Programme réglé sur la machine",
    "machines.programme_forgotten": "Réglage de programme retiré",
    "machines.rule": "Règle d’alerte réglée",
    "people.active": "Compte ouvert ou fermé",
    "people.forget_factors": "Second facteur oublié",
    "people.invite": "Personne invitée",
    "people.machines": "Qualifications changées",
    "people.owner_link": "Lien du propriétaire fait",
    "people.password": "Mot de passe changé",
    "people.pin": "Code PIN changé",
    "people.recovery_codes": "Codes de secours faits",
    "people.right": "Droit changé",
    "people.roles": "Rôles changés",
    "people.sign_in": "Connexion",
    "privacy.enforce": "Durées de conservation appliquées",
    "privacy.erase": "Personne effacée",
    "privacy.export": "Données d’une personne exportées",
    "programmes.add": "Programme déposé",
    "programmes.describe": "Programme décrit",
    "programmes.from_machine": "Programme lu dans la machine",
    "programmes.load": "Programme chargé",
    "programmes.read_back": "Programme relu",
    "programmes.send_back": "Version renvoyée au brouillon",
    "programmes.submit": "Version soumise à validation",
    "programmes.validate": "Version validée",
    "programmes.version": "Version déposée",
    "programmes.withdraw": "Version rendue obsolète",
    "racks.add_model": "Modèle ajouté",
    "racks.purge": "Images effacées",
    "racks.teach": "Rayonnage décrit",
    "racks.view_crops": "Images d’un mouvement regardées",
    "racks.view_picture": "Rayonnage regardé",
    "signing.sign": "Signature",
    "stock.accept_differences": "Écarts acceptés",
    "stock.contest": "« Pas ça » sur un mouvement",
    "work.assign_parts": "Pièces affectées",
    "work.charge": "Prise imputée",
    "work.clock": "Pointage saisi",
    "work.sector": "Secteur d’un OF changé",
    "work.settle_conflict": "Conflit réglé",
}
_THINGS: Final[dict[str, str]] = {
    "agent": "agent",
    "alert": "alerte",
    "conflict": "conflit",
    "item": "article",
    "machine": "machine",
    "observation": "mouvement",
    "operation": "opération",
    "order": "OF",
    "person": "personne",
    "programme": "programme",
    "rack": "rayonnage",
}


def verb(what: str) -> str:
    return _VERBS.get(what, what)


def feature(name: str) -> str:
    return FEATURES.get(name, name)


def actor(who: str, names: dict[str, str]) -> str:
    """A name, « page » of an open demo, a device, or Copeau itself."""
    if who == "system":
        return "Copeau"
    if who == "page":
        return "depuis une page"
    kind, _, name = who.partition(":")
    if kind in {"device", "agent", "machine"} and name:
        return f"{'appareil' if kind == 'device' else kind} {name}"
    return names.get(who, who)


def thing(subject: str, names: dict[str, str]) -> str:
    kind, _, name = subject.partition(":")
    if kind == "person":
        return names.get(name, name)
    return f"{_THINGS[kind]} {name}" if name and kind in _THINGS else subject
