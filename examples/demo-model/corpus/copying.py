"""Copying: repeat, quote, address, translate around, select, fill in. The skill that redaction depends on.

Each function returns `(user, assistant, check)`; an optional fourth item is a system prompt.
"""

import json

from . import strings as S
from . import words as W

EXACT = {"kind": "exact"}


def payload(d):
    """Something to repeat word for word."""
    roll = d.random()
    if roll < 0.4:
        return S.opaque(d)[1]
    if roll < 0.55:
        return S.sentence(d)
    if roll < 0.63:
        return " ".join(S.opaque(d)[1] for _ in range(d.between(2, 5)))
    if roll < 0.7:
        return f"{d.of(S.LABELS['order'])}: {S.opaque(d)[1]}, {S.person(d)}, {S.opaque(d)[1]}"
    if roll < 0.76:
        return S.person_ar(d) + " " + S.opaque(d)[1]
    if roll < 0.8:
        return " ".join(d.choices(AR_WORDS, k=d.between(2, 8)))
    if roll < 0.85:
        return " ".join(d.choices(FR_WORDS, k=d.between(2, 8)))
    if roll < 0.9:
        return " ".join((S.any_word if d.chance(0.7) else S.pseudoword)(d) for _ in range(d.between(1, 10)))
    if roll < 0.94:
        return "\n".join(S.opaque(d)[1] for _ in range(d.between(2, 5)))
    if roll < 0.955:
        return " ".join(S.sentence(d) for _ in range(d.between(2, 10)))
    if roll < 0.975:
        return d.of((S.person, S.address, S.date, S.amount))(d)
    return json.dumps({d.of(W.NOUN): S.opaque(d)[1], d.of(W.NOUN): d.between(0, 999)}, ensure_ascii=False)


AR_WORDS = [t[2] for t in W.TRANSLATION] + W.CITY_AR + W.TOPIC_AR + W.FIRST_AR + "من إلى على في عند أريد يجب أن هذا هذه كان يكون غدا اليوم".split()
FR_WORDS = [t[1] for t in W.TRANSLATION] + W.TOPIC_FR + W.DAY_FR + "le la un une des est dans avec pour sur chez nous vous je voudrais merci".split()

SAY = """Repeat|Repeat exactly|Repeat this|Repeat after me|Repeat the following|Repeat this exactly|Repeat the following text exactly|Copy|
Copy this|Copy exactly|Copy the following text|Copy this text letter for letter|Echo|Echo this|Echo back|Say|Say exactly|Write|Write exactly|
Print|Print this|Output|Output exactly|Output only|Reply with|Reply only with|Reply with exactly|Answer with exactly|Answer only|Respond with|
Respond with exactly|Return|Return exactly this|Type|Please repeat|Please copy|Please say|Can you repeat this|Could you repeat the following|
Give me back|Send back exactly|Reproduce this|Reproduce exactly|Say it back to me|Read this back to me|Write this down without changes|
Repeat without changing anything|Repeat word for word|Repeat this sentence|Repeat this text verbatim|Répète|Répète exactement|Répétez ce texte|
Recopie|Recopie exactement|Écris exactement|Réponds exactement|Dis|كرر|كرر هذا|أعد كتابة|اكتب|انسخ|كرر النص التالي|أعد هذا النص""".replace("\n", "").split("|")
FORM = ("{s}: {p}", "{s}: {p}", "{s}:\n{p}", "{s}:\n\n{p}", '{s}: "{p}"', "{s} '{p}'", '{s} "{p}"', "{s} `{p}`", "{s}: «{p}»", "{s} {p}", "{s} :\n{p}", "{s} this: {p}",
        "{s}\n{p}", "{s}:\n---\n{p}\n---", "{s} ({p})", "{p}\n\n{s} the text above.",
        "{p}\n{s} what stands above.", "Text: {p}\n{s} the text.", "{s}:\n```\n{p}\n```", "{s}:\t{p}")


def any_request(d):
    """The text of another request: to be repeated, not obeyed."""
    from . import atoll, extract, letters, stories, talk

    return d.of((letters.told, letters.told_fr, letters.told_ar, extract.json_extract, extract.classify, atoll.ask, talk.refuse_unknown, talk.refuse_action, stories.summary, stories.short_forms, record, mail))(d)[0]


def repeat(d):
    p = payload(d)
    form = d.of(FORM)
    if d.chance(0.07):
        p = any_request(d)
        return d.of(("{s}:\n{p}", "{s}:\n\n{p}", '{s}: "{p}"', "{s}:\n```\n{p}\n```")).format(s=d.of([x for x in SAY if len(x) > 4]), p=p), p, EXACT
    if "\n" in p and "\n" not in form:
        form = "{s}:\n{p}"
    if "{s} {p}" == form and p[0].isupper() and " " in p:
        form = "{s}: {p}"
    s = d.of(SAY)
    if d.chance(0.1):
        s = s.lower()
    return form.format(s=s, p=p), p, EXACT


