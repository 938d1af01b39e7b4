"""A second implementation of the scores, in plain Python, for the tests to compare the shipped one with.

Deliberately simple: pure functions of plain inputs (numbers or None, sets of codes, dates), weights typed in as data,
exact sums. Nothing here imports ``stratify``, and nothing in ``stratify`` imports this. What is missing is tried out:
every value that a missing input could have is put in its place, and the tiers that come out are those still possible.

Marks, as in each docstring: [2+] two or more independent sources agree, [1] one source, [inferred] read from a damaged
table or by logic. Published figures were checked against the sources named in each module.
"""
