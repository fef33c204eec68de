"""Opaque strings: what must be copied letter for letter. All invented; checksums are not meant to hold."""

import pathlib
import re
import string
import unicodedata

from . import words as W
from .draw import held_out

LOWER, UPPER, DIGIT = string.ascii_lowercase, string.ascii_uppercase, string.digits
BASE32 = "abcdefghijkmnpqrstuvwxyz23456789"
CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
HEX = "0123456789abcdef"
ALNUM = LOWER + UPPER + DIGIT
ARABIC = "ابتثجحخدذرزسشصضطظعغفقكلمنهوي"
ARABIC_DIGIT = "٠١٢٣٤٥٦٧٨٩"
FRENCH = LOWER + "éèêàçùôîœ"
SYLLABLE = [a + b for a in "bcdfghjklmnprstvz" for b in "aeiou"] + "an en on ar er or ish tion ous el ith qu sh ch th".split()


def run(d, alphabet, n):
    return "".join(d.choices(alphabet, k=n))


def digits(d, n):
    return run(d, DIGIT, n)


_LEXICON = []


def lexicon():
    """Every word of the corpus's own texts and lists, but for held-out entities.

    Each token of the vocabulary must have been copied in training, or the model cannot copy it later; the tokens come
    from these words.
    """
    if not _LEXICON:
        here = pathlib.Path(__file__).parent
        found = set()
        for file in sorted(here.glob("*.py")) + [here / "atoll_facts.txt"]:
            found.update(re.findall(r"[^\W\d_]{2,}", file.read_text(encoding="utf-8")))
        held = {w for x in (W.FIRST, W.LAST, W.CITY, W.TOPIC, W.PRODUCT, W.JOB, W.FIRST_AR, W.LAST_AR) for e in x if held_out(e) for w in re.findall(r"[^\W\d_]{2,}", e)}
        _LEXICON.extend(sorted(w for w in found if w not in held))
    return _LEXICON


def any_word(d):
    """A word of the lexicon, or two halves of two of them, in any case."""
    w = d.of(lexicon())
    roll = d.random()
    if roll < 0.45:
        other = d.of(lexicon())
        w = w[: d.between(1, len(w))] + other[d.between(0, len(other) - 1) :]
    roll = d.random()
    return w if roll < 0.55 else w.capitalize() if roll < 0.8 else w.lower() if roll < 0.92 else w.upper()


def pseudoword(d, capital=None):
    """A word that exists in no list, or any word at all."""
    if d.chance(0.45):
        w = any_word(d)
        while not w.isascii() or len(w) > 14:
            w = any_word(d)
        return w.capitalize() if capital else w.lower() if capital is False else w
    w = "".join(d.choices(SYLLABLE, k=d.between(1, 4)))
    if d.chance(0.3):
        w += d.of("nrstlkm")
    return w.capitalize() if capital or (capital is None and d.chance(0.2)) else w


def pseudonym(d):
    """A redaction token in the manner of `PII_EMAIL_1_k7q`, many shapes."""
    kind = d.of(W.ENTITY) if d.chance(0.75) else run(d, UPPER, d.between(3, 9))
    n = str(d.between(1, 9)) if d.chance(0.7) else str(d.between(10, 999))
    tag = run(d, d.of((BASE32, CROCKFORD, CROCKFORD, LOWER + DIGIT, HEX)), d.between(3, 5))
    roll = d.random()
    if roll < 0.6:
        return f"PII_{kind}_{n}_{tag}"
    if roll < 0.7:
        return f"{kind}_{n}_{tag}"
    if roll < 0.76:
        return f"<{kind}_{n}>"
    if roll < 0.82:
        return f"[{kind}_{n}]"
    if roll < 0.86:
        return f"PII_{kind[:2]}_{run(d, HEX, d.between(8, 24))}"
    if roll < 0.9:
        return f"{{{{{kind.lower()}_{n}}}}}"
    if roll < 0.95:
        return f"{kind}_{n}"
    return f"__{kind}_{n}_{tag.upper()}__"


def person(d, capital=True):
    """A person's name, Latin script; one in five is invented outright."""
    roll = d.random()
    if roll < 0.3:
        return pseudoword(d, True) + " " + (d.of(("de ", "van ", "von ", "Ben ", "al-", "El ", "Le ", "di ", "da ", "bin ")) if d.chance(0.2) else "") + pseudoword(d, True)
    if roll < 0.37:
        return d.new(W.FIRST) if d.chance(0.5) else pseudoword(d, True)
    if roll < 0.42:
        return f"{d.of(('Mr', 'Ms', 'Mrs', 'Dr', 'Prof.'))} {d.new(W.LAST)}"
    if roll < 0.47:
        return f"{d.new(W.FIRST)} {d.of(UPPER)}. {d.new(W.LAST)}"
    return d.new(W.FIRST) + " " + d.new(W.LAST).replace("Ben-", "Ben ").replace("Van-", "van ").replace("De-", "de ")