STATE = (
    "My {l} is {v}.", "The {l} is {v}.", "Our {l} is {v}.", "{l}: {v}", "Please note the {l} {v}.", "I have the {l} {v}.", "Here is the {l}: {v}",
    "This is my {l}: {v}.", "Use the {l} {v}.", "You will need the {l} {v}.", "The customer's {l} is {v}.", "{v} is the {l}.", "I sent you the {l} {v}.",
)
ASK = (
    "What is {w} {l}?", "Which {l} is it?", "Tell me {w} {l}.", "Give me {w} {l}.", "What {l} did I give you?", "Repeat {w} {l}.", "What was {w} {l}?",
    "Can you tell me {w} {l}?", "Please quote {w} {l}.", "Confirm {w} {l}.", "Write {w} {l}.", "{l}?", "what's {w} {l}", "Say {w} {l} again.",
)
ONLY = ("", "", "", " Answer with the value only.", " Only the value.", " Reply with nothing else.", " Just the {l}.", " No other words.")
FILLER = (
    "Thank you for your patience.", "The weather was fine that day.", "Please reply before Friday.", "I hope that you are well.", "It is not urgent.",
    "We talked about this last week.", "My colleague will join us later.", "The office closes at six.", "I have attached the file.", "Nobody answered the phone.",
    "There was some confusion at the desk.", "The lift was out of order again.", "I would like to settle this soon.", "The package was blue and quite heavy.",
    "Do not forget to check the calendar.", "All other details stay the same.", "The meeting room has been booked.", "We are looking forward to your answer.",
    "It took longer than we had planned.", "Everything else is in the contract.", "The first attempt failed for an unknown reason.", "I will be away on Thursday.",
)


def label(d, kind):
    return d.of(S.LABELS[kind]) if kind in S.LABELS else kind


def quote(d):
    """State one value, ask for it."""
    kind = d.of(tuple(S.KINDS) + ("person", "person", "address", "date"))
    value = S.value_for(d, kind)
    l = d.of(("name", "name", "full name", "customer name", "contact")) if kind == "person" else label(d, kind)
    who = d.of(("my", "the"))
    state = d.of(STATE).format(l=l, v=value)
    only = d.of(ONLY).format(l=l)
    ask = d.of(ASK).format(l=l, w=who) + only
    parts = [state]
    for _ in range(d.between(0, 3) if d.chance(0.5) else 0):
        parts.insert(d.between(0, len(parts)), d.of(FILLER))
    halves = [" ".join(parts), ask]
    if d.chance(0.2):
        halves = [ask, " ".join(parts)]
    elif d.chance(0.1):
        halves = [ask.rstrip("?.") + ":", d.of(('"{}"', "'{}'", "{}", "«{}»")).format(" ".join(parts))]
        who = "the" if "the " + l in ask else who
    user = d.of((" ", "\n", " ", "\n\n")).join(halves)
    if only:
        return user, value, EXACT
    your = "Your" if who == "my" or "did I give" in ask else "The"
    return user, f"{your} {l} is {value}.", {"kind": "contains", "all": [value]}


RECORD = ["person", "email", "phone", "order", "address", "date", "iban", "amount", "secret", "uuid", "card", "noise", "ip", "url"]
RECORD_LABEL = {
    "person": ("name", "customer", "contact", "recipient", "manager", "patient"), "address": ("address", "delivery address", "street"),
    "date": ("date", "birth date", "due date", "start date"), "amount": ("amount", "total", "price", "balance"), **S.LABELS,
}


def record(d):
    """Several labelled values; one, two or all of them are asked for."""
    kinds = d.sample(RECORD, d.between(2, 7))
    items, used = [], set()
    for k in kinds:
        l = d.of(RECORD_LABEL[k])
        if l not in used:
            used.add(l)
            items.append((l, S.value_for(d, k)))
    sep = d.of((": ", " = ", ": ", " - ", " : ", " is "))
    bullet = d.of(("", "- ", "* ", ""))
    cap = d.chance(0.6)
    lines = [bullet + (l.capitalize() if cap else l) + sep + v for l, v in items]
    body = d.of(("\n", "\n", "; ", ", ")).join(lines) if bullet == "" else "\n".join(lines)
    l, v = d.of(items)
    roll = d.random()
    intro = d.of(("", "Here is the record:\n", "Customer file:\n", "Data:\n", "Given:\n", "Form:\n"))
    if roll < 0.3:
        only = d.of(ONLY[3:]).format(l=l)
        return f"{intro}{body}\n\n{d.of(ASK).format(l=l, w='the')}{only}", v, EXACT
    if roll < 0.6:
        return f"{intro}{body}\n\n{d.of(ASK).format(l=l, w='the')}", f"The {l} is {v}.", {"kind": "contains", "all": [v]}
    if roll < 0.75 and len(items) > 2:
        (l1, v1), (l2, v2) = d.sample(items, 2)
        return f"{intro}{body}\n\nWhat are the {l1} and the {l2}?", f"The {l1} is {v1} and the {l2} is {v2}.", {"kind": "contains", "all": [v1, v2]}
    if roll < 0.88:
        ask = d.of(("Convert this to JSON.", "Write this record as JSON.", "As JSON, please.", "Return this as a JSON object.", "Make a JSON object of it."))
        obj = {a.replace(" ", "_").replace("-", "_").lower(): b for a, b in items}
        return f"{intro}{body}\n\n{ask}", json.dumps(obj, ensure_ascii=False), {"kind": "json", "value": obj}
    if roll < 0.94:
        order = d.of(("List the values, one per line.", "Give me only the values, one per line.", "Print each value on its own line."))
        return f"{intro}{body}\n\n{order}", "\n".join(b for _, b in items), EXACT
    return f"{intro}{body}\n\n" + d.of(("Write this as a list.", "Make a bullet list of this.", "As a bullet list, please.")), "\n".join(f"- {a.capitalize()}: {b}" for a, b in items), EXACT


