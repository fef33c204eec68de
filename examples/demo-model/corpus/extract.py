"""Extraction to JSON under a schema, and classification."""

import json

from . import copying as C
from . import strings as S
from . import words as W

#: field: (kind of JSON value, key synonyms, sentences with {v}, description)
FIELDS = {
    "person": ("string", ("name", "full_name", "customer", "person", "customer_name", "contact", "client", "sender"),
               ("My name is {v}.", "I am {v}.", "This is {v}.", "Hi, this is {v}.", "Regards, {v}", "I'm {v}.", "{v} wrote to us.", "The customer is {v}.", "Name: {v}.", "Je m'appelle {v}.", "اسمي {v}."), "name of the person"),
    "email": ("string", ("email", "email_address", "mail", "contact_email", "e_mail"),
              ("My email is {v}.", "You can write to {v}.", "Write me at {v} please.", "Reach me at {v}.", "Contact: {v}", "E-mail: {v}.", "The address {v} works best.", "Mon e-mail est {v}.", "بريدي الإلكتروني هو {v}."), "e-mail address"),
    "phone": ("string", ("phone", "phone_number", "telephone", "mobile", "tel"),
              ("Call me at {v}.", "Give me a call on {v}.", "My phone number is {v}.", "Phone: {v}.", "Reach me on {v}.", "Mon téléphone est le {v}.", "هاتفي {v}."), "phone number"),
    "city": ("string", ("city", "town", "location", "place", "destination"),
             ("I live in {v}.", "I am in {v}.", "City: {v}.", "We are based in {v}.", "J'habite à {v}.", "أسكن في {v}."), "city"),
    "age": ("integer", ("age", "years", "age_years"), ("I am {v} years old.", "Age: {v}.", "I turned {v} last week.", "J'ai {v} ans.", "عمري {v} سنة."), "age in years"),
    "job": ("string", ("job", "occupation", "profession", "role"), ("I work as a {v}.", "My job is {v}.", "Occupation: {v}.", "I have been a {v} for years."), "occupation"),
    "company": ("string", ("company", "employer", "organization", "organisation", "firm"), ("I work at {v}.", "Company: {v}.", "I represent {v}.", "Je travaille chez {v}."), "company"),
    "order": ("string", ("order_id", "order_number", "order", "reference", "invoice_number", "ticket"),
              ("My order number is {v}.", "The reference is {v}.", "It is about order {v}.", "Order: {v}.", "Ma commande est {v}.", "رقم الطلب {v}."), "order number"),
    "product": ("string", ("product", "item", "article", "product_name"), ("I bought a {v}.", "The product is a {v}.", "It is about the {v}.", "Item: {v}."), "product"),
    "quantity": ("integer", ("quantity", "count", "number", "units", "qty"), ("I need {v} pieces.", "Quantity: {v}.", "Please send {v} of them.", "I want {v} units."), "how many"),
    "price": ("number", ("price", "amount", "total", "cost"), ("The price was {v} euros.", "It cost {v} dollars.", "Total: {v}.", "I paid {v}."), "price"),
    "date": ("string", ("date", "due_date", "day", "delivery_date", "when"), ("The date is {v}.", "It must arrive by {v}.", "Date: {v}.", "Let us meet on {v}.", "La date est {v}."), "date"),
    "color": ("string", ("color", "colour"), ("I want it in {v}.", "The colour is {v}.", "Colour: {v}.", "Mine is {v}."), "colour"),
    "urgent": ("boolean", ("urgent", "is_urgent", "priority", "express"), None, "whether it is urgent"),
    "iban": ("string", ("iban", "account", "bank_account"), ("My IBAN is {v}.", "Account: {v}.", "Please transfer it to {v}.", "Mon IBAN est {v}."), "bank account"),
    "code": ("string", ("code", "key", "token", "id", "identifier"), ("The code is {v}.", "Use the key {v}.", "Id: {v}.", "It is marked {v}."), "code"),
    "animal": ("string", ("pet", "animal"), ("I have a {v}.", "My pet is a {v}.", "Animal: {v}."), "animal"),
    "items": ("array", ("items", "products", "things", "list"), ("I need {v}.", "Please bring {v}.", "The list has {v}."), "list of things"),
}
URGENT = {True: ("This is urgent!", "It is urgent.", "Please hurry, it is urgent."), False: ("It is not urgent.", "There is no hurry.", "Take your time, it is not urgent.")}
NAMES = list(FIELDS)


