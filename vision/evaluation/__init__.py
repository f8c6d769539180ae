"""How well the rack is seen: recordings against their truth, rendered sessions, faults, the real clip, hands.

`statistics` bounds what was counted, `outcomes` says what became of one place in one session, `tally` adds up;
`recordings` reads folders, `rendered` and `faults` play, `clip` and `hands` look at real pictures.
docs/decisions/0021.
"""