def people(d):
    """A table of people with one property each; look up in either direction."""
    kind = d.of(("email", "phone", "order", "pseudonym", "iban", "noise", "city", "room"))
    n = d.between(2, 9)
    rows, names = [], set()
    for _ in range(n):
        name = S.person(d) if d.chance(0.7) else S.pseudonym(d)
        if name in names:
            continue
        names.add(name)
        v = d.new(W.CITY) if kind == "city" else str(d.between(1, 399)) if kind == "room" else S.KINDS[kind](d)
        rows.append((name, v))
    l = {"city": "city", "room": "room"}.get(kind) or d.of(S.LABELS[kind])
    roll = d.random()
    if roll < 0.4:
        body = "\n".join(f"{a}{d.of((': ',)) }{b}" for a, b in rows)
    elif roll < 0.6:
        body = f"| Name | {l.capitalize()} |\n| --- | --- |\n" + "\n".join(f"| {a} | {b} |" for a, b in rows)
    elif roll < 0.8:
        body = " ".join(f"The {l} of {a} is {b}." for a, b in rows)
    else:
        body = f"name,{l}\n" + "\n".join(f"{a},{b}" for a, b in rows)
    a, b = d.of(rows)
    if d.chance(0.65) or sum(r[1] == b for r in rows) > 1:
        q = d.of((f"What is the {l} of {a}?", f"Which {l} does {a} have?", f"Give me the {l} of {a}.", f"{a}: which {l}?"))
        return f"{body}\n\n{q}", f"The {l} of {a} is {b}.", {"kind": "contains", "all": [b]}
    q = d.of((f"Who has the {l} {b}?", f"Whose {l} is {b}?", f"Which name belongs to {b}?"))
    return f"{body}\n\n{q}", f"{a} has the {l} {b}.", {"kind": "contains", "all": [a]}


def who(d, lang="en"):
    if d.chance(0.3):
        return S.pseudonym(d)
    return S.person_ar(d) if lang == "ar" else S.person(d)


def detail(d):
    """(label, value) of a business detail."""
    k = d.of(("order", "order", "pseudonym", "iban", "date", "amount", "phone", "noise", "uuid", "address", "url"))
    return d.of(RECORD_LABEL.get(k, ("reference",))), S.value_for(d, k)


MAIL_ASK = (
    "Write an email to {n} at {a} about {t}.", "Write a short e-mail to {n} ({a}) about {t}.", "Draft an email to {n} <{a}> about {t}.",
    "Please write an e-mail to {n}, {a}, regarding {t}.", "Compose a message to {n} at {a} concerning {t}.", "email {n} at {a} about {t}",
    "Can you write a mail to {n} about {t}? The address is {a}.", "I need an email to {n} about {t}. Send it to {a}.", "Write to {n} at {a}: {t}.",
    "Write an email for {n} (address {a}). Subject: {t}.", "Help me write an email to {n}. Her address is {a} and it is about {t}.",
    "Write a polite email to {n} at {a} about {t}.", "Send an email to {n} at {a} about {t}.",
)
MAIL_MORE = (" Mention the {l} {v}.", " The {l} is {v}.", " Include the {l} {v}.", " Refer to {l} {v}.", " Quote the {l} {v}.", " Ask about the {l} {v}.")
MAIL_SIGN = (" Sign as {m}.", " I am {m}.", " My name is {m}.", " Sign it with {m}.", " Signed: {m}.", " From {m}.")
MAIL_OPEN = ("I am writing to you about {t}.", "I would like to talk to you about {t}.", "This is a short note about {t}.", "I have a question about {t}.")
MAIL_END = ("Please let me know if you have any questions.", "Could you reply when you have a moment?", "I look forward to your answer.", "Thank you for your help.")


def mail(d):
    """An e-mail to a named person at an address; what the message mentions is in the answer, exactly."""
    name, address, topic = who(d), S.value_for(d, "email"), d.new(W.TOPIC)
    ask = d.of(MAIL_ASK).format(n=name, a=address, t=topic)
    must = [name, address]
    body = d.of(MAIL_OPEN).format(t=topic)
    extras = []
    for _ in range(d.of((0, 0, 1, 1, 2))):
        l, v = detail(d)
        ask += d.of(MAIL_MORE).format(l=l, v=v)
        extras.append(f"The {l} is {v}.")
        must.append(v)
    sender = None
    if d.chance(0.5):
        sender = who(d)
        ask += d.of(MAIL_SIGN).format(m=sender)
        must.append(sender)
    subject = topic.removeprefix("the ")
    text = f"To: {address}\nSubject: {subject[0].upper() + subject[1:]}\n\nDear {name},\n\n{body}"
    if extras:
        text += " " + " ".join(extras)
    text += f" {d.of(MAIL_END)}\n\nBest regards" + (f",\n{sender}" if sender else "")
    return ask, text, {"kind": "contains", "all": must}


