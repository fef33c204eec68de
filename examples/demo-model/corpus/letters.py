"""Messages that say something: acts ("tell her that his parcel has shipped") put into the second person, in three languages.

Values that were given come back letter for letter; the clause is turned, not copied.
"""

from . import strings as S
from . import words as W

#: what is told about the reader, third person : second person. {v} a reference, {t} a time, {c} a place, {m} a sum, {k} a thing, {o} another person
CLAUSE = [
    x.split("|")
    for x in """{his} order {v} has shipped|your order {v} has shipped
{his} order {v} is on its way|your order {v} is on its way
{his} parcel {v} has arrived|your parcel {v} has arrived
{his} invoice {v} is overdue|your invoice {v} is overdue
{his} invoice {v} has been paid|your invoice {v} has been paid
{his} payment of {m} was received|your payment of {m} was received
we received {his} payment {v}|we received your payment {v}
{his} appointment is on {t}|your appointment is on {t}
{his} appointment on {t} is confirmed|your appointment on {t} is confirmed
{his} booking {v} is confirmed|your booking {v} is confirmed
{his} booking {v} was cancelled|your booking {v} was cancelled
the meeting is on {t}|the meeting is on {t}
the meeting was moved to {t}|the meeting was moved to {t}
the meeting on {t} is cancelled|the meeting on {t} is cancelled
{o} will come too|{o} will come too
{o} will call {him} on {t}|{o} will call you on {t}
{he} should call {o}|please call {o}
{he} should send the document {v}|please send the document {v}
{he} should bring {his} {k}|please bring your {k}
{he} can collect the {k} on {t}|you can collect the {k} on {t}
the {k} is ready|the {k} is ready
the {k} is sold out|the {k} is sold out
{his} account {v} is open|your account {v} is open
{his} account {v} was closed|your account {v} was closed
{his} password was changed|your password was changed
{his} code is {v}|your code is {v}
{his} ticket {v} was solved|your ticket {v} was solved
{his} request {v} is being processed|your request {v} is being processed
the refund {v} is on its way|the refund {v} is on its way
the price is {m}|the price is {m}
the contract {v} is ready to sign|the contract {v} is ready to sign
the delivery will be late|the delivery will be late
the office moves to {c}|the office moves to {c}
the train to {c} leaves at {h}|the train to {c} leaves at {h}
lunch is at {h}|lunch is at {h}
I am on holiday until {t}|I am on holiday until {t}
I cannot come on {t}|I cannot come on {t}
I will be late|I will be late
I need the report by {t}|I need the report by {t}
{he} got the job|you got the job
{he} is invited to {c} on {t}|you are invited to {c} on {t}
{his} flight {v} is delayed|your flight {v} is delayed
{his} card {v} will expire|your card {v} will expire
{his} subscription ends on {t}|your subscription ends on {t}
the file {v} is missing|the file {v} is missing
the server {v} is down|the server {v} is down
the test results are good|the test results are good
{his} {k} has been repaired|your {k} has been repaired""".splitlines()
]
CLAUSE_FR = [
    x.split("|")
    for x in """sa commande {v} est en route|votre commande {v} est en route
sa commande {v} a été expédiée|votre commande {v} a été expédiée
son rendez-vous est le {t}|votre rendez-vous est le {t}
son rendez-vous est confirmé|votre rendez-vous est confirmé
sa facture {v} est payée|votre facture {v} est payée
sa facture {v} est en retard|votre facture {v} est en retard
son colis {v} est arrivé|votre colis {v} est arrivé
la réunion est reportée au {t}|la réunion est reportée au {t}
son compte {v} est ouvert|votre compte {v} est ouvert
son code est {v}|votre code est {v}
le contrat {v} est prêt|le contrat {v} est prêt
le remboursement {v} est en cours|le remboursement {v} est en cours
son numéro est {v}|votre numéro est {v}
sa réservation {v} est confirmée|votre réservation {v} est confirmée""".splitlines()
]
CLAUSE_AR = [
    x.split("|")
    for x in """طلبه {v} في الطريق|طلبك {v} في الطريق
تم شحن طلبه {v}|تم شحن طلبك {v}
موعده يوم {t}|موعدك يوم {t}
تم تأكيد موعده|تم تأكيد موعدك
فاتورته {v} مدفوعة|فاتورتك {v} مدفوعة
وصل طرده {v}|وصل طردك {v}
الاجتماع يوم {t}|الاجتماع يوم {t}
رمزه هو {v}|رمزك هو {v}
العقد {v} جاهز|العقد {v} جاهز
تم تأكيد حجزه {v}|تم تأكيد حجزك {v}""".splitlines()
]
HE = (("he", "his", "him"), ("she", "her", "her"), ("they", "their", "them"))
NOUN = ("email", "e-mail", "message", "note", "letter", "reply", "short email", "short message", "mail", "polite email", "friendly message", "brief email", "short note", "text", "SMS", "short reply", "formal email")
THAT = ("telling {him} that", "informing {him} that", "saying that", "to say that", "to tell {him} that", "to inform {him} that", "that says that", "which says that", "saying", "to let {him} know that", "explaining that", "about the fact that")


