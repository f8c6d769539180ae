from central.alerts.rules import LABELS, LEVELS, graver


def test_the_graver_level_wins() -> None:
    assert graver("info", "high") == "high"
    assert graver("critical", "medium") == "critical"


def test_every_level_has_a_word() -> None:
    assert set(LABELS) == set(LEVELS)