def person_ar(d):
    if d.chance(0.15):
        return run(d, ARABIC, d.between(3, 6)) + " " + run(d, ARABIC, d.between(4, 8))
    return d.new(W.FIRST_AR) + " " + d.new(W.LAST_AR)


def domain(d):
    base = d.of(W.DOMAIN) if d.chance(0.5) else pseudoword(d, False) + (d.of(W.NOUN) if d.chance(0.3) else "")
    return f"{base}.{d.of(W.TLD)}"


def email(d):
    roll = d.random()
    a, b = d.new(W.FIRST).lower(), d.new(W.LAST).lower().replace("'", "")
    if d.chance(0.3):
        a, b = pseudoword(d, False), pseudoword(d, False)
    if roll < 0.3:
        user = f"{a}.{b}"
    elif roll < 0.45:
        user = a[0] + b
    elif roll < 0.6:
        user = a + digits(d, d.between(1, 4))
    elif roll < 0.7:
        user = f"{a}_{b}"
    elif roll < 0.8:
        user = pseudoword(d, False) + d.of((".", "-", "_", "+")) + pseudoword(d, False)
    elif roll < 0.9:
        user = run(d, LOWER + DIGIT, d.between(4, 10))
    else:
        user = d.of(W.DEPARTMENT)
    return f"{user}@{domain(d)}"


def phone(d):
    roll = d.random()
    if roll < 0.2:
        return f"+216 {digits(d, 2)} {digits(d, 3)} {digits(d, 3)}"
    if roll < 0.4:
        return f"+33 {d.between(1, 7)} " + " ".join(digits(d, 2) for _ in range(4))
    if roll < 0.55:
        return f"({digits(d, 3)}) {digits(d, 3)}-{digits(d, 4)}"
    if roll < 0.7:
        return "+" + digits(d, d.between(9, 13))
    if roll < 0.85:
        return f"0{d.between(1, 7)}{digits(d, 8)}"
    return f"{digits(d, 3)}-{digits(d, 4)}"


def iban(d):
    code = d.of(("FR", "DE", "TN", "GB", "ES", "IT", "SA", "AE", "MA", "BE"))
    body = digits(d, d.between(14, 22))
    if code == "GB":
        body = digits(d, 2) + run(d, UPPER, 4) + digits(d, 14)
    s = code + body
    return " ".join(s[i : i + 4] for i in range(0, len(s), 4)) if d.chance(0.5) else s


def uuid(d):
    h = run(d, HEX, 32)
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def card(d):
    s = d.of("3456") + digits(d, 15)
    sep = d.of((" ", "-", ""))
    return sep.join(s[i : i + 4] for i in range(0, 16, 4))


def order(d):
    """Order, invoice, ticket, parcel numbers."""
    roll = d.random()
    if roll < 0.25:
        return d.of(("ORD", "INV", "TCK", "REF", "PO", "CMD", "SO", "RMA", "BK", "TX")) + d.of(("-", "", "_", "/")) + digits(d, d.between(3, 8))
    if roll < 0.4:
        return run(d, UPPER, d.between(1, 4)) + "-" + run(d, UPPER + DIGIT, d.between(3, 7))
    if roll < 0.5:
        return "#" + digits(d, d.between(3, 7))
    if roll < 0.65:
        return digits(d, d.between(4, 10))
    if roll < 0.8:
        return f"{d.between(2019, 2031)}-{digits(d, d.between(2, 5))}-{run(d, UPPER, d.between(1, 3))}"
    return run(d, UPPER + DIGIT, d.between(5, 10))


def secret(d):
    roll = d.random()
    if roll < 0.25:
        return d.of(("sk-", "ghp_", "key_", "pk_live_", "xoxb-", "AKIA")) + run(d, ALNUM, d.between(10, 28))
    if roll < 0.5:
        return run(d, HEX, d.of((8, 12, 16, 24, 32, 40)))
    if roll < 0.75:
        return run(d, ALNUM, d.between(6, 24))
    return run(d, ALNUM + "!@#$%&*-_+=?", d.between(6, 16))


def address(d):
    return f"{d.between(1, 240)} {d.of(W.ADJ).capitalize()} {d.of(W.NOUN).capitalize()} {d.of(('Street', 'Road', 'Avenue', 'Lane'))}, {digits(d, 5)} {d.new(W.CITY)}"


def date(d):
    day, month, year = d.between(1, 28), d.between(1, 12), d.between(1960, 2032)
    roll = d.random()
    if roll < 0.4:
        return f"{year}-{month:02}-{day:02}"
    if roll < 0.6:
        return f"{day:02}/{month:02}/{year}"
    return f"{day} {W.MONTH[month - 1]} {year}"


def amount(d):
    n = d.between(1, 9999)
    return f"{n}.{digits(d, 2)}" if d.chance(0.5) else str(n)


def url(d):
    path = "/".join(pseudoword(d, False) for _ in range(d.between(0, 3)))
    return f"https://{domain(d)}/{path}" + (f"?id={run(d, ALNUM, d.between(3, 9))}" if d.chance(0.3) else "")


