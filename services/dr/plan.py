"""Backup, verification and restore as plans: which step comes next, and nothing else.

A plan is a generator. It yields a step, gets back what the step found wrong (nothing, most of the
time), and returns how the operation ended. There is no IO here, so every plan can be cut off after
every step in a test. Whatever a step may leave behind is known before the step begins, so that
`clean_up` needs only the journal of a cut-off operation, and never its memory.

What holds at every moment (`Journal.check_invariants`):
1. The writer is paused for pause, clone and resume, and for no other step.
2. Only a database that this operation created is restored into.
3. VERIFIED means that the files were compared, the tables read back and every column compared,
   and that none of these found anything.
4. An operation that ended leaves nothing but its result.
"""

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from services.dr.model import TableDifference, Trace

Findings = tuple[TableDifference, ...]


class Op(StrEnum):
    """The things that are done, one at a time."""

    PAUSE_WRITER = "pause_writer"
    CLONE_TABLES = "clone_tables"
    RESUME_WRITER = "resume_writer"
    HASH_CLONES = "hash_clones"
    STORE_CLONES = "store_clones"
    SEAL = "seal"
    DROP_CLONES = "drop_clones"
    CHECK_FILES = "check_files"
    CREATE_SCRATCH = "create_scratch"
    RESTORE_SCRATCH = "restore_scratch"
    COMPARE_SCRATCH = "compare_scratch"
    DROP_SCRATCH = "drop_scratch"
    CREATE_TARGET = "create_target"
    RESTORE_TARGET = "restore_target"
    COMPARE_TARGET = "compare_target"
    HAND_OVER = "hand_over"
    RELEASE_TARGET = "release_target"
    DROP_TARGET = "drop_target"
    DELETE_CONTENT = "delete_content"


