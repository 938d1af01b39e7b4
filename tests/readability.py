"""How hard a text is to read: Flesch-Kincaid and SMOG, each as the age at which English children read such texts."""

from __future__ import annotations

import math
import re

_YEARS = 5  # an American grade and five are the age in years


def flesch_kincaid_age(text: str) -> float:
    """Kincaid 1975: 0.39 words a sentence + 11.8 syllables a word - 15.59."""
    words, sentences = _words(text), _sentences(text)
    return 0.39 * len(words) / sentences + 11.8 * sum(map(syllables, words)) / len(words) - 15.59 + _YEARS


def smog_age(text: str) -> float:
    """McLaughlin 1969: 1.043 times the root of long words (three syllables or more) in 30 sentences, + 3.1291."""
    words, sentences = _words(text), _sentences(text)
    long_words = sum(syllables(word) >= 3 for word in words)
    return 1.043 * math.sqrt(long_words * 30 / sentences) + 3.1291 + _YEARS


def syllables(word: str) -> int:
    """Count groups of vowels; a silent e or ed at the end is none."""
    word = re.sub(r"[^a-z]", "", word.lower())
    stem = re.sub(r"(?<=[^aeiouyl])e$|(?<=[^aeioudt])ed$|(?<=[^aeioucsgxz])es$", "", word)
    return max(len(re.findall(r"[aeiouy]+", stem)), 1)


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-z][A-Za-z'’-]*", text)


def _sentences(text: str) -> int:
    return len([each for each in re.split(r"[.?!:]+(?:\s|$)|\n+", text) if each.strip()])