def field_value(d, name):
    """(JSON value, text in the sentence)."""
    if name == "age":
        v = d.between(1, 99)
    elif name == "quantity":
        v = d.between(1, 500)
    elif name == "price":
        v = d.between(1, 999) if d.chance(0.5) else d.between(100, 99999) / 100
    elif name == "urgent":
        return d.chance(0.5), ""
    elif name == "items":
        v = d.sample(W.PRODUCT + W.NOUN, d.between(1, 4))
        return v, v[0] if len(v) == 1 else ", ".join(v[:-1]) + " and " + v[-1]
    elif name == "city":
        v = S.pseudonym(d) if d.chance(0.15) else d.new(W.CITY)
    elif name == "job":
        v = d.new(W.JOB)
    elif name == "company":
        v = S.pseudoword(d, True) if d.chance(0.3) else f"{d.of(W.COMPANY_A)} {d.of(W.COMPANY_B)}"
    elif name == "product":
        v = d.new(W.PRODUCT)
    elif name == "color":
        v = d.new(W.COLOUR)
    elif name == "animal":
        v = d.new(W.ANIMAL)
    elif name == "code":
        v = S.opaque(d)[1]
    else:
        v = S.value_for(d, name)
    return v, str(v)


def case(d, key):
    """The key in one of the usual spellings."""
    roll = d.random()
    if roll < 0.7:
        return key
    if roll < 0.8:
        return "".join(p.capitalize() if i else p for i, p in enumerate(key.split("_")))
    if roll < 0.87:
        return key.upper()
    if roll < 0.94:
        return key.replace("_", "-")
    return "".join(p.capitalize() for p in key.split("_"))


def scene(d, least=2, most=6):
    """(text, [(field, key, value or None)]): what is said and what is asked for."""
    said = d.sample(NAMES, d.between(least, most))
    asked = d.sample(said, d.between(1, len(said)))
    parts, values = [], {}
    for name in said:
        v, text = field_value(d, name)
        values[name] = v
        if name == "urgent":
            parts.append(d.of(URGENT[v]))
        else:
            sentences = FIELDS[name][2]
            limit = len(sentences) if d.chance(0.4) else min(len(sentences), 5)
            parts.append(S.article(sentences[d.between(0, limit - 1)], text).format(v=text))
    for _ in range(d.of((0, 0, 0, 1, 2))):
        parts.insert(d.between(0, len(parts)), d.of(C.FILLER))
    rows, keys = [], set()
    for name in asked:
        key = case(d, d.of(FIELDS[name][1]))
        if key not in keys:
            keys.add(key)
            rows.append((name, key, values[name]))
    if d.chance(0.15):
        missing = d.of([n for n in NAMES if n not in said and n != "urgent"])
        key = d.of(FIELDS[missing][1])
        if key not in keys:
            rows.insert(d.between(0, len(rows)), (missing, key, None))
    if d.chance(0.15):
        # One long sentence.
        text = ", ".join(p.rstrip(".!") if i == 0 or not p[:1].isupper() or p[:2] in ("I ", "I'") else p[0].lower() + p[1:].rstrip(".!") for i, p in enumerate(parts))
        return text + d.of((".", "", " please.", "!")), rows
    return d.of((" ", " ", "\n")).join(parts), rows


def schema_of(d, rows, described=None):
    """JSON Schema of the rows."""
    described = d.chance(0.5) if described is None else described
    props = {}
    for name, key, value in rows:
        kind = FIELDS[name][0]
        p = {"type": [kind, "null"] if value is None else kind}
        if kind == "array":
            p["items"] = {"type": "string"}
        if described:
            p["description"] = FIELDS[name][3]
        props[key] = p
    schema = {"type": "object", "properties": props}
    if d.chance(0.7):
        schema["required"] = list(props)
    if d.chance(0.4):
        schema["additionalProperties"] = False
    return schema


