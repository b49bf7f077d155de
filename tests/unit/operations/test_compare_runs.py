"""What counts as a difference between two runs, and by how much."""

from stream.contracts.times import DAY_MS
from stream.operations.replays.compare import alerts_of, overlap, rank_correlation, recommendations_of
from stream.operations.replays.window import Episode, RankedItems, Said, Transition

DAY = 20_000 * DAY_MS


def transition(
    revision: int = 1, status: str = "raised", score: float = 0.8, severity: str = "low", repaired: bool = False
) -> Transition:
    said = f"{revision}{status}{score}{severity}".encode()
    essence = f"{'open' if status in ('raised', 'updated') else status}{score}{severity}".encode()
    return Transition(f"t{revision}", revision, status, DAY + revision, score, severity, said, essence, repaired)


def episode(alert_id: str, customer: str = "c1", start: int = DAY, *transitions: Transition) -> Episode:
    return Episode(alert_id, customer, "churn_risk", start, list(transitions) or [transition()])


def run(*episodes: Episode) -> Said:
    return Said({each.alert_id: each for each in episodes}, {}, set())


def test_equal_runs_have_no_difference() -> None:
    found = alerts_of(run(episode("a"), episode("b", "c2")), run(episode("b", "c2"), episode("a")), 5)
    assert (found.same, found.different, found.share, found.examples) == (2, 0, 0.0, [])


def test_an_alert_of_one_run_alone_has_appeared_or_vanished() -> None:
    found = alerts_of(run(episode("a")), run(episode("b", "c2")), 5)
    assert (found.vanished, found.appeared, found.moved) == (1, 1, 0)
    assert [(each.difference, each.customer_id) for each in found.examples] == [("appeared", "c2"), ("vanished", "c1")]
    assert found.share == 1.0


def test_an_alert_that_began_at_another_time_has_moved_once() -> None:
    before = run(episode("a"), episode("x", "c1", DAY + 90 * DAY_MS))
    after = run(episode("b", "c1", DAY + DAY_MS), episode("c", "c1", DAY + 2 * DAY_MS))
    found = alerts_of(before, after, 5)
    assert (found.moved, found.appeared, found.vanished) == (1, 1, 1)
    moved = next(each for each in found.examples if each.difference == "moved")
    assert moved.alert_ids == ["a", "b"], "the nearest one"


def test_a_change_says_what_of_it_changed() -> None:
    first, longer = transition(), transition(2, "updated", 0.9)
    for other, what in (
        ([transition(score=0.7)], ["score"]),
        ([transition(severity="high")], ["severity"]),
        ([first, longer], ["transitions"]),
        ([first._replace(digest=b"else")], ["other fields"]),
    ):
        found = alerts_of(run(episode("a")), run(episode("a", "c1", DAY, *other)), 1)
        assert (found.changed, found.same) == (1, 0)
        assert found.examples[0].what == what
    assert (
        alerts_of(run(episode("a")), run(episode("a", "c1", DAY, transition(score=0.7))), 0).largest_score_change == 0.1
    )


def test_examples_are_as_many_as_wanted_of_each_kind_and_counts_are_whole() -> None:
    found = alerts_of(run(*(episode(f"a{n}", f"c{n}") for n in range(9))), run(), 2)
    assert (found.vanished, len(found.examples)) == (9, 2)


def test_likeness_of_ranked_items() -> None:
    def items(*ids: str) -> RankedItems:
        return RankedItems(DAY, list(ids))

    same = items(*"abcdefghij")
    assert (overlap(same, same), rank_correlation(same, same)) == (1.0, 1.0)
    assert rank_correlation(same, items(*reversed("abcdefghij"))) == -1.0
    assert overlap(items(*"ab"), items(*"bc")) == 0.5
    assert overlap(items(), items()) == 1.0
    # scipy.stats.spearmanr([1, 2, 3, 4], [1, 3, 2, 4]) is 0.8; what only one of them has does not count.
    assert round(rank_correlation(items(*"abxcd"), items(*"acybd")), 12) == 0.8
    assert rank_correlation(items("a"), items("b")) == 0.0


def test_customers_with_newer_recommendations_are_left_out() -> None:
    one = Said({}, {"c1": RankedItems(DAY, ["a"]), "c2": RankedItems(DAY, ["a"])}, {"c3"})
    other = Said({}, {"c1": RankedItems(DAY, ["a"]), "c3": RankedItems(DAY, ["b"])}, set())
    found = recommendations_of(one, other)
    assert (found.compared, found.same, found.first_only, found.second_only, found.newer) == (1, 1, 1, 0, 1)
    assert found.share == 0.5


def test_what_was_put_right_counts_from_the_repair_on() -> None:
    sound = episode("a", "c1", DAY, transition(score=0.7))
    wrong = [transition(), transition(2, "updated", 0.9)]
    repair = transition(3, "updated", 0.7, repaired=True)
    assert alerts_of(run(episode("a", "c1", DAY, *wrong)), run(sound), 0).changed == 1
    found = alerts_of(run(episode("a", "c1", DAY, *wrong, repair)), run(sound), 0)
    assert (found.same, found.different, found.largest_score_change) == (1, 0, 0.0)
    later = [transition(4, "resolved", 0.2)], [transition(2, "resolved", 0.2)]
    found = alerts_of(
        run(episode("a", "c1", DAY, *wrong, repair, *later[0])),
        run(episode("a", "c1", DAY, transition(score=0.7), *later[1])),
        0,
    )
    assert found.same == 1
    found = alerts_of(run(episode("a", "c1", DAY, *wrong, repair._replace(essence=b"else"))), run(sound), 1)
    assert (found.changed, found.examples[0].what) == (1, ["transitions"])


def test_an_alert_that_a_repair_withdrew_was_never_said() -> None:
    assert episode("a", "c1", DAY, transition(), transition(2, "corrected", repaired=True)).withdrawn
    assert not episode("a", "c1", DAY, transition(), transition(2, "corrected")).withdrawn
    assert not episode("a", "c1", DAY, transition(2, "corrected", repaired=True), transition(3)).withdrawn