def ip(d):
    return ".".join(str(d.between(0, 255)) for _ in range(4))


def path(d):
    return "/" + "/".join(pseudoword(d, False) for _ in range(d.between(1, 4))) + d.of((".txt", ".json", ".log", ".md", ".csv", ""))


def arabic_digits(d):
    return run(d, ARABIC_DIGIT, d.between(4, 16))


def noise(d):
    """Anything at all."""
    n = d.between(3, 28)
    if d.chance(0.15):
        # Any script, any symbol.
        low, high = d.of(((0x21, 0x7E), (0x21, 0x7E), (0xA1, 0xFF), (0xC0, 0x17F), (0x391, 0x3C9), (0x410, 0x44F), (0x5D0, 0x5EA), (0x621, 0x64A), (0x3041, 0x3096), (0x4E00, 0x9FA0), (0xAC00, 0xD7A3), (0x1F300, 0x1F64F), (0x2010, 0x2044), (0x900, 0x94D)))
        out = "".join(chr(d.between(low, high)) for _ in range(d.between(2, 14)))
        return unicodedata.normalize("NFC", out).replace("<|", "<")
    if d.chance(0.1):
        # Something like code.
        return "".join(d.of((lambda: any_word(d), lambda: d.of("(){}[]<>=+-*/%&|^~!?:;,.\\_#@$'\"` "), lambda: digits(d, 1)))() for _ in range(d.between(3, 14))).strip() or "x"
    alphabet = d.of((LOWER, UPPER, LOWER + DIGIT, ALNUM, HEX, ALNUM + "-_", ALNUM + "-_.:/+=", FRENCH, DIGIT, ARABIC, ARABIC_DIGIT, UPPER + DIGIT))
    s = run(d, alphabet, n)
    return s


KINDS = {
    "pseudonym": pseudonym,
    "email": email,
    "phone": phone,
    "iban": iban,
    "uuid": uuid,
    "card": card,
    "order": order,
    "secret": secret,
    "url": url,
    "ip": ip,
    "path": path,
    "noise": noise,
}
#: What a person would call each kind.
LABELS = {
    "pseudonym": ("token", "placeholder", "identifier", "value"),
    "email": ("e-mail", "email address", "address", "e-mail address"),
    "phone": ("phone number", "telephone", "number", "mobile"),
    "iban": ("IBAN", "account number", "bank account"),
    "uuid": ("id", "UUID", "identifier", "request id"),
    "card": ("card number", "credit card"),
    "order": ("order number", "reference", "invoice number", "ticket number", "parcel number", "booking code"),
    "secret": ("key", "API key", "password", "access code", "hash"),
    "url": ("link", "URL", "web address"),
    "ip": ("IP address", "server address"),
    "path": ("path", "file path", "file"),
    "noise": ("code", "string", "text", "label", "word"),
}


def article(template, value):
    """`a {v}` becomes `an {v}` before a vowel."""
    return template.replace(" a {v}", " an {v}") if value[:1] in "aeiou" and value else template


def plural(noun):
    """Regular English plural."""
    if noun.endswith(("s", "sh", "ch", "x", "z")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    if noun.endswith("f") and not noun.endswith(("ff", "oof", "arf")):
        return noun[:-1] + "ves"
    return noun + "s"


def opaque(d, pseudonyms=0.35):
    """(kind, string)."""
    kind = "pseudonym" if d.chance(pseudonyms) else d.of(tuple(KINDS))
    return kind, KINDS[kind](d)


def value_for(d, kind):
    """A value of a kind, or (as after redaction) a pseudonym in its place."""
    if d.chance(0.3):
        return pseudonym(d)
    return {"person": person, "address": address, "date": date, "amount": amount, **KINDS}[kind](d)


def sentence(d):
    """Loosely grammatical English with any vocabulary: something to repeat, not to believe."""
    parts = []
    for _ in range(d.between(1, 3)):
        roll = d.random()
        noun = d.of(W.NOUN) if d.chance(0.7) else pseudoword(d, False)
        if d.chance(0.12):
            parts.append(" ".join(any_word(d) for _ in range(d.between(2, 8))))
            continue
        if roll < 0.3:
            parts.append(f"the {d.of(W.ADJ)} {noun} will {d.of(W.VERB)} {d.of(W.ADVERB)}")
        elif roll < 0.5:
            parts.append(f"{person(d)} wants to {d.of(W.VERB)} the {noun} in {d.new(W.CITY)}")
        elif roll < 0.65:
            parts.append(f"we {d.of(W.VERB)} {d.between(2, 99)} {d.of(W.ADJ)} {plural(noun)} on {d.of(W.DAY)}")
        elif roll < 0.8:
            parts.append(f"please {d.of(W.VERB)} the {noun} {opaque(d)[1]}")
        else:
            parts.append(f"a {noun} is {d.of(W.ADJ)} and {d.of(W.ADJ)}")
    s = d.of((", and ", "; ", " but ", ", then ")).join(parts)
    return s[0].upper() + s[1:] + d.of((".", ".", ".", "!", "?"))
