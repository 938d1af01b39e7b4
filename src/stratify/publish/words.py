"""Plain words for codes, as a reader at a practice expects them. Text in, text out; clinical meaning is elsewhere."""

from __future__ import annotations

from datetime import date, timedelta

from stratify import periods
from stratify.codes import is_unverified
from stratify.pages import without_marks as without_marks
from stratify.rules import Pathway, Score

_ABBREVIATIONS = {"gp": "GP", "copd": "COPD", "hca": "HCA", "mdt": "MDT", "ot": "OT", "vcse": "VCSE"}

_SEX = {"M": "Male", "F": "Female", "I": "Indeterminate", "U": "Not known"}

_CONTACT = {"phone": "Phone", "sms": "Text message", "letter": "Letter", "email": "Email", "nhs_app": "NHS App"}

_OFFER_BY = {
    None: "By message",
    "phone": "By call",
    "sms": "By text message",
    "letter": "By letter",
    "email": "By email",
    "nhs_app": "By NHS App message",
}

# Main languages of England and Wales in the 2021 census, and British Sign Language; others show as their code.
_LANGUAGES = {
    "am": "Amharic",
    "ar": "Arabic",
    "bfi": "British Sign Language",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "cs": "Czech",
    "cy": "Welsh",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fa": "Persian",
    "fr": "French",
    "gu": "Gujarati",
    "hi": "Hindi",
    "hu": "Hungarian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "ku": "Kurdish",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "ml": "Malayalam",
    "ne": "Nepali",
    "nl": "Dutch",
    "pa": "Punjabi",
    "pl": "Polish",
    "ps": "Pashto",
    "pt": "Portuguese",
    "ro": "Romanian",
    "rom": "Romani",
    "ru": "Russian",
    "si": "Sinhala",
    "sk": "Slovak",
    "so": "Somali",
    "sq": "Albanian",
    "sw": "Swahili",
    "syl": "Sylheti",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "ti": "Tigrinya",
    "tl": "Tagalog",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "yo": "Yoruba",
    "yue": "Cantonese",
    "zh": "Chinese",
}

_SOURCES = {
    "apc_diagnosis": "Hospital admissions",
    "apc_episode": "Hospital admissions",
    "apc_spell": "Hospital admissions",
    "care_home_bed": "Beds of care homes",
    "clinic_capacity": "Clinic sessions",
    "community_contact": "Community contacts",
    "death": "Deaths",
    "ed_attendance": "Emergency department attendances",
    "extract_manifest": "List of extract files",
    "gp_appointment": "GP appointments",
    "gp_event": "GP record: entries",
    "gp_medication": "GP record: medicines",
    "gp_observation": "GP record: measurements",
    "home_visit_request": "Home visit requests",
    "lsoa": "Small areas",
    "nhs_number_trace": "Answers of the tracing service",
    "op_attendance": "Outpatient attendances",
    "opt_out": "Objections to use of data",
    "patient": "Patients",
    "patient_flag": "Patient flags",
    "place_preference": "Preferred places of death",
    "practice": "Practices and networks",
    "referral": "Referrals",
    "registration": "Registrations",
    "social_care_event": "Adult social care",
    "survey_result": "Surveys",
}