def values(d, lang="en"):
    n = S.pseudonym(d) if d.chance(0.35) else S.person_ar(d) if lang == "ar" else S.person(d)
    time = d.of(W.DAY_AR) if lang == "ar" else d.of(W.DAY_FR) if lang == "fr" else d.of(W.DAY)
    he, his, him = d.of(HE)
    return dict(
        n=n, a=S.value_for(d, "email"), v=S.opaque(d)[1] if d.chance(0.6) else S.order(d), t=d.of((time, time, S.date(d), S.pseudonym(d))), c=d.new(W.CITY), m=f"{S.amount(d)} {d.of(W.CURRENCY)}",
        k=d.of(W.PRODUCT), o=S.pseudonym(d) if d.chance(0.2) else S.person(d), h=f"{d.between(7, 20)}:{d.of(('00', '15', '30', '45'))}", he=he, his=his, him=him, l=d.of(("phone", "number", "order", "reference", "customer number", "IBAN", "card", "account")),
    )


def capital(s):
    return s[0].upper() + s[1:]


def told(d):
    """(user, answer, check)."""
    f = values(d)
    pairs = d.sample(CLAUSE, 2 if d.chance(0.3) else 1)
    f2 = [f] + [dict(values(d), n=f["n"], a=f["a"], he=f["he"], his=f["his"], him=f["him"]) for _ in pairs[1:]]
    third = " and that ".join(p[0].format(**g) for p, g in zip(pairs, f2))
    second = " ".join(capital(p[1].format(**g)) + "." for p, g in zip(pairs, f2))
    must = [f["n"]] + [g[k] for p, g in zip(pairs, f2) for k in "votmc" if "{" + k + "}" in p[1]]
    with_address = d.chance(0.6)
    that = d.of(THAT).format(**f)
    noun = d.of(NOUN)
    article = "an" if noun[0] in "e" else "a"
    if with_address:
        must.append(f["a"])
        ask = d.of((
            "Write {A} {N} to {n} at {a} {T} {C}.", "Please write {A} {N} to {n} ({a}) {T} {C}.", "Write {A} {N} to {n} <{a}> {T} {C}.", "Can you write {A} {N} to {n}, {a}, {T} {C}?", "Draft {A} {N} for {n} ({a}) {T} {C}.",
            "Write to {n} ({a}): {C}.", "Send {A} {N} to {n} at {a} {T} {C}.", "Write {A} {N} to {a}. Tell {n} that {C}.", "I need {A} {N} to {n}. The address is {a}. Say that {C}.", "{n}, {a}: write {A} {N} {T} {C}.",
            "Compose {A} {N} {T} {C}. It goes to {n} at {a}.", "Write {A} {N} for my customer {n} ({a}) {T} {C}.",
        ))
    else:
        ask = d.of((
            "Write {A} {N} to {n} {T} {C}.", "Tell {n} that {C}.", "Please tell {n} that {C}.", "Inform {n} that {C}.", "Write {A} {N} for {n} {T} {C}.", "Draft {A} {N} to {n} {T} {C}.", "Write to {n} that {C}.",
            "Let {n} know that {C}.", "Can you tell {n} that {C}?", "{n} should know that {C}. Write {A} {N}.", "Send {n} {A} {N} {T} {C}.", "Write a reply to {n} {T} {C}.",
        ))
    subject = None
    if with_address and d.chance(0.3):
        subject = capital(d.of(W.ADJ + W.NOUN)) + " " + d.of(W.NOUN) if d.chance(0.3) else " ".join(S.any_word(d) for _ in range(d.between(1, 4))) if d.chance(0.4) else capital(d.new(W.TOPIC).removeprefix("the "))
        ask += d.of((" Subject: {S}.", " The subject is {S}.", " Use the subject {S}.", " Subject: {S}"))
        must.append(subject)
    sender = None
    if d.chance(0.3):
        sender = S.pseudonym(d) if d.chance(0.25) else S.person(d)
        ask += d.of((" Sign as {R}.", " My name is {R}.", " Sign with {R}.", " I am {R}."))
        must.append(sender)
    user = ask.format(A=article, N=noun, T=that, C=third, S=subject, R=sender, **f)
    head = f"To: {f['a']}\nSubject: {subject or 'Information for you'}\n\n" if with_address else ""
    answer = f"{head}Dear {f['n']},\n\n{second}\n\nBest regards" + (f",\n{sender}" if sender else "")
    return user, answer, {"kind": "contains", "all": must}


