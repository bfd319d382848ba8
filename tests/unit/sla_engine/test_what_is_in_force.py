"""What is kept of agreements between units of work never outlives what the database says."""

from services.sla.domain.accord import Accord
from services.sla.domain.agreement import Party
from services.sla.store.tx import SlaTx
from services.sla.usecases.agreements import Activate, Propose, activate, propose
from tests.builders.sla_engine import SALES_MANAGER, Engine, a_promise, some_terms


def in_force(engine: Engine) -> list[tuple[int, str]]:
    with engine.database.reading() as connection:
        accords = SlaTx(connection, engine.archive, now=engine.now).accords(["default"])["default"]
    return [(accord.number, accord.state.value) for accord in accords]


def test_a_version_that_another_process_put_in_force_counts_at_once() -> None:
    engine = Engine()
    ours = engine.archive
    engine.agree()
    assert in_force(engine) == [(1, "ACTIVE")]
    engine.restart()
    engine.agree(some_terms(a_promise(target=1)))
    engine.archive = ours

    assert in_force(engine) == [(2, "ACTIVE"), (1, "RETIRED")]


def test_what_a_rolled_back_activation_had_shown_counts_for_nothing() -> None:
    engine = Engine()
    engine.agree()
    with engine.database.writer_engine.begin() as connection:
        tx = SlaTx(connection, engine.archive, now=engine.now)
        (second,) = propose(tx, [_second()], now=engine.now)
        tx.flush()
    assert isinstance(second, Accord)
    put_in_force = Activate(name=second.name, etag="", principal=SALES_MANAGER, effective_time=None)
    with engine.database.writer_engine.connect() as connection:
        tx = SlaTx(connection, engine.archive, now=engine.now)
        activate(tx, [put_in_force], now=engine.now)
        assert [each.number for each in tx.accords(["default"])["default"]] == [2, 1]
        connection.rollback()

    assert in_force(engine) == [(1, "ACTIVE")]


def _second() -> Propose:
    return Propose(
        tenant="default",
        agreement="main",
        terms=some_terms(a_promise(target=1)),
        principal=SALES_MANAGER,
        parties=(Party.MARKETING, Party.SALES),
    )


def test_another_tenants_agreements_are_kept_apart() -> None:
    engine = Engine()
    engine.agree()
    assert in_force(engine) == [(1, "ACTIVE")]

    with engine.database.reading() as connection:
        tx = SlaTx(connection, engine.archive, now=engine.now)
        assert tx.accords(["other", "default"])["other"] == []
