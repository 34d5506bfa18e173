"""Every plan cut off at every step, before and after the step's effect, and cleaned up.

First the plans alone against a model of the world, then whole processes over the ports in memory.
"""

from collections.abc import Callable

import pytest

from services.dr.model import BackupState, RestoreState, TableDifference, Trace
from services.dr.plan import (
    CHECK_FILES,
    CREATE_SCRATCH,
    HASH_CLONES,
    PAUSE_WRITER,
    RESTORE_TARGET,
    End,
    Findings,
    Journal,
    Op,
    Plan,
    PlanBroken,
    backup_plan,
    clean_up,
    restore_plan,
    verify_plan,
)
from services.dr.restores import NewRestore
from tests.unit.dr.dr_memory import LIVE, REGION, World

WRONG: Findings = (TableDifference("points", "the content is another"),)
# What each operation finds wrong, by step; everything else finds nothing.
SCENARIOS: dict[str, tuple[Callable[[], Plan], dict[Op, Findings], End]] = {
    "a backup": (backup_plan, {}, End.CREATED),
    "a verification": (verify_plan, {}, End.VERIFIED),
    "a verification of damaged files": (verify_plan, {Op.CHECK_FILES: WRONG}, End.BROKEN),
    "a verification of what cannot be read": (verify_plan, {Op.RESTORE_SCRATCH: WRONG}, End.BROKEN),
    "a verification of other rows": (verify_plan, {Op.COMPARE_SCRATCH: WRONG}, End.BROKEN),
    "a restore": (restore_plan, {}, End.RESTORED),
    "a restore of damaged files": (restore_plan, {Op.CHECK_FILES: WRONG}, End.DIFFERENT),
    "a restore of what cannot be read": (restore_plan, {Op.RESTORE_TARGET: WRONG}, End.DIFFERENT),
    "a restore of other rows": (restore_plan, {Op.COMPARE_TARGET: WRONG}, End.DIFFERENT),
}
_MAKES = {
    Op.PAUSE_WRITER: Trace.WRITER_PAUSE,
    Op.CLONE_TABLES: Trace.CLONES,
    Op.STORE_CLONES: Trace.CONTENT,
    Op.CREATE_SCRATCH: Trace.SCRATCH,
    Op.CREATE_TARGET: Trace.TARGET,
}
_REMOVES = {
    Op.RESUME_WRITER: Trace.WRITER_PAUSE,
    Op.DROP_CLONES: Trace.CLONES,
    Op.DELETE_CONTENT: Trace.CONTENT,
    Op.DROP_SCRATCH: Trace.SCRATCH,
    Op.DROP_TARGET: Trace.TARGET,
}


def take_effect(op: Op, world: set[Trace]) -> None:
    """What a step really does, told apart from what the plan says about it."""
    if op in _MAKES:
        world.add(_MAKES[op])
    if op in _REMOVES:
        world.discard(_REMOVES[op])


def run(name: str, *, cut_at: int | None = None, after_effect: bool = False) -> tuple[Journal, set[Trace]]:
    """Run a scenario, up to a cut if there is one; the journal and what exists then."""
    make, wrong, _ = SCENARIOS[name]
    plan, journal, world = make(), Journal(), set[Trace]()
    step, number = next(plan), 0
    while True:
        journal.begin(step)
        if number == cut_at and not after_effect:
            return journal, world
        take_effect(step.op, world)
        if number == cut_at:
            return journal, world
        findings = wrong.get(step.op, ())
        journal.complete(step, findings)
        try:
            step, number = plan.send(findings), number + 1
        except StopIteration as stop:
            journal.finish(stop.value)
            return journal, world


@pytest.mark.parametrize("name", SCENARIOS)
def test_uncut_it_ends_as_it_should_and_leaves_only_its_result(name: str) -> None:
    journal, world = run(name)

    assert journal.end is SCENARIOS[name][2]
    assert journal.traces == set()
    assert world == {End.CREATED: {Trace.CONTENT}, End.RESTORED: {Trace.TARGET}}.get(journal.end, set())