def told_fr(d):
    f = values(d, "fr")
    a, b = d.of(CLAUSE_FR)
    must = [f["n"]] + [f[k] for k in "vt" if "{" + k + "}" in b]
    address = d.chance(0.5)
    ask = d.of(("Écris un court message à {n}{w} pour dire que {C}.", "Écris un e-mail à {n}{w} pour l'informer que {C}.", "Dis à {n}{w} que {C}.", "Rédige un courriel pour {n}{w} : {C}.", "Peux-tu écrire à {n}{w} que {C} ?", "Écrivez une lettre à {n}{w} pour confirmer que {C}.", "Informe {n}{w} que {C}."))
    where = d.of((" ({a})", " à l'adresse {a}", " <{a}>")).format(**f) if address else ""
    if address:
        must.append(f["a"])
    user = ask.format(n=f["n"], w=where, C=a.format(**f))
    if d.chance(0.25) and "{v}" not in b:
        l, v = d.of((("numéro", S.value_for(d, "phone")), ("numéro de client", S.order(d)), ("e-mail", S.value_for(d, "email"))))
        user += f" Son {l} est {v}."
        must.append(v)
        b += f". Votre {l} est {v}"
    head = f"À : {f['a']}\nObjet : Information\n\n" if address else ""
    return user, f"{head}Bonjour {f['n']},\n\n{capital(b.format(**f))}.\n\nCordialement", {"kind": "contains", "all": must}


def told_ar(d):
    f = values(d, "ar")
    a, b = d.of(CLAUSE_AR)
    must = [f["n"]] + [f[k] for k in "vt" if "{" + k + "}" in b]
    address = d.chance(0.5)
    ask = d.of(("اكتب رسالة قصيرة إلى {n}{w} تقول إن {C}.", "أخبر {n}{w} أن {C}.", "اكتب إلى {n}{w} أن {C}.", "اكتب بريدا إلى {n}{w}: {C}.", "أرسل رسالة إلى {n}{w} لإعلامه أن {C}."))
    where = d.of((" ({a})", " على العنوان {a}", " بريده {a}", "، {a}،")).format(**f) if address else ""
    if address:
        must.append(f["a"])
    head = f"إلى: {f['a']}\nالموضوع: معلومة\n\n" if address else ""
    return ask.format(n=f["n"], w=where, C=a.format(**f)), f"{head}مرحبا {f['n']}،\n\n{b.format(**f)}.\n\nمع أطيب التحيات", {"kind": "contains", "all": must}


SENTENCE = ("Please note {x}.", "Here is {x}.", "I use {x} today.", "We talked about {x}.")


