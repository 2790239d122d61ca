r"""Text as a reader takes it in: letters and brackets by their look, and nothing that is not seen.

A mark can be forged without its characters: full-width brackets, Cyrillic letters, a zero-width space or a line break in the
middle of a word, an HTML entity. A reader, and a language model, still takes it for the mark. The *skeleton* of a text is what
such spellings have in common; marks are looked for in it, and what is found is put right in the text itself.

In a skeleton, letters are small and without accents; ``l`` and ``1`` are ``i`` and ``0`` is ``o``, because ``</evaI>`` deceives as
well; every kind of line break is ``\n``; other white space, control characters and invisible characters are gone. The table
holds what compatibility decomposition (Unicode's NFKD) leaves apart: the letters, brackets and signs of our marks among the
confusable characters of Unicode Technical Standard 39, and letters that are drawn like small or boxed capitals.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

CONFUSABLES = {
    "a": "⍺ɑαаΑАᎪᗅꓮᴀ🅐🅰🇦",
    "b": "ƄЬᏏᑲᖯꞴΒВᏴᗷꓐʙвβƀ🅑🅱🇧",
    "c": "ᴄⲥсꮯⲤСᏟꓚ",
    "d": "ԁᏧᑯꓒᎠᗞᗪꓓᴅđð",
    "e": "℮ꬲеҽ⋿ΕЕⴹᎬꓰᴇεэ",
    "f": "ꬵꞙẝքꞘϜᖴꓝꜰ",
    "g": "ɡᶃƍցԌᏀᏳꓖɢ",
    "h": "һհᏂΗⲎНᎻᕼꓧʜнħ",
    "i": "l1⍳ıɪɩιіꙇӏꭵᎥ۱ƖΙⲒІӀⵏᛁꓲⳐᏞᒪꓡʟł",
    "j": "ϳјꞲͿЈᎫᒍꓙᴊ",
    "k": "ΚⲔКᏦᛕꓗᴋкκ",
    "m": "ΜϺⲘМᎷᗰᛖꓟᴍм",
    "n": "ոռΝⲚꓠɴηпи",
    "o": "0०੦૦௦౦೦൦๐໐၀۵ᴏᴑꬽοσⲟоჿօഠဝ০୦〇ΟⲞОՕⵔዐଠꓳø",
    "p": "⍴ρⲣрΡⲢРᏢᑭꓑᴘ",
    "q": "ԛգզⵕ",
    "r": "ꭇꭈᴦⲅгꮁƦᎡᏒᖇꓣʀ",
    "s": "ꜱƽѕꮪЅՏᏕᏚꓢ",
    "t": "⊤⟙ΤⲦТᎢꓔᴛтτŧ",
    "u": "ꞟᴜꭎꭒʋυս∪⋃Սሀᑌꓴμ",
    "v": "∨⋁ᴠνѵꮩ۷ѴⴸᏙᐯꛟꓦ",
    "w": "ɯᴡѡԝաꮃԜᎳᏔꓪωш",
    "x": "᙮×⤫⤬⨯хᕁᕽ᙭╳ꞳΧⲬХⵝᚷꓫχ",
    "y": "ɣᶌʏỿꭚγуүყΥⲨУҮᎩᎽꓬ",
    "z": "ᴢꮓΖᏃꓜ",
    "[": "【〔〖❲⁅⦋⦍⦏⟬",
    "]": "】〕〗❳⁆⦌⦎⦐⟭",
    "[[": "⟦〚",
    "]]": "⟧〛",
    "<": "‹❮❬⟨〈⧼˂ᐸᚲ",
    ">": "›❯❭⟩〉⧽˃ᐳ",
    "|": "∣⏽ǀ│┃❘❙¦",
    "/": "⁄∕╱⟋⧸",
    ":": "։꞉∶ː˸⁚᛬",
    "*": "∗⁎✱",
    "'": "‘’‛′‵՚´ʹʼʻʽˈˊˋ",
}
"""Skeletons, each with the characters that look like it. Quotation marks of French and Chinese texts are left out."""
_BY_CHARACTER = {character: look for look, characters in CONFUSABLES.items() for character in characters}
_LINE_BREAKS = frozenset("\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Mn", "Me"})
_UNSEEN = re.compile("[\u115f\u1160\u2800\u3164\uffa0\u2065\ufff0-\ufff8\U000e0000-\U000e0fff]")
"""Characters without an image that their category does not give away."""
_ENTITY = r"&(?:#x[0-9a-f]{1,6}|#[0-9]{1,7}|[a-z]{2,8});"
_HAS_ENTITY = re.compile(_ENTITY, re.IGNORECASE)
_UNIT = re.compile(f"{_ENTITY}|.", re.IGNORECASE | re.DOTALL)


def text_units(text: str) -> Sequence[str]:
    """The characters of a text, of which an HTML entity (``&lt;``) is one; a text without any entity is returned as it is."""
    return _UNIT.findall(text) if _HAS_ENTITY.search(text) else text


def skeleton(units: Sequence[str]) -> str:
    """The skeleton of a text, given its units."""
    if isinstance(units, str):
        return units.translate(_LOOKS)
    return "".join(map(look, units))


@lru_cache(maxsize=1 << 14)
def look(unit: str) -> str:
    """The skeleton of one unit; "" for what is not seen."""
    return html.unescape(unit).translate(_LOOKS)


class _Looks(dict[int, str | None]):
    """Skeletons by code point, worked out when they are first needed."""

    def __missing__(self, code: int) -> str | None:
        # None, not "", lets Python translate ASCII texts without a look at the table for each character.
        self[code] = found = _look(chr(code)) or None
        return found


def _look(character: str) -> str:
    if character in _LINE_BREAKS:
        return "\n"
    return "".join(
        map(_letter, [character] if character in _BY_CHARACTER else unicodedata.normalize("NFKD", character))
    )


def _letter(character: str) -> str:
    if character in _BY_CHARACTER:
        return _BY_CHARACTER[character]
    if character.isspace() or unicodedata.category(character) in _UNSEEN_CATEGORIES or _UNSEEN.match(character):
        return ""
    small = character.casefold()
    return "".join(_BY_CHARACTER.get(one, one) for one in small)


_LOOKS = _Looks()
