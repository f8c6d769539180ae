"""What several sources' sayings mean for the stock: a pure function of one item's observations.

`match` turns observations into physical events, count differences and questions (`matching`, `counting`);
`book` turns those into rows for the append-only ledger (`booking`). No database, no clock, no framework.
"""

from central.stock.rules.booking import Account, Booking, Row, book
from central.stock.rules.chains import boundaries
from central.stock.rules.counting import Adjustment
from central.stock.rules.matching import NEAR, Event
from central.stock.rules.outcome import Outcome, match
from central.stock.rules.reading import Former, Standing, ask_where, stand
from central.stock.rules.sayings import Decision, Doubt, Obs, Question

__all__ = [
    "NEAR",
    "Account",
    "Adjustment",
    "Booking",
    "Decision",
    "Doubt",
    "Event",
    "Former",
    "Obs",
    "Outcome",
    "Question",
    "Row",
    "Standing",
    "ask_where",
    "book",
    "boundaries",
    "match",
    "stand",
]