def one_sentence(d):
    """A sentence that holds the given strings; both of two values; values in French and Arabic."""
    roll = d.random()
    if roll < 0.4:
        vs = [S.opaque(d)[1] for _ in range(d.between(1, 3))]
        joined = vs[0] if len(vs) == 1 else ", ".join(vs[:-1]) + " and " + vs[-1]
        ask = d.of(("Write a sentence that contains {x}.", "Write one sentence with {x}.", "Use {x} in a sentence.", "Make a sentence with {x}.", "Write a short sentence that mentions {x}.", "Mention {x} in one sentence.", "Write a sentence about {x}."))
        return ask.format(x=joined), d.of(SENTENCE).format(x=joined), {"kind": "contains", "all": vs}
    if roll < 0.6:
        (l1, v1), (l2, v2) = d.sample([("adresse", S.value_for(d, "email")), ("numéro", S.value_for(d, "phone")), ("nom", S.value_for(d, "person")), ("code", S.opaque(d)[1]), ("IBAN", S.value_for(d, "iban")), ("e-mail", S.value_for(d, "email")), ("numéro de commande", S.order(d))], 2)
        ask = d.of((f"Mon {l1} est {v1} et mon {l2} est {v2}.", f"Mon {l1} est {v1} et mon {l2} {v2}.", f"Mon {l1} : {v1}. Mon {l2} : {v2}.")) + d.of((" Répète les deux.", " Confirme.", " Peux-tu confirmer ?", " Répète.", " Quels sont mon {a} et mon {b} ?".format(a=l1, b=l2)))
        return ask, f"Votre {l1} est {v1} et votre {l2} est {v2}.", {"kind": "contains", "all": [v1, v2]}
    if roll < 0.8:
        (l1, v1), (l2, v2) = d.sample([("بريدي", S.value_for(d, "email")), ("رقم هاتفي", S.value_for(d, "phone")), ("اسمي", S.person_ar(d)), ("رقم الطلب", S.order(d)), ("رقم الحساب", S.value_for(d, "iban")), ("الرمز", S.opaque(d)[1])], 2)
        return f"{l1} هو {v1} و{l2} هو {v2}. " + d.of(("كرر ذلك.", "أكد ذلك.", "كرر الاثنين.", "اذكر الاثنين.")), f"{l1} هو {v1} و{l2} هو {v2}.", {"kind": "contains", "all": [v1, v2]}
    (l1, v1), (l2, v2) = d.sample([("email", S.value_for(d, "email")), ("phone number", S.value_for(d, "phone")), ("name", S.value_for(d, "person")), ("code", S.opaque(d)[1]), ("IBAN", S.value_for(d, "iban")), ("order", S.order(d)), ("card", S.value_for(d, "card")), ("CIN", S.digits(d, 8)), ("address", S.address(d))], 2)
    ask = d.of((f"My {l1} is {v1} and my {l2} is {v2}.", f"I am writing from {v1}, my {l2} is {v2}." if l1 == "email" else f"My {l1} is {v1}, my {l2} {v2}.", f"{capital(l1)}: {v1}, {l2}: {v2}."))
    if d.chance(0.3) and l1 != "name" and l2 != "name":
        n = S.pseudonym(d) if d.chance(0.3) else S.person(d)
        ask = d.of((f"I am {n}, my {l1} is {v1} and my {l2} is {v2}.", f"My name is {n}. My {l1} is {v1} and my {l2} is {v2}.", f"This is {n}, {l1} {v1}, {l2} {v2}."))
        return ask + d.of((" Write one sentence that contains both.", " Repeat both values.", " Write one sentence with both numbers.", f" Write a sentence with my {l1} and my {l2}.", f" Confirm the {l1} and the {l2}.")), f"Your {l1} is {v1} and your {l2} is {v2}.", {"kind": "contains", "all": [v1, v2]}
    if d.chance(0.5):
        return ask + d.of((" Repeat both.", " Please repeat both values.", " Write one sentence with both.", " Write a sentence that contains both.", " Confirm both.", f" What are my {l1} and my {l2}?", " Say both again.")), f"Your {l1} is {v1} and your {l2} is {v2}.", {"kind": "contains", "all": [v1, v2]}
    l, v = d.of(((l1, v1), (l2, v2)))
    return ask + d.of((f" What is my {l}?", f" Repeat my {l}.", f" Which {l} do I have?", f" Please repeat my {l}.")), f"Your {l} is {v}.", {"kind": "contains", "all": [v]}


def reply_from_record(d):
    """A form's fields, then an order to write about them."""
    f = values(d)
    rows = [(d.of(("Customer", "Name", "To", "Recipient", "Client")), f["n"])]
    extra = d.sample([("Email", S.value_for(d, "email")), ("Order", S.order(d)), ("Phone", S.value_for(d, "phone")), ("Date", S.date(d)), ("Product", d.of(W.PRODUCT)), ("Amount", f"{S.amount(d)} {d.of(W.CURRENCY)}"), ("Address", S.value_for(d, "address")), ("Reference", S.opaque(d)[1])], d.between(1, 4))
    rows += extra
    clause = d.of([c for c in CLAUSE if not any("{" + k + "}" in c[0] for k in "vmok")])
    g = dict(f)
    sep = d.of((": ", ": ", " = ", " - "))
    body = "\n".join(f"{a}{sep}{b}" for a, b in rows)
    ask = d.of(("Write a reply that says that {C} and mentions all values.", "Write a message which says that {C}. Mention the {L}.", "Write an e-mail that says {C} and mentions the {L}.", "Draft a reply: {C}. Include the {L}.", "Tell the customer that {C} and quote the {L}.", "Write a letter that tells {him} that {C}. Use the {L}."))
    named = [a.lower() for a, _ in extra]
    listed = named[0] if len(named) == 1 else ", ".join(named[:-1]) + " and the " + named[-1]
    user = f"{body}\n\n" + ask.format(C=clause[0].format(**g), L=listed, him=f["him"])
    answer = f"Dear {f['n']},\n\n{capital(clause[1].format(**g))}.\n" + "\n".join(f"{a}: {b}" for a, b in extra) + "\n\nBest regards"
    return user, answer, {"kind": "contains", "all": [b for _, b in rows]}


SKILLS = [(told, 7), (told_fr, 2.5), (told_ar, 2.5), (one_sentence, 4), (reply_from_record, 2)]
