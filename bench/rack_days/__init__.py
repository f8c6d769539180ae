"""Days at a rack: sessions, blindness, restarts, scans and persons' answers over the centre's own ledger.

`floor` is the rack (numbers alone, or pixels), `outbox` the agent's way to the centre, `ledger` the centre, `day` the
play. docs/decisions/0021.
"""
