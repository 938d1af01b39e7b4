"""Trained models of risk: declared, fitted, kept as data, explained, promoted.

``design`` is what people declare; ``cohort`` gathers people and outcomes from a finished run, ``diagnosis`` refuses
what must not be fitted, ``algorithms`` fits (the only user of scikit-learn), ``additive`` is the model itself,
``stored`` its file, ``definition`` the same model as a score of the rule book, ``promotion`` how it comes to be used. A
weekly run reads none of this: it knows the promoted model as a score like any other.
"""