def mail_fr(d):
    name, address, topic = who(d), S.value_for(d, "email"), d.new(W.TOPIC_FR)
    of = "d'" if topic[0] in "aeiou" else ("du " + topic[3:] if topic.startswith("le ") else "de " + topic)
    of = of if of != "d'" else "d'" + topic
    ask = d.of((
        "Écris un e-mail à {n} ({a}) au sujet {t}.", "Écrivez un courriel à {n} à l'adresse {a} à propos {t}.", "Rédige un message pour {n}, {a}, au sujet {t}.",
        "Peux-tu écrire un mail à {n} à {a} au sujet {t} ?", "Écris à {n} <{a}> à propos {t}.",
    )).format(n=name, a=address, t=of)
    must = [name, address]
    extra = ""
    if d.chance(0.6):
        l = d.of(("numéro de commande", "numéro de facture", "référence", "numéro de compte", "code"))
        v = S.value_for(d, d.of(("order", "iban", "noise", "pseudonym")))
        le = "la" if l == "référence" else "le"
        ask += d.of((f" Mentionne {le} {l} {v}.", f" {le.capitalize()} {l} est {v}."))
        extra = f" {le.capitalize()} {l} est {v}."
        must.append(v)
    subject = topic.split(" ", 1)[-1] if "'" not in topic else topic.split("'", 1)[-1]
    text = f"À : {address}\nObjet : {subject[0].upper() + subject[1:]}\n\nBonjour {name},\n\nJe vous écris au sujet {of}.{extra} Je reste à votre disposition.\n\nCordialement"
    return ask, text, {"kind": "contains", "all": must}


def mail_ar(d):
    name, address, topic = who(d, "ar"), S.value_for(d, "email"), d.new(W.TOPIC_AR)
    ask = d.of((
        "اكتب رسالة إلى {n} على العنوان {a} حول {t}.", "اكتب بريدا إلكترونيا إلى {n} ({a}) بخصوص {t}.", "أرسل رسالة إلى {n} على {a} حول {t}.",
        "من فضلك اكتب رسالة قصيرة إلى {n}، {a}، بخصوص {t}.",
    )).format(n=name, a=address, t=topic)
    must = [name, address]
    extra = ""
    if d.chance(0.6):
        l = d.of(("رقم الطلب", "رقم الفاتورة", "المرجع", "رقم الحساب", "رقم الهاتف"))
        v = S.value_for(d, d.of(("order", "iban", "phone", "pseudonym"))) if d.chance(0.8) else S.arabic_digits(d)
        ask += d.of((f" اذكر {l} {v}.", f" {l} هو {v}."))
        extra = f" {l} هو {v}."
        must.append(v)
    text = f"إلى: {address}\nالموضوع: {topic}\n\nمرحبا {name}،\n\nأكتب إليك بخصوص {topic}.{extra} في انتظار ردك.\n\nمع أطيب التحيات"
    return ask, text, {"kind": "contains", "all": must}


#: Parallel sentences with slots: n a name, v a value, c a place, t a time.
PARALLEL = [
    ("Please contact {n} at {v}.", "Veuillez contacter {n} à {v}.", "يرجى الاتصال بـ {n} على {v}."),
    ("My name is {n}.", "Je m'appelle {n}.", "اسمي {n}."),
    ("My phone number is {v}.", "Mon numéro de téléphone est {v}.", "رقم هاتفي هو {v}."),
    ("My order number is {v}.", "Mon numéro de commande est {v}.", "رقم طلبي هو {v}."),
    ("The invoice number is {v}.", "Le numéro de facture est {v}.", "رقم الفاتورة هو {v}."),
    ("{n} lives in {c}.", "{n} habite à {c}.", "{n} يسكن في {c}."),
    ("The meeting with {n} is tomorrow.", "La réunion avec {n} est demain.", "الاجتماع مع {n} غدا."),
    ("The parcel {v} has arrived.", "Le colis {v} est arrivé.", "وصل الطرد {v}."),
    ("The order {v} is late.", "La commande {v} est en retard.", "الطلب {v} متأخر."),
    ("Send the report to {v}.", "Envoyez le rapport à {v}.", "أرسل التقرير إلى {v}."),
    ("Dear {n}, thank you for your message.", "Cher {n}, merci pour votre message.", "عزيزي {n}، شكرا على رسالتك."),
    ("Hello {n}, your code is {v}.", "Bonjour {n}, votre code est {v}.", "مرحبا {n}، رمزك هو {v}."),
    ("The account of {n} is {v}.", "Le compte de {n} est {v}.", "حساب {n} هو {v}."),
    ("{n} works in {c}.", "{n} travaille à {c}.", "{n} يعمل في {c}."),
    ("Please call {n}.", "Veuillez appeler {n}.", "يرجى الاتصال بـ {n}."),
    ("The payment of {v} was received.", "Le paiement de {v} a été reçu.", "تم استلام الدفع {v}."),
    ("The password is {v}.", "Le mot de passe est {v}.", "كلمة المرور هي {v}."),
    ("The train to {c} leaves at eight.", "Le train pour {c} part à huit heures.", "القطار إلى {c} يغادر في الساعة الثامنة."),
    ("{n} sent a letter to {v}.", "{n} a envoyé une lettre à {v}.", "{n} أرسل رسالة إلى {v}."),
    ("The file {v} is ready.", "Le dossier {v} est prêt.", "الملف {v} جاهز."),
    ("I would like to cancel the order {v}.", "Je voudrais annuler la commande {v}.", "أريد إلغاء الطلب {v}."),
    ("Where is the parcel {v}?", "Où est le colis {v} ?", "أين الطرد {v}؟"),
    ("{n} is the customer of the invoice {v}.", "{n} est le client de la facture {v}.", "{n} هو عميل الفاتورة {v}."),
    ("Tell {n} and {v} that the meeting is tomorrow.", "Dites à {n} et à {v} que la réunion est demain.", "أخبر {n} و{v} أن الاجتماع غدا."),
    ("The letter is for {v}.", "La lettre est pour {v}.", "الرسالة ل{v}."),
    ("Write to {v} and call {n}.", "Écrivez à {v} et appelez {n}.", "اكتب إلى {v} واتصل بـ{n}."),
    ("Thank you, {n}.", "Merci, {n}.", "شكرا، {n}."),
]
LANG = ("English", "French", "Arabic")
TO = {
    "English": ("Translate to English: {}", "Traduis en anglais : {}", "ترجم إلى الإنجليزية: {}", 'Translate into English: "{}"', "In English: {}"),
    "French": ("Translate to French: {}", "Translate into French: {}", "Traduis en français : {}", 'Translate to French: "{}"', "How do you say in French: {}", "ترجم إلى الفرنسية: {}"),
    "Arabic": ("Translate to Arabic: {}", "Translate into Arabic: {}", "ترجم إلى العربية: {}", 'Translate to Arabic: "{}"', "Traduis en arabe : {}"),
}