@pytest.mark.parametrize("after_effect", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_cut_at_any_step_the_clean_up_leaves_nothing(name: str, after_effect: bool) -> None:
    length = len(run(name)[0].begun)
    for cut_at in range(length):
        journal, world = run(name, cut_at=cut_at, after_effect=after_effect)
        assert journal.end is None
        assert world <= journal.traces, f"{journal.begun[-1]} leaves what the journal does not know"
        for step in clean_up(journal.traces):
            take_effect(step.op, world)
        assert world == set(), f"cut at {journal.begun[-1]}"


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_clean_up_that_is_cut_itself_can_be_done_again(name: str) -> None:
    for cut_at in range(len(run(name)[0].begun)):
        journal, world = run(name, cut_at=cut_at, after_effect=True)
        for steps_done in range(len(journal.traces)):
            again = set(world)
            for step in list(clean_up(journal.traces))[:steps_done]:
                take_effect(step.op, again)
            for step in clean_up(journal.traces):
                take_effect(step.op, again)
            assert again == set()


def test_the_writer_goes_first_when_cleaning_up() -> None:
    assert next(clean_up(Trace)).op is Op.RESUME_WRITER


def test_work_on_the_clones_while_the_writer_is_paused_is_refused() -> None:
    journal = Journal()
    journal.begin(PAUSE_WRITER)

    with pytest.raises(PlanBroken, match="paused"):
        journal.begin(HASH_CLONES)


def test_restoring_into_a_database_that_was_not_created_is_refused() -> None:
    with pytest.raises(PlanBroken, match="not ours"):
        Journal().begin(RESTORE_TARGET)


def test_verified_without_the_full_comparison_is_refused() -> None:
    journal = Journal()
    journal.begin(CHECK_FILES)
    journal.complete(CHECK_FILES, ())

    with pytest.raises(PlanBroken, match="compare_scratch"):
        journal.finish(End.VERIFIED)


def test_an_end_that_leaves_a_scratch_database_is_refused() -> None:
    journal = Journal()
    journal.begin(CREATE_SCRATCH)
    journal.complete(CREATE_SCRATCH, WRONG)

    with pytest.raises(PlanBroken, match="scratch"):
        journal.finish(End.BROKEN)


@pytest.mark.parametrize("after_effect", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize("cut_at", range(7))
async def test_a_killed_backup_is_failed_and_gone_after_the_next_start(
    cut_at: int, after_effect: bool
) -> None:
    world = World()
    await world.position()
    killed = world.process(cut_at=cut_at, after_effect=after_effect)
    async with killed.working():
        backup = await killed.back_up()
    assert backup.state is BackupState.CREATING

    successor = world.process()
    async with successor.working():
        backup = await successor.backups.get(REGION, backup.backup_id)
        assert backup.state is BackupState.FAILED
        assert backup.failure is not None
        assert backup.failure.reason == "INTERRUPTED"
        assert backup.traces == ()
        assert not await world.paused()
        assert set(world.store.databases) == {LIVE}
        assert world.files.files == {}
        assert (await successor.back_up(verify=True)).state is BackupState.VERIFIED


@pytest.mark.parametrize("after_effect", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize("cut_at", range(5))
async def test_a_killed_verification_proves_nothing_and_leaves_nothing(
    cut_at: int, after_effect: bool
) -> None:
    world = World()
    first = world.process()
    async with first.working():
        backup = await first.back_up(verify=True)
    killed = world.process(cut_at=cut_at, after_effect=after_effect)
    async with killed.working():
        assert (await killed.verify(backup.backup_id)).state is BackupState.VERIFYING

    successor = world.process()
    async with successor.working():
        backup = await successor.backups.get(REGION, backup.backup_id)
        assert backup.state is BackupState.CREATED
        assert backup.traces == ()
        assert set(world.store.databases) == {LIVE}
        assert (await successor.verify(backup.backup_id)).state is BackupState.VERIFIED


@pytest.mark.parametrize("after_effect", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize("cut_at", range(6))
async def test_a_killed_restore_drops_its_own_database_and_no_other(cut_at: int, after_effect: bool) -> None:
    world = World()
    await world.position()
    first = world.process()
    async with first.working():
        await first.back_up(verify=True)
    await world.store.create("bystander", tag="")
    positions = await world.kv.keys("positions")
    killed = world.process(cut_at=cut_at, after_effect=after_effect)
    async with killed.working():
        restore = await killed.restores.start(NewRestore(target_database="target"))
        await killed.worker.settle()

    successor = world.process()
    async with successor.working():
        restore = await successor.restores.get(REGION, restore.restore_id)
        assert restore.state is RestoreState.FAILED
        assert restore.failure is not None
        assert restore.failure.reason == "INTERRUPTED"
        assert set(world.store.databases) == {LIVE, "bystander"}
        assert await world.kv.keys("positions") == positions
