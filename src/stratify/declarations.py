"""The closed vocabulary data engineers write in: what the files of a source look like, and how landing tables are made.

Strict, frozen models of the YAML files in ``ingest/sources/`` and of a site's own. This module knows what may be
*said*; ``ingest.sources`` reads the files and does it. No SQL, no expression language, no Python: what the verbs cannot
say is a named function there, which a declaration refers to. docs/sources.md shows it step by step.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Text = Annotated[str, Field(min_length=1)]
FORMAT_WORDS = {"yyyy": "%Y", "MMM": "%b", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
NAME_WORDS = {
    "number": r"[0-9]+",
    "day": r"[0-9]{8}",
    "moment": r"[0-9]{14}",
    "year": r"[0-9]{4}",
    "text": r"[^_/\\]+",
}
"""What may stand in braces in a file name; ``day`` (yyyyMMdd) and ``moment`` (yyyyMMddHHmmss) say how far it goes."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Condition(_Strict):
    """Something true or false of a row: of one of its columns, or whether another file has a row that matches it."""

    column: Text | None = None
    one_of: tuple[str, ...] | None = Field(default=None, description="the column is one of these; an empty one is not")
    none_of: tuple[str, ...] | None = Field(default=None, description="the column is none of these; an empty one too")
    is_filled: bool | None = None
    found_in: Text | None = Field(default=None, description="another declared file")
    match: dict[Text, Text] = Field(default={}, description="columns of this file: columns of the other")
    where: tuple[Condition, ...] = Field(default=(), description="what must hold of the other file's row")

    @model_validator(mode="after")
    def _one_thing(self) -> Condition:
        said = sum(each is not None for each in (self.one_of, self.none_of, self.is_filled))
        if self.found_in is None:
            fits = self.column is not None and said == 1 and not self.match and not self.where
        else:
            fits = self.column is None and said == 0 and bool(self.match)
        if not fits:
            raise ValueError("says one thing: column with one_of, none_of or is_filled; or found_in with match")
        return self


class LookUp(_Strict):
    """A column of the one row of another file that matches."""

    found_in: Text = Field(description="another declared file")
    match: dict[Text, Text] = Field(min_length=1, description="columns of this file: columns of the other")
    give: Text
    where: tuple[Condition, ...] = ()
    latest_by: Made | None = Field(
        default=None,
        description="of several rows the one where this is greatest; without it, all must say the same",
    )


_MAKERS = ("column", "constant", "first_of", "join", "date", "moment", "look_up", "days_between", "minutes_between")