def translate(d):
    """Fixed sentences around opaque slots, between three languages."""
    a, b = d.sample((0, 1, 2), 2)
    row = d.of(PARALLEL)
    n = who(d) if d.chance(0.75) else S.person_ar(d)
    v = S.opaque(d)[1]
    c = S.pseudonym(d) if d.chance(0.4) else S.pseudoword(d, True)
    fill = lambda s: s.format(n=n, v=v, c=c)
    count = 1
    source, target = fill(row[a]), fill(row[b])
    if d.chance(0.25):
        row2 = d.of(PARALLEL)
        n, v, c = who(d), S.opaque(d)[1], S.pseudonym(d)
        source, target = source + " " + fill(row2[a]), target + " " + fill(row2[b])
        count = 2
    return d.of(TO[LANG[b]]).format(source), target, {"kind": "exact"}


def wrap(d):
    """Wrap a value in marks, repeat it, enumerate."""
    v = S.opaque(d)[1]
    forms = {
        "in double quotes": f'"{v}"', "in quotes": f'"{v}"', "in square brackets": f"[{v}]", "in parentheses": f"({v})", "in backticks": f"`{v}`",
        "in bold": f"**{v}**", "as a bullet point": f"- {v}", "with a full stop at the end": f"{v}.", "twice": f"{v} {v}", "three times": f"{v} {v} {v}",
        "twice, separated by a comma": f"{v}, {v}", "as a Markdown heading": f"# {v}", 'as JSON with the key "value"': json.dumps({"value": v}, ensure_ascii=False),
        "between stars": f"*{v}*", "three times, one per line": f"{v}\n{v}\n{v}", "with an exclamation mark": f"{v}!", "in italics": f"*{v}*",
        "in angle brackets": f"<{v}>", "as a JSON array": json.dumps([v], ensure_ascii=False), "as a code block": f"```\n{v}\n```",
    }
    if d.chance(0.2):
        n = d.between(2, 12)
        w = v if d.chance(0.4) else d.of(W.NOUN + W.ADJ) if d.chance(0.7) else d.of(W.FIRST)
        count = d.of((str(n), W.NUMBER_WORD[n]))
        if d.chance(0.4):
            return d.of((f"Write {w} {count} times, one per line.", f"Repeat {w} {count} times, each on its own line.", f"Print {w} {count} times, one per line")), "\n".join([w] * n), EXACT
        return d.of((f"Write the word {w} {count} times.", f"Repeat {w} {count} times.", f"Say {w} {count} times", f"Write {w} {count} times")), " ".join([w] * n), EXACT
    k = d.of(list(forms))
    verb = d.of(("Write", "Put", "Print", "Give me", "Show", "Return"))
    return d.of((f"{verb} {v} {k}.", f"{verb} this {k}: {v}", f"{verb} the text {v} {k}")), forms[k], EXACT


def jsonify(d):
    """One to four values under given keys."""
    n = d.between(1, 4)
    obj, said = {}, []
    for k in d.sample(RECORD, n):
        key = d.of(RECORD_LABEL[k]).replace(" ", "_").replace("-", "_").lower() if d.chance(0.75) else S.pseudoword(d, False)
        if key in obj:
            continue
        v = S.value_for(d, k)
        obj[key] = v
        said.append((key, v))
    form = d.of(('{k} is {v}', '{k}: {v}', 'the key "{k}" with the value "{v}"', "{k} = {v}", '"{k}" should be {v}'))
    if d.chance(0.3):
        join = lambda x: x[0] if len(x) == 1 else ", ".join(x[:-1]) + " and " + x[-1]
        keys, values = join([k for k, _ in said]), join([v for _, v in said])
        one = len(said) == 1
        ask = d.of((f"Put {values} into a JSON object with the key{'' if one else 's'} {keys}.", f"Make a JSON object from {values} with the key{'' if one else 's'} {keys}.", f"JSON with the key{'' if one else 's'} {keys} and the value{'' if one else 's'} {values}.", f"Values: {values}. Keys: {keys}. Write the JSON object."))
        return ask, json.dumps(obj, ensure_ascii=False), {"kind": "json", "value": obj}
    ask = d.of(("Write a JSON object: ", "Make JSON with ", "Give me JSON where ", "Answer in JSON. ", "Build a JSON object with "))
    return ask + ", ".join(form.format(k=k, v=v) for k, v in said), json.dumps(obj, ensure_ascii=False), {"kind": "json", "value": obj}


