"""The time machine: a past week made again from its record, and compared; why it would be another today.

``again`` makes a week again and compares it with what went out then; ``differences`` says of each person why a list
would be another with what is known by now; ``retention`` removes records by schedule, and a person by request. What a
record is stands in ``kept_records``.
"""