class End(StrEnum):
    """How an operation ended, when it was not cut off."""

    CREATED = "created"
    VERIFIED = "verified"
    BROKEN = "broken"
    RESTORED = "restored"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `leaves` may exist from its beginning on, `clears` is gone when it has ended."""

    op: Op
    leaves: Trace | None = None
    clears: Trace | None = None


Plan = Generator[Step, Findings, End]

PAUSE_WRITER = Step(Op.PAUSE_WRITER, leaves=Trace.WRITER_PAUSE)
CLONE_TABLES = Step(Op.CLONE_TABLES, leaves=Trace.CLONES)
RESUME_WRITER = Step(Op.RESUME_WRITER, clears=Trace.WRITER_PAUSE)
HASH_CLONES = Step(Op.HASH_CLONES)
STORE_CLONES = Step(Op.STORE_CLONES, leaves=Trace.CONTENT)
SEAL = Step(Op.SEAL)
DROP_CLONES = Step(Op.DROP_CLONES, clears=Trace.CLONES)
CHECK_FILES = Step(Op.CHECK_FILES)
CREATE_SCRATCH = Step(Op.CREATE_SCRATCH, leaves=Trace.SCRATCH)
RESTORE_SCRATCH = Step(Op.RESTORE_SCRATCH)
COMPARE_SCRATCH = Step(Op.COMPARE_SCRATCH)
DROP_SCRATCH = Step(Op.DROP_SCRATCH, clears=Trace.SCRATCH)
CREATE_TARGET = Step(Op.CREATE_TARGET, leaves=Trace.TARGET)
RESTORE_TARGET = Step(Op.RESTORE_TARGET)
COMPARE_TARGET = Step(Op.COMPARE_TARGET)
HAND_OVER = Step(Op.HAND_OVER)
RELEASE_TARGET = Step(Op.RELEASE_TARGET)
DROP_TARGET = Step(Op.DROP_TARGET, clears=Trace.TARGET)
DELETE_CONTENT = Step(Op.DELETE_CONTENT, clears=Trace.CONTENT)

BACKUP_LENGTH = 7
VERIFY_LENGTH = 5
RESTORE_LENGTH = 6

# In this order: a paused writer costs freshness, the rest only costs space.
_REMOVALS = {
    Trace.WRITER_PAUSE: RESUME_WRITER,
    Trace.CLONES: DROP_CLONES,
    Trace.SCRATCH: DROP_SCRATCH,
    Trace.TARGET: DROP_TARGET,
    Trace.CONTENT: DELETE_CONTENT,
}
_RESULTS = {End.CREATED: {Trace.CONTENT}, End.RESTORED: {Trace.TARGET}}
_WHILE_PAUSED = {Op.PAUSE_WRITER, Op.CLONE_TABLES, Op.RESUME_WRITER}
_NEEDED = {
    End.CREATED: {Op.PAUSE_WRITER, Op.CLONE_TABLES, Op.HASH_CLONES, Op.STORE_CLONES, Op.SEAL},
    End.VERIFIED: {Op.CHECK_FILES, Op.CREATE_SCRATCH, Op.RESTORE_SCRATCH, Op.COMPARE_SCRATCH},
    End.RESTORED: {
        Op.CHECK_FILES,
        Op.CREATE_TARGET,
        Op.RESTORE_TARGET,
        Op.COMPARE_TARGET,
        Op.HAND_OVER,
        Op.RELEASE_TARGET,
    },
    End.BROKEN: set[Op](),
    End.DIFFERENT: set[Op](),
}
_DATABASE_BEFORE = {Op.RESTORE_SCRATCH: Op.CREATE_SCRATCH, Op.RESTORE_TARGET: Op.CREATE_TARGET}


def backup_plan() -> Plan:
    """Clone while the writer waits; hash, store and seal while it writes again."""
    yield PAUSE_WRITER
    yield CLONE_TABLES
    yield RESUME_WRITER
    yield HASH_CLONES
    yield STORE_CLONES
    yield SEAL
    yield DROP_CLONES
    return End.CREATED


def verify_plan() -> Plan:
    """Bytes first, since they name the file; then the rows, since only they are the promise."""
    findings = yield CHECK_FILES
    if findings:
        return End.BROKEN
    yield CREATE_SCRATCH
    findings = yield RESTORE_SCRATCH
    if not findings:
        findings = yield COMPARE_SCRATCH
    yield DROP_SCRATCH
    return End.BROKEN if findings else End.VERIFIED


def restore_plan() -> Plan:
    """Into a new database, compared before anybody may use it."""
    findings = yield CHECK_FILES
    if findings:
        return End.DIFFERENT
    yield CREATE_TARGET
    findings = yield RESTORE_TARGET
    if not findings:
        findings = yield COMPARE_TARGET
    if findings:
        yield DROP_TARGET
        return End.DIFFERENT
    yield HAND_OVER
    yield RELEASE_TARGET
    return End.RESTORED


def clean_up(traces: Iterable[Trace]) -> Iterator[Step]:
    """Steps, each idempotent, that remove what a cut-off operation may have left."""
    left = set(traces)
    for trace, step in _REMOVALS.items():
        if trace in left:
            yield step


class PlanBroken(AssertionError):
    """A plan is about to break an invariant: a defect, never a condition of the outside world."""


@dataclass(slots=True)
class Journal:
    """What one operation has begun, ended, found and possibly left so far."""

    begun: list[Op] = field(default_factory=list)
    ended: set[Op] = field(default_factory=set)
    traces: set[Trace] = field(default_factory=set)
    findings: Findings = ()
    end: End | None = None

    def begin(self, step: Step) -> None:
        """Note the step before anything is done, so that a crash cannot hide what it left."""
        self.begun.append(step.op)
        if step.leaves is not None:
            self.traces.add(step.leaves)
        self.check_invariants()

    def complete(self, step: Step, findings: Findings) -> None:
        """Note that the step took effect, and what it found wrong."""
        self.ended.add(step.op)
        self.findings += findings
        if step.clears is not None:
            self.traces.discard(step.clears)
        self.check_invariants()

    def finish(self, end: End) -> None:
        """Note how it ended; what remains is its result and no longer a trace."""
        self.end = end
        self.check_invariants()
        self.traces -= _RESULTS.get(end, set())

    def check_invariants(self) -> None:
        """Raise PlanBroken when one of the four rules of this module does not hold."""
        op = self.begun[-1] if self.begun else None
        if Trace.WRITER_PAUSE in self.traces and op not in _WHILE_PAUSED:
            raise PlanBroken(f"{op} while the writer is paused")
        needed = _DATABASE_BEFORE.get(op) if op is not None else None
        if needed is not None and needed not in self.ended:
            raise PlanBroken(f"{op} into a database that is not ours")
        if self.end is None:
            return
        if missing := _NEEDED[self.end] - self.ended:
            raise PlanBroken(f"{self.end} without {', '.join(sorted(missing))}")
        if bool(self.findings) != (self.end in (End.BROKEN, End.DIFFERENT)):
            raise PlanBroken(f"{self.end} with {len(self.findings)} findings")
        if left := self.traces - _RESULTS.get(self.end, set()):
            raise PlanBroken(f"{self.end} leaves {', '.join(sorted(left))}")