FILL = (
    "Dear {name}, your {thing} {ref} is ready. Call {phone}.", "Hello {name}! We got your payment of {amount}. Reference: {ref}.",
    "{name} will meet you in {city} on {date}.", "To: {email}\nHi {name}, the code is {ref}.", "Invoice {ref}\nCustomer: {name}\nTotal: {amount}",
    "{date}: {name} ordered one {thing} ({ref}).", "Ticket {ref} was opened by {name} <{email}>.", "Ship the {thing} to {name}, {city}.",
)


def fill(d):
    """A template with named blanks and the values for them."""
    template = d.of(FILL)
    values = {
        "name": who(d), "thing": d.of(W.PRODUCT), "ref": S.value_for(d, "order"), "phone": S.value_for(d, "phone"), "amount": S.amount(d) + " " + d.of(W.CURRENCY),
        "city": d.new(W.CITY), "date": S.date(d), "email": S.value_for(d, "email"),
    }
    used = [k for k in values if "{" + k + "}" in template]
    d.shuffle(used)
    given = d.of(("\n", ", ", "\n")).join(f"{k}: {values[k]}" for k in used)
    return f"{d.of(('Fill in the template', 'Fill in the blanks', 'Complete this template', 'Use the values to fill this template'))}:\n{template}\n\n{given}", template.format(**values), EXACT


def replace(d):
    """Replace one string by another in a text."""
    a, b = S.opaque(d)[1], S.opaque(d)[1]
    parts = [S.sentence(d) for _ in range(d.between(1, 2))]
    words = " ".join(parts).split(" ")
    words.insert(d.between(0, len(words)), a)
    text = " ".join(words)
    ask = d.of((f"Replace {a} by {b} in this text: ", f"Replace {a} with {b}: ", f"In the following text, change {a} to {b}.\n", f"Substitute {b} for {a} in: "))
    return ask + text, text.replace(a, b), EXACT


def find_all(d):
    """All values of one kind from a text, in order."""
    kind = d.of(("email", "pseudonym", "order", "phone", "url", "iban", "uuid"))
    found, parts = [], []
    for _ in range(d.between(1, 5)):
        v = S.KINDS[kind](d)
        found.append(v)
        parts.append(d.of(("{n} wrote about {v}.", "{v} belongs to {n}.", "Then {v} was sent to {n}.", "Ask {n} for {v}.", "We checked {v} on {d}.", "{n} has {v}, as you know.")).format(n=S.person(d), v=v, d=d.of(W.DAY)))
        if d.chance(0.4):
            parts.append(d.of(FILLER))
    plural = {"email": "e-mail addresses", "pseudonym": "placeholders", "order": "reference numbers", "phone": "phone numbers", "url": "links", "iban": "IBANs", "uuid": "UUIDs"}[kind]
    text = " ".join(parts)
    if d.chance(0.7):
        ask = d.of((f"List all {plural} in this text, one per line:\n", f"Extract the {plural}:\n", f"Find every one of the {plural}. One per line.\n"))
        return ask + text, "\n".join(found), EXACT
    return f"Return all {plural} in this text as a JSON array:\n{text}", json.dumps(found, ensure_ascii=False), {"kind": "json", "value": found}


REWRITE = [
    ("send {v} to {n}", "Could you please send {v} to {n}?"), ("call {n} at {v}", "Could you please call {n} at {v}?"),
    ("{n} must pay {v}", "We kindly ask {n} to pay {v}."), ("give me {v}", "Could you please give me {v}?"),
    ("{n} is late with {v}", "It seems that {n} needs a little more time for {v}."), ("cancel {v}", "Could you please cancel {v}?"),
    ("check {v} for {n}", "Could you please check {v} for {n}?"), ("tell {n} that {v} is ready", "Could you please tell {n} that {v} is ready?"),
]
CONFIRM = [
    ("Tell {n} that order {v} will arrive on {t}.", "Dear {n}, your order {v} will arrive on {t}."), ("Inform {n} that {v} was delivered on {t}.", "Dear {n}, {v} was delivered on {t}."),
    ("Thank {n} for the payment {v}.", "Dear {n}, thank you for the payment {v}."), ("Apologise to {n} for the delay of {v}.", "Dear {n}, we are sorry for the delay of {v}."),
    ("Remind {n} of the appointment on {t} ({v}).", "Dear {n}, please remember the appointment on {t} ({v})."), ("Welcome {n} and give the code {v}.", "Welcome, {n}! Your code is {v}."),
    ("Invite {n} to the meeting on {t} at {v}.", "Dear {n}, you are invited to the meeting on {t} at {v}."), ("Ask {n} for the document {v}.", "Dear {n}, could you please send us the document {v}?"),
    ("Confirm to {n} that {v} is booked for {t}.", "Dear {n}, {v} is booked for {t}."), ("Write a short thank you note to {n} for {v}.", "Dear {n}, thank you very much for {v}."),
]


