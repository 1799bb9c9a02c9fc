"""Names, places and offices of the made-up company."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Office:
    """A place of work: its time zone, how many of a hundred work there, and how people are called."""

    city: str
    zone: str
    share: int
    given: tuple[str, ...]
    family: tuple[str, ...]


def _list(names: str) -> tuple[str, ...]:
    return tuple(name.replace("_", " ") for name in names.split())


OFFICES = (
    Office(
        "Utrecht",
        "Europe/Amsterdam",
        38,
        _list("Anouk Bram Daan Eva Fenna Floor Gijs Hanna Jasper Jeroen Lotte Maud Niels Pieter Roos Sanne Thijs"),
        _list("Bakker de_Boer van_Dijk Dekker Hendriks Jansen Kok Kuipers Mulder Peters Smit Visser de_Wit"),
    ),
    Office(
        "Leipzig",
        "Europe/Berlin",
        17,
        _list("Anke Björn Cornelia Dieter Frauke Jürgen Katrin Lena Matthias Sören Ulrike Uwe Wiebke"),
        _list("Böhm Fischer Hartmann Krüger Lange Möller Neumann Schäfer Schröder Vogel Weiß Zimmermann"),
    ),
    Office(
        "Leeds",
        "Europe/London",
        14,
        _list("Aisha Callum Chloe Ewan Gareth Imogen Isla Niamh Oliver Priya Rhys Siobhan"),
        _list("Ahmed Barnes Clarke Davies Evans Hughes O'Connor Patel Shaw Turner Walsh Wright"),
    ),
    Office(
        "Boston",
        "America/New_York",
        14,
        _list("Alicia Brandon Carmen Derek Emily Jamal Kayla Luis Megan Noah Rachel Tyrone"),
        _list("Brooks Carter Delgado Foster Garcia Johnson Kim Murphy Nguyen Reed Rivera Washington"),
    ),
    Office(
        "Pune",
        "Asia/Kolkata",
        11,
        _list("Aarav Ananya Deepak Isha Kavya Meera Nikhil Rohan Sanjay Shreya Vikram"),
        _list("Bhosale Chavan Deshpande Gokhale Iyer Joshi Kulkarni Mehta Nair Patil Rao Shinde"),
    ),
    Office(
        "Osaka",
        "Asia/Tokyo",
        6,
        _list("Aiko Daichi Haruka Kenji Mai Naoki Ren Sakura Takumi Yuki"),
        _list("Abe Fujita Hayashi Inoue Kobayashi Matsumoto Nakamura Saitō Tanaka Yamada"),
    ),
)

DEPARTMENTS = {
    "Engineering": (24, ("Software engineer", "Senior engineer", "Test engineer", "Engineering manager")),
    "Operations": (16, ("Production planner", "Logistics specialist", "Plant engineer", "Shift lead")),
    "Sales": (15, ("Account manager", "Sales engineer", "Regional manager")),
    "Support": (12, ("Support specialist", "Field technician", "Support lead")),
    "Research": (10, ("Physicist", "Optics designer", "Laboratory technician")),
    "Finance": (8, ("Accountant", "Controller", "Payables clerk")),
    "Quality": (6, ("Quality engineer", "Auditor", "Calibration technician")),
    "IT": (5, ("System administrator", "Network engineer", "Service desk analyst")),
    "People": (3, ("HR partner", "Payroll specialist", "Recruiter")),
    "Legal": (1, ("Counsel", "Compliance officer")),
}
"""Department -> how many of a hundred work there, and as what."""

SUPPLIERS = {
    "S-01": ("Brightwater Facilities", "brightwater.example", 8),
    "S-02": ("Corvid Software", "corvid.example", 12),
    "S-03": ("Delta Calibration", "delta-calibration.example", 6),
    "S-04": ("Harbour Logistics", "harbour-logistics.example", 7),
    "S-05": ("Northlight Optics", "northlight.example", 5),
}
"""Supplier -> name, mail domain, people it sends."""