class Value(_Strict):
    """How a landing column is made: exactly one maker, then what is done to its text."""

    column: Text | None = None
    constant: Text | None = None
    first_of: tuple[Made, ...] | None = Field(default=None, description="the first that is not empty")
    join: tuple[Made, ...] | None = Field(default=None, description="those that are not empty, with separator between")
    date: Made | None = Field(default=None, description="a day, by the date formats of the file")
    moment: Made | None = Field(default=None, description="a day and time, by the moment formats of the file")
    look_up: LookUp | None = None
    days_between: tuple[Made, Made] | None = Field(default=None, description="from the first day to the second")
    minutes_between: tuple[Made, Made] | None = Field(default=None, description="from the first moment to the second")
    line_of: Text | None = Field(default=None, description="an id for rows without one: this word and the line")

    separator: str = " "
    values: dict[str, str] = Field(default={}, description="our word for each of theirs; an empty text for nothing")
    other_values: Literal["kept", "empty"] = "kept"
    is_lower_case: bool = False
    is_postcode: bool = Field(default=False, description="a postcode without its space gets it back")
    part: Literal["before_space", "after_space"] | None = Field(default=None, description="at the first space")
    when: tuple[Condition, ...] = Field(default=(), description="else it is empty, or otherwise")
    otherwise: Made | None = None

    @model_validator(mode="after")
    def _one_maker(self) -> Value:
        said = [name for name in (*_MAKERS, "line_of") if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(f"has exactly one of {', '.join((*_MAKERS, 'line_of'))}")
        return self


Made = str | Value
"""A column by its name, or how the value is made."""


class Version(_Strict):
    """The header of one edition of a file, whole or by its difference from another.

    A column keeps in the tables below the name that the first version has; ``renamed`` says what an older one calls it.
    """

    version: Text
    columns: tuple[Text, ...] = ()
    same_as: Text | None = None
    without: tuple[Text, ...] = ()
    renamed: dict[Text, Text] = Field(default={}, description="name in the first version: name in this one")

    @model_validator(mode="after")
    def _one_way(self) -> Version:
        if bool(self.columns) == (self.same_as is not None):
            raise ValueError("gives its columns, or the version it is the same as")
        if self.columns and self.without:
            raise ValueError("gives its columns: without belongs to same_as")
        return self


class Withdrawn(_Strict):
    """The column that says that the source took a row back; becomes is_deleted."""

    column: Text
    withdrawn_words: tuple[str, ...] = Field(min_length=1)
    standing_words: tuple[str, ...] = Field(description="an empty value counts as one; any other is left as it is")


class LeftOut(_Strict):
    """Rows that have no place in any landing table, and why; they are counted."""

    because: Text
    when: tuple[Condition, ...] = Field(min_length=1)


def _known_formats(formats: tuple[str, ...]) -> tuple[str, ...]:
    for each in formats:
        rest = re.sub("|".join(sorted(FORMAT_WORDS, key=len, reverse=True)), "", each)
        if re.search(r"[A-Za-z%]", rest.replace("T", "")):
            raise ValueError(f"a format is made of {', '.join(FORMAT_WORDS)}, signs and T")
    return formats


class Form(_Strict):
    """How the bytes of a file are to be read; what a file leaves out it has from the source's own form."""

    encoding: Literal["utf-8", "cp1252"] | None = None
    delimiter: Literal["comma", "semicolon", "bar", "tab"] | None = None
    dates: tuple[Text, ...] | None = Field(default=None, description="formats such as dd MMM yyyy")
    moments: tuple[Text, ...] | None = None

    @field_validator("dates", "moments")
    @classmethod
    def _formats(cls, formats: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if formats is None else _known_formats(formats)

    def filled_from(self, other: Form) -> Form:
        """Give this form with what it leaves out taken from another."""
        return Form(**{name: getattr(self, name) or getattr(other, name) for name in Form.model_fields})


DEFAULT_FORM = Form(
    encoding="utf-8",
    delimiter="comma",
    dates=("yyyy-MM-dd",),
    moments=("yyyy-MM-ddTHH:mm:ss", "yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd"),
)


class ExtractFile(_Strict):
    """One kind of file: what it is called, how it is read, which headers are known."""

    name: Text = Field(description="with {number}, {day}, {moment}, {year} and {text}; .gz may follow")
    is_required: bool = True
    key: tuple[Text, ...] = Field(
        default=(),
        description="columns that tell which row of an earlier set a row takes the place of; for sources with changes",
    )
    form: Form = Form()
    versions: tuple[Version, ...] = ()
    withdrawn: Withdrawn | None = None
    left_out: tuple[LeftOut, ...] = ()
    not_read: Text | None = Field(default=None, description="why no row of it is read; its lines are counted")

    @model_validator(mode="after")
    def _versions_fit(self) -> ExtractFile:
        unknown = set(re.findall(r"\{([^}]*)\}", self.name)) - set(NAME_WORDS)
        if unknown:
            raise ValueError(f"a name has only {', '.join(NAME_WORDS)} in braces")
        if (self.not_read is None) == (not self.versions):
            raise ValueError("has versions, or a reason in not_read")
        names = [each.version for each in self.versions]
        if len(set(names)) != len(names):
            raise ValueError("has each version once")
        for place, each in enumerate(self.versions):
            if each.same_as is not None and each.same_as not in names[:place]:
                raise ValueError(f"version {each.version} is the same as one that stands before it")
            if each.same_as is not None:
                base = self.header(each.same_as)
                odd = sorted({*each.without, *each.renamed} - set(base))
            else:
                odd = sorted(set(each.renamed.values()) - set(each.columns))
            if odd:
                raise ValueError(f"version {each.version} names columns that are not there: {', '.join(odd)}")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Names the tables use: those of the first version, then what only older ones have."""
        return tuple(dict.fromkeys(name for each in self.versions for name in self.our_names(each.version).values()))

    def header(self, version: str) -> tuple[str, ...]:
        """Give the header of a version as it stands in the file."""
        each = next(one for one in self.versions if one.version == version)
        if each.same_as is None:
            return each.columns
        return tuple(each.renamed.get(name, name) for name in self.header(each.same_as) if name not in each.without)

    def our_names(self, version: str) -> dict[str, str]:
        """Give what the first version calls each column of a version."""
        each = next(one for one in self.versions if one.version == version)
        older = {theirs: ours for ours, theirs in each.renamed.items()}
        return {name: older.get(name, name) for name in self.header(version)}

    @property
    def pattern(self) -> re.Pattern[str]:
        """What a file name must match, the parts in braces as groups of their name."""
        parts = re.split(r"(\{[^}]*\})", self.name)
        seen: set[str] = set()
        text = ""
        for part in parts:
            word = part[1:-1]
            if not part.startswith("{"):
                text += re.escape(part)
            elif word in seen:
                text += NAME_WORDS[word]
            else:
                seen.add(word)
                text += f"(?P<{word}>{NAME_WORDS[word]})"
        return re.compile(text + r"(\.gz)?", re.IGNORECASE)


class Derived(_Strict):
    """Rows that a named function makes of declared files; tables use them like a file."""

    made_by: Text
    of: tuple[Text, ...] = Field(min_length=1)


class Part(_Strict):
    """Some rows of a landing table: each row of a file, or each that fits, becomes one."""

    file: Text
    when: tuple[Condition, ...] = ()
    columns: dict[Text, Made]


class OwnManifest(_Strict):
    """The source's own list of its files."""

    file: Text
    covers: tuple[Text, ...] = Field(default=(), description="files that must have a line; all of this declaration")
    name: Text = Field(description="column with the file name")
    is_name_without_ending: bool = False
    is_delta: Text | None = None
    delta_words: tuple[str, ...] = ()
    first_moment: Text | None = Field(default=None, description="column with the beginning of what a delta covers")
    last_moment: Text | None = Field(default=None, description="column with the end of what the file covers")
    moment_format: Text | None = None
    is_reference: Text | None = Field(default=None, description="column that marks files that cover no period")
    reference_words: tuple[str, ...] = ()


class Changes(_Strict):
    """That sets may hold changes only (deltas), and what says so; without it every set must be a whole extract.

    The source's own manifest speaks for the files it covers, and ``manifest.csv`` beside for all others: by a line of
    the file itself, or else by the one word that all its lines have.
    """

    told_by: Literal["manifest", "folder_order"] = Field(
        description="folder_order: where no manifest speaks, the first folder is whole and every later one a delta"
    )
    otherwise: Literal["refused", "whole"] = Field(
        default="refused", description="what a set that nothing speaks for is, where told_by is manifest"
    )


class StandIns(_Strict):
    """A practice and weekly clinic sessions, all marked as stand-ins, for sources that have neither."""

    practice_code: Annotated[str, Field(pattern=r"^[A-Z][0-9]{5}$")]
    label: Text


class Declaration(_Strict):
    """One source, or a part that others include."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    description: Text
    is_synthetic: bool = False
    includes: tuple[Text, ...] = Field(default=(), description="declarations whose files and tables are taken over")
    form: Form = Form()
    files: dict[Text, ExtractFile] = {}
    derived: dict[Text, Derived] = {}
    tables: dict[Text, tuple[Part, ...]] = {}
    canonical: tuple[Text, ...] = Field(default=(), description="tables that come beside in the canonical layout")
    may_lack: tuple[Text, ...] = ()
    not_supplied: tuple[Text, ...] = Field(default=(), description="tables this source never has")
    unit_words: dict[str, str] = Field(default={}, description="our word for each unit of theirs")
    manifest: OwnManifest | None = None
    changes: Changes | None = None
    stand_ins: StandIns | None = None


def parts_of(made: Made | None) -> Iterator[Value]:
    """Give every value that a value is made of, itself included; a name alone counts as its column."""
    if made is None:
        return
    value = Value(column=made) if isinstance(made, str) else made
    yield value
    nested: list[Any] = [*(value.first_of or ()), *(value.join or ())]
    nested += [value.date, value.moment, value.otherwise, *(value.days_between or ()), *(value.minutes_between or ())]
    for each in nested:
        yield from parts_of(each)


for _model in (Condition, LookUp, Value, Part, LeftOut, ExtractFile, Declaration):
    _model.model_rebuild()
