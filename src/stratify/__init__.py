"""stratify: finds the people in a population who most need help and gets them to the right team.

Import nothing here: the command line must answer in under half a second.
"""
