"""What notebook 00 uses: a drawing of the lab as it is, and the doctor's findings as a table."""

from labsupport.lessons.start.drawing import drawing, memory_table
from labsupport.lessons.start.findings import doctor_table

EXERCISES: dict[str, object] = {}

__all__ = ["EXERCISES", "doctor_table", "drawing", "memory_table"]