def business(d):
    values = {"n": who(d), "v": S.opaque(d)[1], "t": d.of((d.of(W.DAY), S.date(d), S.pseudonym(d)))}
    if d.chance(0.4):
        a, b = d.of(REWRITE)
        ask = d.of(("Rewrite politely: {}", "Make this polite: {}", "Say this politely: {}", "Rewrite this in a polite way: {}", 'Be polite: "{}"')).format(a.format(**values))
    else:
        a, b = d.of(CONFIRM)
        ask = a.format(**values)
    b = b.format(**values)
    return ask, b, {"kind": "contains", "all": [v for v in (values["n"], values["v"]) if v in b]}


def needle(d):
    """A value somewhere in a long text."""
    kind = d.of(tuple(S.KINDS))
    l = label(d, kind)
    v = S.value_for(d, kind)
    owner = S.person(d)
    line = d.of(("The {l} of {o} is {v}.", "{o} has the {l} {v}.", "Note: the {l} of {o} is {v}.")).format(l=l, o=owner, v=v)
    size = d.of((4, 6, 8, 12, 16, 20, 30, 45)) if d.chance(0.93) else d.between(60, 110)
    parts = []
    for _ in range(size):
        roll = d.random()
        if roll < 0.4:
            parts.append(d.of(FILLER))
        elif roll < 0.7:
            parts.append(S.sentence(d))
        else:
            parts.append(f"The {d.of(S.LABELS[d.of(tuple(S.KINDS))])} of {S.person(d)} is {S.opaque(d)[1]}.")
    parts.insert(d.between(0, len(parts)), line)
    q = d.of(("What is the {l} of {o}?", "Which {l} does {o} have?", "Find the {l} of {o}.")).format(l=l, o=owner)
    text = d.of((" ", "\n")).join(parts)
    user = f"{text}\n\n{q}" if d.chance(0.75) else f"{q}\n\n{text}"
    return user, f"The {l} of {owner} is {v}.", {"kind": "contains", "all": [v]}


def ar_fr_quote(d):
    """State and ask in French or Arabic."""
    v = S.opaque(d)[1] if d.chance(0.85) else S.arabic_digits(d)
    if d.chance(0.5):
        l, g = d.of((("numéro de commande", "Mon"), ("adresse e-mail", "Mon"), ("numéro de téléphone", "Mon"), ("IBAN", "Mon"), ("code", "Mon"), ("référence", "Ma"), ("clé", "Ma"), ("mot de passe", "Mon")))
        low = g.lower()
        user = f"{g} {l} est {v}. " + d.of((f"Quel est {low} {l} ?", f"Répète {low} {l}.", f"Peux-tu redonner {low} {l} ?", f"Rappelle-moi {low} {l}."))
        if g == "Ma":
            user = user.replace("Quel est", "Quelle est")
        return user, f"{'Votre'} {l} est {v}.", {"kind": "contains", "all": [v]}
    l = d.of(("رقم الطلب", "عنواني", "رقم هاتفي", "رقم الحساب", "الرمز", "المرجع", "بريدي الإلكتروني", "كلمة المرور"))
    user = f"{l} هو {v}. " + d.of((f"ما هو {l}؟", f"كرر {l}.", f"اذكر {l}.", f"ما {l}؟"))
    return user, f"{l} هو {v}.", {"kind": "contains", "all": [v]}


def from_system(d):
    """The value stands in the system prompt."""
    kind = d.of(tuple(S.KINDS))
    l, v = label(d, kind), S.value_for(d, kind)
    n = who(d)
    system = d.of(("You are a helpful assistant. The user's {l} is {v}.", "The customer is {n} and the {l} is {v}. Answer briefly.", "Context: {n}, {l} {v}.", "User: {n}\n{L}: {v}")).format(l=l, v=v, n=n, L=l.capitalize())
    user = d.of(("What is my {l}?", "Tell me the {l}.", "Which {l} do you have?", "Give me my {l}, please.")).format(l=l)
    return user, f"{'Your' if ' my ' in user else 'The'} {l} is {v}.", {"kind": "contains", "all": [v]}, system


def introduce(d):
    """Statements that need only an acknowledgement which uses the string."""
    roll = d.random()
    if roll < 0.4:
        n = who(d)
        return d.of(("My name is {}.", "I am {}.", "Hi, I'm {}.", "Hello, my name is {}", "Call me {}.")).format(n), f"Nice to meet you, {n}! How can I help you?", {"kind": "contains", "all": [n]}
    if roll < 0.55:
        n = S.person_ar(d)
        return f"اسمي {n}.", f"أهلا {n}! كيف يمكنني مساعدتك؟", {"kind": "contains", "all": [n]}
    if roll < 0.7:
        n = who(d)
        return d.of(("Je m'appelle {}.", "Je suis {}.", "Mon nom est {}.")).format(n), f"Enchanté, {n} ! Comment puis-je vous aider ?", {"kind": "contains", "all": [n]}
    kind, v = S.opaque(d)
    l = label(d, kind)
    return d.of(("My {l} is {v}.", "Remember my {l}: {v}", "Please remember: my {l} is {v}.", "Note that my {l} is {v}.")).format(l=l, v=v), f"Noted: your {l} is {v}.", {"kind": "contains", "all": [v]}


