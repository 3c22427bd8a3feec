"""The accounting of a run: where every event that was received has gone.

Law: received = on_time + corrected + late + filtered + duplicates + dead_letters, for every log and for the whole
run, at every moment between two batches.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field


@dataclass
class Account:
    """How many events of one log (or of all) were received, and what became of them."""

    received: int = 0
    on_time: int = 0
    corrected: int = 0
    late: int = 0
    filtered: int = 0
    duplicates: int = 0
    dead_letters: int = 0

    @property
    def closes(self) -> bool:
        """True when every received event is accounted for."""
        return self.received == (
            self.on_time + self.corrected + self.late + self.filtered + self.duplicates + self.dead_letters
        )

    def add(self, other: Account) -> None:
        """Add another account to this one."""
        for name, number in asdict(other).items():
            setattr(self, name, getattr(self, name) + number)

    def __str__(self) -> str:
        parts = " + ".join(
            f"{number:,} {name.replace('_', ' ')}" for name, number in asdict(self).items() if name != "received"
        )
        return f"{self.received:,} received = {parts}"


@dataclass
class Accounting:
    """An account for each log."""

    logs: dict[str, Account] = field(default_factory=dict)

    def of(self, log: str) -> Account:
        """The account of a log."""
        return self.logs.setdefault(log, Account())

    @property
    def total(self) -> Account:
        """The account of the whole run."""
        whole = Account()
        for account in self.logs.values():
            whole.add(account)
        return whole
