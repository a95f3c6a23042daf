"""The demo's data and questions: a real data set split over four organisations.

Source: North Central Cancer Treatment Group, advanced lung cancer (Loprinzi and others, J Clin
Oncol 12:601-607, 1994), 228 patients, the CSV that the package lifelines ships (MIT). lifelines
itself is not imported. Real are all measurements and the centre `inst` by which the patients are
split. Made up are the three hospitals' names (each takes a range of centres), the laboratory (it
takes the three columns that hospitals here lack) and the patients' identifiers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from p2pmpc.errors import LocalError

__all__ = [
    "HOSPITALS",
    "LAB",
    "POLICIES",
    "STEWARDS",
    "Split",
    "read_lung",
    "split",
    "write_files",
]

HOSPITALS: Mapping[str, tuple[int, int]] = {"north": (1, 7), "south": (10, 13), "west": (15, 33)}
LAB = "lab"
HOSPITAL_COLUMNS = ("patient_id", "time", "status", "age", "sex", "ph_ecog", "ph_karno")
LAB_COLUMNS = ("patient_id", "meal_cal", "wt_loss", "pat_karno")
ECOG = ("no symptoms", "light work", "in bed under half the day", "in bed over half the day")

LUNG = """\
[dataset]
name = "lung"
unit = "person"
rows_max = 1024
person = "patient_id"
licence = "as shipped by lifelines (MIT); Loprinzi and others 1994"
privacy_level = "restricted"

[columns.patient_id]
type = "identifier"
uses = ["link"]
role = "identifier"

[columns.time]
type = "integer"
units = "days"
minimum = 0
maximum = 2000
uses = ["aggregate", "model"]

[columns.status]
type = "category"
levels = ["alive", "dead"]
uses = ["aggregate", "group", "model"]
role = "sensitive"

[columns.age]
type = "integer"
units = "years"
minimum = 0
maximum = 120
uses = ["aggregate", "group", "filter", "model"]
role = "quasi-identifier"

[columns.sex]
type = "category"
levels = ["male", "female"]
uses = ["aggregate", "group", "model"]
role = "quasi-identifier"

[columns.ph_ecog]
type = "category"
levels = ["no symptoms", "light work", "in bed under half the day", "in bed over half the day"]
uses = ["aggregate", "group", "model"]

[columns.ph_karno]
type = "integer"
units = "points"
minimum = 0
maximum = 100
uses = ["aggregate", "model"]
"""

MARKERS = """\
[dataset]
name = "markers"
unit = "person"
rows_max = 1024
person = "patient_id"
licence = "as shipped by lifelines (MIT); Loprinzi and others 1994"
privacy_level = "restricted"

[columns.patient_id]
type = "identifier"
uses = ["link"]
role = "identifier"

[columns.meal_cal]
type = "integer"
units = "kcal"
minimum = 0
maximum = 5000
uses = ["aggregate", "model"]

[columns.wt_loss]
type = "integer"
units = "pounds"
minimum = -100
maximum = 100
uses = ["aggregate", "model"]

[columns.pat_karno]
type = "integer"
units = "points"
minimum = 0
maximum = 100
uses = ["aggregate", "model"]
"""

THRESHOLDS = """\
minimum_cell = 10
minimum_cohort = 10
minimum_members = 2
"""

# Three ways to decide: by lists, by a steward, and by rules alone.
POLICIES: Mapping[str, str] = {
    "north": f"""\
[default]
decide = "ask"
purposes = ["DUO:0000007"]
kinds = ["describe", "t_test", "histogram", "crosstab", "linear_model", "count", "correlation"]
{THRESHOLDS}""",
    "south": f'[default]\ndecide = "ask"\n{THRESHOLDS}',
    "west": f'[default]\ndecide = "approve"\n{THRESHOLDS}',
    "lab": f'[default]\ndecide = "ask"\n{THRESHOLDS}',
}

# What the stewards of the demo say when they are asked; in a network, people type it.
STEWARDS: Mapping[str, str] = {
    "south": "lung patients were told of studies like this; no group under ten is shown",
    "lab": "our part is three measurements a patient, and no identifier leaves",
}

POOLED = """\
[study]
title = "Three hospitals: age, function and survival time"
purpose = "DUO:0000007"
question = "How do men and women with advanced lung cancer differ?"
recipients = ["north", "south"]