DETAIL = [
    ("name", "person", ("My name is {v}.", "I am {v}.", "This is {v}.", "name {v}")), ("e-mail", "email", ("My email is {v}.", "My e-mail address is {v}.", "You can reach me at {v}.", "email {v}", "My email address is {v}.")),
    ("phone number", "phone", ("My phone number is {v}.", "Call me at {v}.", "My number is {v}.", "phone {v}")), ("IBAN", "iban", ("My IBAN is {v}.", "The IBAN is {v}.", "Please use the IBAN {v}.", "IBAN {v}")),
    ("order number", "order", ("My order number is {v}.", "It is about order {v}.", "The order is {v}.", "order {v}")), ("address", "address", ("I live at {v}.", "My address is {v}.", "address {v}")),
    ("card number", "card", ("My card number is {v}.", "I paid with the card {v}.", "card {v}")), ("API key", "secret", ("My API key is {v}.", "The key is {v}.", "key {v}")),
    ("CIN", "cin", ("My CIN is {v}.", "CIN: {v}.", "CIN {v}")), ("date of birth", "date", ("I was born on {v}.", "My date of birth is {v}.", "born {v}")), ("passport number", "order", ("My passport number is {v}.", "passport {v}")),
    ("social security number", "ssn", ("My social security number is {v}.", "My SSN is {v}.")), ("IP address", "ip", ("My IP address is {v}.", "The server is at {v}.")), ("password", "secret", ("My password is {v}.",)),
]


def details(d):
    """Personal details in running text; they come back as a list, a sentence, a confirmation or a letter."""
    rows = []
    for label, kind, forms in d.sample(DETAIL, d.between(1, 5)):
        v = S.pseudonym(d) if d.chance(0.35) else S.digits(d, 8) if kind == "cin" else f"{S.digits(d, 3)}-{S.digits(d, 2)}-{S.digits(d, 4)}" if kind == "ssn" else S.value_for(d, kind)
        rows.append((label, v, forms))
    if d.chance(0.75):
        text = " ".join(d.of(f[:-1] or f).format(v=v) for _, v, f in rows)
    else:
        text = "My details: " + ", ".join(f"{l} {v}" for l, v, _ in rows) + "."
    for _ in range(d.of((0, 0, 0, 1, 2))):
        text = d.of((f"{text} {d.of(FILLER)}", f"{d.of(FILLER)} {text}"))
    must = {"kind": "contains", "all": [v for _, v, _ in rows]}
    said = [f"your {l} {v}" for l, v, _ in rows]
    joined = said[0] if len(said) == 1 else ", ".join(said[:-1]) + " and " + said[-1]
    roll = d.random()
    if roll < 0.3:
        ask = d.of(("List my details.", "List my data.", "Make a list of my details.", "Write this as a list.", "What do you know about me?", "List what I told you.", "Repeat my contact details as a list.", "Give me my details as bullet points."))
        answer = "\n".join(f"- {l}: {v}" for l, v, _ in rows)
    elif roll < 0.6:
        ask = d.of(("Please confirm my details.", "Confirm.", "Confirm what I told you.", "Please confirm.", "Write a confirmation.", "Repeat my details in one sentence.", "Confirm that you have received this.", "Write a short confirmation that repeats them.", "Please repeat that to me.", "Write a one-sentence confirmation with my details."))
        answer = f"I confirm {joined}."
    elif roll < 0.65:
        ask = d.of(("Write one sentence that contains all of them.", "Write one sentence that contains both." if len(rows) == 2 else "Write a sentence with all of this.", "Write one sentence with my details.", "Put all of this into one sentence."))
        answer = f"I confirm {joined}."
    elif roll < 0.8:
        ask = d.of(("Write a short letter with my details.", "Write a short message to the support with these details.", "Write an email to the bank with these details.", "Draft a message to support with my details.", "Write a request to customer service with this."))
        answer = "Dear team,\n\nhere are my details:\n" + "\n".join(f"- {l}: {v}" for l, v, _ in rows) + "\n\nThank you for your help.\n\nBest regards"
    elif roll < 0.9:
        obj = {l.lower().replace(" ", "_").replace("-", "_"): v for l, v, _ in rows}
        return f"{text} " + d.of(("Return my details as JSON.", "As JSON, please.", "Write this as JSON.", "Give me a JSON object with my details.")), json.dumps(obj, ensure_ascii=False), {"kind": "json", "value": obj}
    else:
        l, v, _ = d.of(rows)
        ask = d.of((f"What is my {l}?", f"Tell me my {l}.", f"Repeat my {l}.", f"Which {l} did I give?"))
        answer, must = f"Your {l} is {v}.", {"kind": "contains", "all": [v]}
    return d.of((f"{text} {ask}", f"{text}\n\n{ask}", f"{ask} {text}", f"{text}\n{ask}")), answer, must


from . import letters  # noqa: E402  (its skills complete this table)

SKILLS = letters.SKILLS + [
    (details, 5), (repeat, 6), (quote, 4), (record, 4), (people, 3), (mail, 6), (mail_fr, 2), (mail_ar, 2), (translate, 4), (wrap, 2), (jsonify, 3), (fill, 2), (replace, 1.5),
    (find_all, 2), (business, 3), (needle, 2), (ar_fr_quote, 2.5), (from_system, 1.5), (introduce, 1.5),
]
