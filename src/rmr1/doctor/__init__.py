"""What is wrong with a set-up: each finding with its fix."""

from rmr1.doctor.examination import DoctorCallbacks, examine

__all__ = ["DoctorCallbacks", "examine"]
