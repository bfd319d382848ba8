"""Who may overwrite which field of a contact."""

from services.leads.domain.intake import Ownership
from services.leads.domain.lead import Contact

OWNED = Ownership({"phone": frozenset({"crm"}), "attributes": frozenset({"crm"})})
KEPT = Contact(given_name="Kim", email="kim@example.com", phone="+491", attributes={"tier": "gold"})
TOLD = Contact(given_name="Kimberly", phone="+492", job_title="CTO", attributes={"tier": "lead", "size": "9"})


def test_a_correction_leaves_other_systems_fields_as_they_are() -> None:
    corrected = OWNED.corrected(KEPT, TOLD, "hubspot")

    assert corrected == Contact(
        given_name="Kimberly",
        email="kim@example.com",
        phone="+491",
        job_title="CTO",
        attributes={"tier": "gold", "size": "9"},
    )


def test_an_owner_corrects_its_field() -> None:
    assert OWNED.corrected(KEPT, TOLD, "crm").phone == "+492"


def test_everybody_fills_what_is_empty() -> None:
    empty = Contact(email="kim@example.com")

    assert OWNED.corrected(empty, TOLD, "hubspot").phone == "+492"
    assert OWNED.joined(empty, TOLD, "hubspot").phone == "+492"


def test_a_joined_submission_of_an_owner_overwrites_its_field_and_nothing_else() -> None:
    joined = OWNED.joined(KEPT, TOLD, "crm")

    assert (joined.phone, joined.attributes["tier"]) == ("+492", "lead")
    assert joined.given_name == "Kim"


def test_a_joined_submission_of_another_overwrites_nothing() -> None:
    joined = OWNED.joined(KEPT, TOLD, "hubspot")

    assert (joined.given_name, joined.phone, joined.attributes["tier"]) == ("Kim", "+491", "gold")
    assert joined.job_title == "CTO"


def test_without_owners_a_correction_counts_and_a_joined_submission_only_adds() -> None:
    nobody = Ownership()

    assert nobody.corrected(KEPT, TOLD, "any").phone == "+492"
    assert nobody.joined(KEPT, TOLD, "any").phone == "+491"
