"""Pure: the country of a lead, whatever the customer or the portal wrote, as an ISO 3166 code and back.

Microsoft sends `US` in one lead and `USA` in the next; people write `U.S.A.`, `Deutschland` or
`Viet Nam`. Names and alpha-3 codes come from CLDR, through Babel.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import cache

from babel import Locale, UnknownLocaleError
from babel.core import get_global

from leads.texts import language

# CLDR names these two-letter codes too, but ISO 3166 assigns them to no country: groups of states,
# islands that have the code of their owner, pseudo-locales, "unknown". Kosovo's XK stays: though
# user-assigned, it is the code that CRMs know.
_NO_COUNTRY = frozenset(("AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"))

# What people write and CLDR does not list: former and official names, parts of the United Kingdom,
# and the names that the largest markets give themselves.
_ALIASES = {
    "UK": "GB",
    "Great Britain": "GB",
    "United Kingdom of Great Britain and Northern Ireland": "GB",
    "England": "GB",
    "Scotland": "GB",
    "Wales": "GB",
    "Northern Ireland": "GB",
    "United States of America": "US",
    "America": "US",
    "Korea": "KR",
    "Korea, Republic of": "KR",
    "Republic of Korea": "KR",
    "Korea, Democratic People's Republic of": "KP",
    "Russian Federation": "RU",
    "Czech Republic": "CZ",
    "Turkey": "TR",
    "Holland": "NL",
    "Viet Nam": "VN",
    "Burma": "MM",
    "Myanmar": "MM",
    "Hong Kong": "HK",
    "Hong Kong SAR": "HK",
    "Macao": "MO",
    "Macau": "MO",
    "Macao SAR": "MO",
    "Macau SAR": "MO",
    "People's Republic of China": "CN",
    "Mainland China": "CN",
    "Taiwan, Province of China": "TW",
    "Iran, Islamic Republic of": "IR",
    "Islamic Republic of Iran": "IR",
    "Syrian Arab Republic": "SY",
    "Bolivia, Plurinational State of": "BO",
    "Venezuela, Bolivarian Republic of": "VE",
    "Tanzania, United Republic of": "TZ",
    "Moldova, Republic of": "MD",
    "Republic of Moldova": "MD",
    "Macedonia": "MK",
    "Republic of Ireland": "IE",
    "Brunei Darussalam": "BN",
    "Lao People's Democratic Republic": "LA",
    "Lao PDR": "LA",
    "Cabo Verde": "CV",
    "Ivory Coast": "CI",
    "Swaziland": "SZ",
    "East Timor": "TL",
    "Palestine": "PS",
    "State of Palestine": "PS",
    "Palestine, State of": "PS",
    "Palestinian Authority": "PS",
    "Vatican": "VA",
    "Holy See": "VA",
    "Democratic Republic of the Congo": "CD",
    "Congo, Democratic Republic of the": "CD",
    "DR Congo": "CD",
    "DRC": "CD",
    "Republic of the Congo": "CG",
    "Congo": "CG",
    "Micronesia, Federated States of": "FM",
    "Virgin Islands, British": "VG",
    "Virgin Islands, U.S.": "VI",
    "US Virgin Islands": "VI",
    "Emirates": "AE",
    "UAE": "AE",
    "KSA": "SA",
    "Canary Islands": "ES",
    "Deutschland": "DE",
    "Österreich": "AT",
    "Schweiz": "CH",
    "Suisse": "CH",
    "Svizzera": "CH",
    "España": "ES",
    "Italia": "IT",
    "Nederland": "NL",
    "België": "BE",
    "Belgique": "BE",
    "Sverige": "SE",
    "Norge": "NO",
    "Danmark": "DK",
    "Suomi": "FI",
    "Polska": "PL",
    "Česko": "CZ",
    "Magyarország": "HU",
    "Brasil": "BR",
    "Éire": "IE",
    "日本": "JP",
    "中国": "CN",
    "대한민국": "KR",
    "한국": "KR",
}

_LONGEST = 100  # characters: longer than any name here, so that a megabyte in the field costs nothing
_WORD = re.compile(r"\w+")


def country_code(text: str) -> str:
    """The ISO 3166 alpha-2 code for an alpha-2 or alpha-3 code, an English name or a common alias.

    Case, accents, dots and spacing do not matter. What is not recognised gives "".
    """
    if len(text) > _LONGEST:
        return ""
    return _codes().get(_plain(text), "")


def country_name(code: str) -> str:
    """The English name for an alpha-2 code in either case, or "" where no country has that code."""
    return _names().get(code.strip().upper(), "")


def country_in_words(code: str) -> str:
    """The name as `country_name` gives it, but in the language of who reads it."""
    return _names(language()).get(code.strip().upper(), "")


def countries() -> tuple[tuple[str, str], ...]:
    """Every country as its alpha-2 code and its name in the language of who reads it, by name."""
    return _by_name(language())


@cache
def _by_name(spoken: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(_names(spoken).items(), key=lambda country: _plain(country[1])))


def _plain(text: str) -> str:
    """What is left of a name once accents, case, punctuation and "the" no longer matter."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    spoken = bare.casefold().replace("&", " and ").replace(".", "").replace("'", "").replace("\u2019", "")
    words = _WORD.findall(spoken)
    if len(words) > 1:  # alone, "st" is São Tomé's code
        words = ["saint" if word == "st" else word for word in words]
    return " ".join(words).removeprefix("the ")


@cache
def _names(spoken: str = "en") -> Mapping[str, str]:
    """By code: the names in a language, in English where CLDR does not know the language."""
    try:
        territories = Locale.parse(spoken, sep="-").territories
    except (ValueError, UnknownLocaleError):
        territories = Locale("en").territories
    return {code: name for code, name in territories.items() if len(code) == 2 and code not in _NO_COUNTRY}


@cache
def _codes() -> Mapping[str, str]:
    """Everything that is recognised, in its plain form; built once, at the first lead with a country."""
    names = _names()
    codes = {_plain(name): code for code, name in names.items()}
    codes |= {_plain(alias): code for alias, code in _ALIASES.items()}
    # Alpha-3 codes stand in CLDR as aliases. One that points to several countries belonged to a state
    # that was divided (SUN, YUG): guessing a successor would be wrong more often than saying nothing.
    for alias, targets in get_global("territory_aliases").items():
        if len(alias) == 3 and alias.isalpha() and len(targets) == 1 and targets[0] in names:
            codes[alias.casefold()] = targets[0]
    # Last, because an alpha-2 code is certain and wins over everything above.
    codes |= {code.casefold(): code for code in names}
    return codes
