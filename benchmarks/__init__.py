"""What stratify costs beside the least that the same files can cost: ``make bench``.

Belongs here: jobs that are measured, measuring them, and the table. Does not belong: anything that passes or fails. A
job runs in a process of its own, and competitors take turns, so that a busy machine slows them alike.
"""