[data.patients]
dataset = "lung"
members = ["north", "south", "west"]

[[statistic]]
name = "ages"
kind = "describe"
columns = ["age"]

[[statistic]]
name = "age_by_sex"
kind = "t_test"
column = "age"
by = "sex"

[[statistic]]
name = "age_bins"
kind = "histogram"
column = "age"
edges = [30, 50, 60, 70, 90]

[[statistic]]
name = "sex_and_status"
kind = "crosstab"
rows = "sex"
columns = "status"

[[statistic]]
name = "time_by_age_and_sex"
kind = "linear_model"
formula = "time ~ age + sex"

[[statistic]]
name = "sex_and_function"
kind = "crosstab"
rows = "sex"
columns = "ph_ecog"
"""

LINKED = """\
[study]
title = "Three hospitals and a laboratory, linked by patient"
purpose = "DUO:0000007"
question = "Do age and sex go with what the laboratory measured?"
recipients = ["north"]

[data.patients]
dataset = "lung"
members = ["north", "south", "west"]

[data.labs]
dataset = "markers"
members = ["lab"]

[link]
tables = ["patients", "labs"]
by = [["patient_id"]]

[[statistic]]
name = "linked_patients"
kind = "count"

[[statistic]]
name = "age_and_weight_loss"
kind = "correlation"
columns = ["age", "wt_loss"]

[[statistic]]
name = "weight_loss_by_sex"
kind = "t_test"
column = "wt_loss"
by = "sex"

[[statistic]]
name = "calories"
kind = "linear_model"
formula = "meal_cal ~ age + sex"
"""


@dataclass(frozen=True, slots=True)
class Split:
    """The data as four organisations hold it, and pooled as none of them does (for comparison)."""

    hospitals: Mapping[str, Any]  # member -> DataFrame
    lab: Any
    pooled: Any  # all hospitals' rows, with the laboratory's columns beside them
    left_out: int  # patients without a centre: in no hospital, still in the laboratory


def read_lung() -> Path:
    """The CSV inside the installed package lifelines. Raises LocalError when it is not there."""
    spec = find_spec("lifelines")
    place = Path(spec.origin).parent / "datasets" / "lung.csv" if spec and spec.origin else None
    if place is None or not place.exists():
        raise LocalError(
            "the demo's data is not installed",
            next="Install it: pip install 'p2pmpc[demo]'.",
        )
    return place


def split(path: Path) -> Split:
    """Split the patients by centre; the laboratory has other columns of the same people."""
    import pandas as pd

    frame = pd.read_csv(path)
    frame.columns = frame.columns.str.replace(".", "_")
    frame.insert(0, "patient_id", [f"P{number:04d}" for number in range(1, len(frame) + 1)])
    frame["status"] = frame["status"].map({0: "alive", 1: "dead"})
    frame["sex"] = frame["sex"].map({1: "male", 2: "female"})
    frame["ph_ecog"] = frame["ph_ecog"].map(dict(enumerate(ECOG)))
    whole = ["ph_karno", "pat_karno", "meal_cal", "wt_loss"]
    frame[whole] = frame[whole].astype("Int64")
    hospitals = {
        name: frame.loc[frame["inst"].between(*centres), list(HOSPITAL_COLUMNS)]
        for name, centres in HOSPITALS.items()
    }
    lab = frame[list(LAB_COLUMNS)].sort_values("wt_loss", kind="stable")
    left_out = len(frame) - sum(map(len, hospitals.values()))
    return Split(hospitals, lab, frame[frame["inst"].notna()], left_out)


def write_files(parts: Split, folder: Path) -> dict[str, Path]:
    """CSV files, dictionaries, policies and studies below `folder`; their paths by name."""
    found = {}
    for name, frame in {**parts.hospitals, LAB: parts.lab}.items():
        path = folder / name / ("markers.csv" if name == LAB else "lung.csv")
        path.parent.mkdir(mode=0o700, exist_ok=True)
        frame.to_csv(path, index=False)
        found[name] = path
    texts = {
        "lung": LUNG,
        "markers": MARKERS,
        **{f"{name}-policy": policy for name, policy in POLICIES.items()},
        "pooled": POOLED,
        "linked": LINKED,
    }
    for name, text in texts.items():
        found[name] = folder / f"{name}.toml"
        found[name].write_text(text, encoding="utf-8")
    return found