_SENSITIVE = "sensitive record, contact details withheld: use the practice record"

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a spreadsheet begins a formula with; the last four are the wide forms that some take for the same."""


def harmless(text: str) -> str:
    """Put an apostrophe before what a spreadsheet would take for a formula, and leave marks that turn text out."""
    text = without_marks(text)
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def plain(identifier: str) -> str:
    """Write an id as words: ``respiratory_nurse`` is ``Respiratory nurse``."""
    words = [_ABBREVIATIONS.get(word, word) for word in identifier.split("_") if word]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def source_in_words(table: str) -> str:
    """Name a table for readers, whatever its layer: ``landing.apc_episode`` is ``Hospital admissions``."""
    name = table.split(".")[-1]
    return _SOURCES.get(name, plain(name))


def roles_in_words(roles: tuple[str, ...]) -> str:
    """List roles as words, in the order the definition gives them."""
    return ", ".join(plain(role) if number == 0 else _lower(plain(role)) for number, role in enumerate(roles))


def _lower(text: str) -> str:
    return text if text[:2].isupper() else text[:1].lower() + text[1:]


def tier_in_words(pathway: Pathway, scores: dict[str, Score], tier: str | None) -> str | None:
    """Give the label of a tier of the pathway's score.

    Where there is none: ``Cannot be graded``, or ``No grade recorded`` where a grade is what a clinician records.
    """
    score = scores.get(pathway.tier_from or "")
    if tier is None and pathway.tier_from:
        return "No grade recorded" if score and score.kind == "recorded" else "Cannot be graded"
    if tier is None:
        return None
    label = next((each.label for each in score.tiers if each.tier == tier), None) if score else None
    return label[:1].upper() + label[1:] if label else plain(tier)


def sex_in_words(sex: str | None) -> str | None:
    """Give a sex code in words; ``I`` is indeterminate, ``U`` not known."""
    return _SEX.get(sex, sex) if sex else None


def language_in_words(language: str | None, interpreter_needed: bool | None) -> str | None:
    """Name the language of a BCP-47 tag, and say when an interpreter is needed."""
    name = _language_name(language)
    if interpreter_needed:
        return f"{name}, interpreter needed" if name else "Interpreter needed, language not recorded"
    return name


def _language_name(language: str | None) -> str | None:
    return _LANGUAGES.get(language.split("-")[0].lower(), language) if language else None


def contact_in_words(preference: str | None, is_spine_sensitive: bool) -> str | None:
    """Say how the person prefers to be contacted; for sensitive records, that details are withheld."""
    if is_spine_sensitive:
        return _SENSITIVE[:1].upper() + _SENSITIVE[1:]
    return _CONTACT.get(preference, plain(preference)) if preference else None


def formats_in_words(ais_format: str | None) -> str | None:
    """List accessible formats, separated by commas."""
    formats = [each.strip() for each in (ais_format or "").split(";") if each.strip()]
    return ", ".join(formats) or None


def yes_no(value: bool | None) -> str:
    """Give yes, no, or not asked."""
    return "not asked" if value is None else "yes" if value else "no"


UNVERIFIED_NUMBER = "NHS number not verified: confirm who this is before any contact"
"""What a row says of a number whose status is another than verified."""


def how_to_offer(
    *,
    ais_format: str | None,
    interpreter_needed: bool | None,
    language: str | None,
    has_digital_access: bool | None,
    contact_preference: str | None,
    is_spine_sensitive: bool,
    nhs_number_status: str | None = None,
) -> str:
    """Say by which way a practice can make an offer, and why.

    Where the NHS number is not verified nothing goes out before the person has confirmed who they are.

    What would make the usual message useless comes first: a format the message cannot have, then an interpreter, then
    no digital access or nobody having asked. Only then counts the preference.

    Source: Accessible Information Standard DAPB1605: an unmet format stops the standard letter.
    """
    formats = formats_in_words(ais_format)
    if formats:
        way = f"Manual: needs {formats}"
        if interpreter_needed:
            way += f"; interpreter ({_language_name(language) or 'language not recorded'})"
    elif interpreter_needed:
        way = f"By call with interpreter ({_language_name(language) or 'language not recorded'})"
    elif has_digital_access is False:
        way = "On paper or by call: no digital access"
    elif has_digital_access is None:
        way = "By call: digital access not asked"
    else:
        way = _OFFER_BY.get(contact_preference, "By message")
    if is_unverified(nhs_number_status):
        way = f"{UNVERIFIED_NUMBER}; then {way[:1].lower()}{way[1:]}"
    return f"{way}; {_SENSITIVE}" if is_spine_sensitive else way


def week_in_words(index_date: date) -> str:
    """Give the seven days of a list: ``Monday 5 January 2026 to Sunday 11 January 2026``."""
    last = index_date + timedelta(days=6)
    return f"{day_in_words(index_date)} to {day_in_words(last)}"


def day_in_words(day: date) -> str:
    """Write a date with its weekday: ``Monday 5 January 2026``."""
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    return f"{names[day.weekday()]} {periods.in_words(day)}"


STATES = {
    "new": "New",
    "listed": "On a list",
    "waiting": "Waits",
    "invited_1": "Invited once",
    "invited_2": "Invited twice",
    "invited_3": "Invited three times",
    "booked": "Has an appointment",
    "attended": "Was seen",
    "did_not_attend": "Did not attend: invite again",
    "declined": "Declined",
    "deferred": "Deferred",
    "not_appropriate": "Said not to be appropriate",
    "offered": "Was offered self-management",
    "activated": "Uses what was offered",
    "stepped_up": "To be rung about an offer",
    "review": "A clinician looks first",
    "need_ended": "No longer on the pathway",
    "left": "No longer registered here",
    "died": "Has died",
}
"""Where people stand on a pathway, as lists say it."""


def state_in_words(state: str | None) -> str | None:
    """Say where somebody stands on a pathway."""
    return STATES[state] if state else None