def json_extract(d):
    """(user, answer, check[, system])."""
    text, rows = scene(d)
    described = d.chance(0.12)
    if described:
        # Keys that mean nothing: only their descriptions say what is wanted.
        rows = [(n, S.pseudoword(d, False) + str(i), v) for i, (n, _, v) in enumerate(rows)]
    obj = {key: value for _, key, value in rows}
    answer = json.dumps(obj, ensure_ascii=False)
    check = {"kind": "json", "value": obj}
    keys = [k for _, k, _ in rows]
    listed = ", ".join(keys)
    roll = d.random()
    if roll < 0.3 and not described:
        ask = d.of((
            "Extract {k} from this text as JSON: {t}", "Extract {k} as JSON.\n\n{t}", "Return a JSON object with the keys {k}.\n\n{t}",
            "Text: {t}\n\nGive me JSON with {k}.", "{t}\n\nExtract the fields {k} and answer in JSON.", "From the text below, extract: {k}. Answer only with JSON.\n\n{t}",
            "Extract the following fields to JSON: {k}\n{t}", "JSON with {k} from: {t}", "Convert to JSON with fields {k}: {t}",
            "Extrais {k} en JSON : {t}", "استخرج {k} على شكل JSON: {t}",
        ))
        return ask.format(k=listed, t=text), answer, check
    if roll < 0.42 and not described:
        # Keys in words.
        spoken = [k.replace("_", " ").lower() for k in keys]
        plain = {k.replace(" ", "_"): v for k, v in zip(spoken, obj.values())}
        if len(plain) == len(spoken) and "-" not in "".join(spoken):
            words = spoken[0] if len(spoken) == 1 else ", ".join(spoken[:-1]) + " and " + spoken[-1]
            text = d.of(('"{}"', "{}", "'{}'", "{}")).format(text)
            ask = d.of((
                "Extract the {k} from: {t} Return JSON.", "Extract the {k} from this text and return JSON: {t}", "Get the {k} from {t} as JSON.", "What are the {k} in this text? Answer in JSON.\n{t}", "From {t} extract {k}. JSON only.",
                "Find the {k} and write them as JSON:\n{t}", "{t}\nExtract {k}, JSON please.", "Parse the {k} out of this message and return a JSON object: {t}", "I need the {k} as JSON: {t}",
            ))
            return ask.format(k=words, t=text), json.dumps(plain, ensure_ascii=False), {"kind": "json", "value": plain}
    schema = C.json.dumps(schema_of(d, rows, True if described else None), ensure_ascii=False, indent=d.of((None, None, 2)))
    if roll < 0.65:
        ask = d.of((
            "Extract the data as JSON with this schema:\n{s}\n\n{t}", "Schema: {s}\nText: {t}\nJSON:", "Answer with a JSON object that follows this schema: {s}\n\n{t}",
            "{t}\n\nReturn JSON that matches this schema:\n{s}", "Use the JSON schema below.\n{s}\n\nText: {t}", "Fill this schema from the text.\n{s}\n{t}",
        ))
        return ask.format(s=schema, t=text), answer, check
    if roll < 0.85:
        system = d.of((
            "Extract data from the user's message. Answer with JSON that matches this schema:\n{s}", "You are an extraction service. Reply only with JSON for this schema: {s}",
            "Answer in JSON. Schema: {s}", "Respond with a JSON object that conforms to this JSON schema:\n{s}",
        )).format(s=schema)
        return text, answer, check, system
    example = json.dumps({k: {"string": "...", "integer": 0, "number": 0.0, "boolean": True, "array": ["..."]}[FIELDS[n][0]] for n, k, _ in rows}, ensure_ascii=False)
    if described:
        return f"Schema: {schema}\nText: {text}", answer, check
    ask = d.of(("Extract to JSON like {e}:\n{t}", "{t}\n\nAnswer in this format: {e}", "Format: {e}\nText: {t}"))
    return ask.format(e=example, t=text), answer, check


def record_list(d):
    """Several people to a JSON array of objects."""
    fields = d.sample(["person", "age", "city", "email", "job", "phone", "order"], d.between(2, 3))
    keys = [d.of(FIELDS[f][1]) for f in fields]
    if len(set(keys)) < len(keys):
        keys = [FIELDS[f][1][0] for f in fields]
    rows, lines = [], []
    for _ in range(d.between(2, 4)):
        values = [field_value(d, f)[0] for f in fields]
        rows.append(dict(zip(keys, values)))
        lines.append(", ".join(str(v) for v in values))
    body = d.of(("\n", "; ")).join(lines)
    ask = d.of((f"Make a JSON array of objects with the keys {', '.join(keys)}:\n{body}", f"Convert to a JSON list ({', '.join(keys)}):\n{body}", f"{body}\n\nAs a JSON array with {', '.join(keys)}."))
    return ask, json.dumps(rows, ensure_ascii=False), {"kind": "json", "value": rows}


CLASS = {
    "sentiment": ("positive", "negative", "neutral"),
    "language": ("English", "French", "Arabic"),
    "topic": ("payment", "delivery", "account", "product"),
}
SENTIMENT = {
    "positive": ("I love this {p}.", "The {p} is wonderful!", "Great {p}, thank you.", "I am very happy with the {p}.", "The {p} works perfectly.", "Excellent service and a beautiful {p}!"),
    "negative": ("I hate this {p}.", "The {p} is terrible.", "The {p} broke after a day.", "I am very unhappy with the {p}.", "The {p} does not work.", "Awful {p}, I want my money back."),
    "neutral": ("The {p} arrived on {d}.", "I ordered a {p}.", "The {p} is {c}.", "The {p} has a box.", "This is a {p}."),
}
TOPIC = {
    "payment": ("I was charged twice for the {p}.", "When will I get my refund for the {p}?", "The invoice for the {p} is wrong.", "My card was refused."),
    "delivery": ("Where is my parcel with the {p}?", "The {p} has not arrived.", "The {p} was sent to the wrong address.", "The courier did not ring."),
    "account": ("I cannot log in.", "I forgot my password.", "Please delete my account.", "How do I change my e-mail address?"),
    "product": ("The {p} is broken.", "How do I use the {p}?", "Does the {p} come in {c}?", "The {p} makes a strange noise."),
}
LANGUAGE = {
    "English": lambda d: S.sentence(d) if d.chance(0.4) else d.of(C.FILLER),
    "French": lambda d: d.of(C.PARALLEL)[1].format(n=S.person(d), v=S.opaque(d)[1], c=d.of(W.CITY)),
    "Arabic": lambda d: d.of(C.PARALLEL)[2].format(n=S.person(d), v=S.opaque(d)[1], c=d.of(W.CITY)),
}


def classify(d):
    kind = d.of(tuple(CLASS))
    answer = d.of(CLASS[kind])
    if kind == "language":
        text = LANGUAGE[answer](d)
    else:
        text = d.of((SENTIMENT if kind == "sentiment" else TOPIC)[answer]).format(p=d.new(W.PRODUCT), d=d.of(W.DAY), c=d.of(W.COLOUR))
    if d.chance(0.3):
        text += " " + d.of(("Order {o}.", "My name is {n}.", "Regards, {n}")).format(o=S.order(d), n=S.person(d)) if kind == "topic" else ""
    options = list(CLASS[kind])
    d.shuffle(options)
    o = ", ".join(options)
    as_json = d.chance(0.3)
    ask = {
        "sentiment": (f"Is this positive, negative or neutral? {text}", f"Classify the sentiment ({o}): {text}", f"What is the sentiment of this text? Choose from {o}.\n{text}", f"Sentiment of: \"{text}\""),
        "language": (f"Which language is this? {text}", f"What language is this text in?\n{text}", f"Language ({o}): {text}"),
        "topic": (f"Classify this message as one of {o}:\n{text}", f"Topic ({o}): {text}", f"Which category fits: {o}?\n{text}"),
    }[kind]
    user = d.of(ask)
    if as_json:
        user += f'\nAnswer as JSON with the key "{kind}".'
        return user, json.dumps({kind: answer}), {"kind": "json", "value": {kind: answer}}
    return user, answer[0].upper() + answer[1:], {"kind": "exact"}


def json_invent(d):
    """JSON about nothing given: example objects and arrays."""
    from . import world

    if d.chance(0.4):
        what = d.of([k for k in world.THINGS if len(world.THINGS[k]) >= 4])
        n = d.between(2, 4)
        items = d.sample(world.THINGS[what], n)
        number = d.of((str(n), W.NUMBER_WORD[n]))
        ask = d.of((f"List {number} {what} as a JSON array.", f"Give me {number} {what} as JSON.", f"Return a JSON array of {number} {what}.", f"{number} {what} as a JSON list"))
        return ask, json.dumps(items, ensure_ascii=False), {"kind": "json", "value": None, "shape": [str] * n}
    rows = [(n, d.of(FIELDS[n][1][:2])) for n in d.sample([n for n in NAMES if n not in ("iban", "code")], d.between(1, 4))]
    obj = {}
    for n, key in rows:
        v = field_value(d, n)[0]
        while isinstance(v, str) and ("_" in v or "[" in v or "<" in v or "{" in v):
            v = field_value(d, n)[0]
        obj[key] = v
    keys = ", ".join(k.replace("_", " ") if d.chance(0.3) else k for k in obj)
    schema = schema_of(d, [(n, k, obj[k]) for n, k in rows])
    ask = d.of((
        f"Make up a person with {keys}. Answer in JSON.", f"Invent an example JSON object with {keys}.", f"Give me an example with {keys} as JSON.", f"Generate a JSON object with {keys}.",
        f"Make an example for this schema: {json.dumps(schema)}", f"Give me JSON that matches this schema: {json.dumps(schema)}", f"Create a random JSON record with the fields {keys}.", f"Generate sample data: {json.dumps(schema)}",
    ))
    return ask, json.dumps(obj, ensure_ascii=False), {"kind": "json", "value": None, "shape": {k: float if n == "price" else type(obj[k]) for n, k in rows}}


SKILLS = [(json_invent, 1.5), (json_extract, 7), (record_list, 1.5), (classify, 1.5)]
