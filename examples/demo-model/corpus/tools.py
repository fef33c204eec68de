"""Tool calls: schemas never seen before, the right call with the right arguments, and the use of the result.

`dialogue(d)` returns `(tools, messages, checks)`; `checks` belong to the assistant messages in order.
"""

import json
import re

from . import copying as C
from . import strings as S
from . import talk, toolbook
from . import words as W

#: parameter kind: (type, names, how it is said, description)
PARAMS = {
    "city": ("string", ("city", "location", "place", "town"), ("in {v}", "for {v}"), "Name of the city"),
    "person": ("string", ("name", "person", "customer", "recipient", "user", "contact", "employee", "client"), ("for {v}", "with the name {v}", "with {v}"), "Name of the person"),
    "email": ("string", ("email", "to", "address", "email_address", "recipient_email"), ("to {v}", "with the email {v}", "for {v}"), "E-mail address"),
    "phone": ("string", ("phone", "phone_number", "number", "mobile"), ("with the phone number {v}", "at {v}"), "Phone number"),
    "date": ("string", ("date", "day", "when", "due_date", "start_date"), ("on {v}", "for {v}", "dated {v}"), "Date"),
    "order": ("string", ("order_id", "id", "reference", "ticket_id", "invoice_id", "number", "booking_id"), ("number {v}", "with the reference {v}", "{v}"), "Reference number"),
    "quantity": ("integer", ("quantity", "count", "amount", "limit", "number_of_items", "guests", "seats"), ("{v} times", "with a count of {v}", "for {v} people"), "How many"),
    "price": ("number", ("price", "amount", "value", "total", "budget"), ("for {v} euros", "with the amount {v}"), "Amount of money"),
    "product": ("string", ("product", "item", "article", "thing"), ("with a {v}", "about the {v}", "for a {v}"), "Product name"),
    "color": ("string", ("color", "colour"), ("in {v}", "with the colour {v}"), "Colour"),
    "topic": ("string", ("topic", "subject", "title", "query", "reason"), ("about {v}", "with the title {v}"), "Topic"),
    "urgent": ("boolean", ("urgent", "express", "priority"), None, "Whether it is urgent"),
    "code": ("string", ("code", "key", "token", "label", "tag", "identifier"), ("with the code {v}", "with the key {v}"), "Code"),
    "iban": ("string", ("iban", "account", "account_number"), ("to the account {v}", "with the IBAN {v}"), "Bank account"),
    "enum": ("string", ("mode", "status", "category", "type", "level", "unit", "format"), ("with {k} {v}", "as {v}", "with the {k} {v}"), "One of the allowed values"),
    "url": ("string", ("url", "link", "page"), ("from {v}", "with the link {v}"), "Web address"),
    "path": ("string", ("path", "file", "filename"), ("from the file {v}", "in {v}"), "Path of the file"),
    "items": ("array", ("items", "products", "tags", "names"), ("with {v}",), "List of things"),
}
ENUMS = [["low", "medium", "high"], ["open", "closed", "pending"], ["celsius", "fahrenheit"], ["pdf", "csv", "html"], ["small", "large"], ["daily", "weekly", "monthly"],
         ["standard", "express"], ["draft", "final"], ["public", "private"], ["red", "amber", "green"], ["morning", "afternoon", "evening"], ["beginner", "expert"]]
VERBS = """create delete update find search send book cancel schedule open close check list get fetch order track print save read start stop register assign move copy
share archive publish verify approve reject renew rename import export convert measure count add remove invite notify reserve pause resume upload download
compare rate review sign ship pay refund charge translate summarize rotate reset lock unlock""".split()
OBJECTS = """ticket invoice meeting order customer account report file document parcel reservation flight hotel room table task reminder note message contact
employee product payment refund subscription backup server job alarm event course lesson exam patient appointment vehicle route shipment warehouse article
comment photo album playlist song recipe menu device sensor lamp door thermostat printer project sprint bug release branch contract policy claim budget
expense loan card coupon survey poll vote profile team channel""".split()
ALL_PAIRS = [(v, o) for v in VERBS + W.VERB[:70] for o in dict.fromkeys(OBJECTS + W.NOUN + W.PRODUCT)]

#: Everyday tools, with requests and results. {x} are parameters by their kind.
FAMILIAR = [
    dict(names=("get_weather", "weather", "getWeather", "current_weather", "weather_lookup", "get_current_weather", "get_forecast"), about="Get the current weather for a city",
         params=[("city", ("city", "location", "place"))], optional=[("enum", ("unit", "units"), ["celsius", "fahrenheit"])],
         ask=("What is the weather in {city}?", "How is the weather in {city} today?", "weather in {city}", "Is it raining in {city}?", "Tell me the weather for {city}.", "What's the weather like in {city} right now?",
              "Do I need an umbrella in {city}?", "How warm is it in {city}?", "Check the weather in {city}, please.", "Quel temps fait-il à {city} ?", "كيف الطقس في {city}؟"),
         result=lambda d, a: {"temperature": d.between(-10, 42), "condition": d.of(W.WEATHER)},
         answer=lambda d, a, r: f"The weather in {a['city']} is {r['condition']}, with {r['temperature']} degrees."),
    dict(names=("get_time", "current_time", "get_current_time", "time_now", "clock"), about="Get the current time in a city", params=[("city", ("city", "location", "timezone"))], optional=[],
         ask=("What time is it in {city}?", "Tell me the time in {city}.", "current time in {city}", "What is the local time in {city}?", "Quelle heure est-il à {city} ?"),
         result=lambda d, a: {"time": f"{d.between(0, 23):02}:{d.between(0, 59):02}"}, answer=lambda d, a, r: f"It is {r['time']} in {a['city']}."),
    dict(names=("send_email", "send_mail", "email", "sendEmail", "mail_send", "compose_email"), about="Send an e-mail", params=[("email", ("to", "email", "recipient", "address")), ("topic", ("subject", "title"))], optional=[],
         ask=("Send an email to {email} about {topic}.", "Email {email} about {topic}", "Please send a mail to {email} with the subject {topic}.", "Write to {email} with the subject {topic}."),
         result=lambda d, a: {"status": "sent"}, answer=lambda d, a, r: f"I have sent the e-mail to {a['email']}."),
    dict(names=("send_message", "send_sms", "text_message", "notify"), about="Send a message to a person", params=[("person", ("to", "recipient", "person", "name")), ("say", ("text", "message", "body", "content"))], optional=[],
         ask=("Send a message to {person}: {say}", "Text {person}: {say}", "Tell {person}: {say}", "Message {person} saying: {say}"), result=lambda d, a: {"status": "delivered"},
         answer=lambda d, a, r: f"Your message to {a['person']} was delivered."),
    dict(names=("add", "sum", "add_numbers", "calculate_sum"), about="Add two numbers", params=[("int", ("a", "x", "first")), ("int2", ("b", "y", "second"))], optional=[],
         ask=("What is {int} plus {int2}?", "Add {int} and {int2}.", "{int} + {int2}", "Calculate the sum of {int} and {int2}."), result=lambda d, a: {"result": a["int"] + a["int2"]},
         answer=lambda d, a, r: f"The result is {r['result']}."),
    dict(names=("calculator", "calculate", "evaluate", "math"), about="Evaluate an arithmetic expression", params=[("expr", ("expression", "input", "formula"))], optional=[],
         ask=("What is {expr}?", "Calculate {expr}.", "Compute {expr}", "How much is {expr}?"), result=lambda d, a: {"result": evaluate(a["expr"])}, answer=lambda d, a, r: f"The result is {r['result']}."),
    dict(names=("search", "web_search", "search_web", "google", "lookup"), about="Search the web", params=[("topic", ("query", "q", "text", "search_term"))], optional=[("quantity", ("limit", "count", "max_results"), None)],
         ask=("Search for {topic}.", "Search the web for {topic}", "Look up {topic}.", "Find information about {topic}.", "google {topic}"), result=lambda d, a: {"results": [S.sentence(d)]},
         answer=lambda d, a, r: f"I found this: {r['results'][0]}"),
    dict(names=("get_order_status", "order_status", "track_order", "lookup_order", "getOrder"), about="Get the status of an order", params=[("order", ("order_id", "id", "order_number"))], optional=[],
         ask=("Where is my order {order}?", "What is the status of order {order}?", "Track order {order}.", "Has {order} shipped yet?", "status of {order}", "Où est ma commande {order} ?", "أين طلبي {order}؟"),
         result=lambda d, a: {"status": d.of(("shipped", "delivered", "pending", "cancelled")), "date": S.date(d)}, answer=lambda d, a, r: f"The order {a['order']} is {r['status']} ({r['date']})."),
    dict(names=("create_event", "add_event", "schedule_meeting", "calendar_create", "create_calendar_event"), about="Add an event to the calendar", params=[("topic", ("title", "summary", "name")), ("date", ("date", "day", "when"))], optional=[],
         ask=("Schedule a meeting about {topic} on {date}.", "Put {topic} into my calendar on {date}.", "Add an event about {topic} on {date}.", "Create an event for {topic}, date {date}."),
         result=lambda d, a: {"event_id": S.order(d)}, answer=lambda d, a, r: f"Done: {a['topic']} is in your calendar on {a['date']} ({r['event_id']})."),
    dict(names=("read_file", "open_file", "cat", "get_file", "Read"), about="Read a file", params=[("path", ("path", "file_path", "filename"))], optional=[],
         ask=("Read {path}.", "What is in the file {path}?", "Show me {path}", "Open {path}.", "Print the contents of {path}."), result=lambda d, a: S.sentence(d), answer=lambda d, a, r: f"The file {a['path']} says: {r}"),
    dict(names=("list_files", "ls", "list_directory", "dir"), about="List the files of a folder", params=[("path", ("path", "directory", "folder"))], optional=[],
         ask=("List the files in {path}.", "What files are in {path}?", "ls {path}", "Show the folder {path}."), result=lambda d, a: {"files": [S.pseudoword(d, False) + ".txt" for _ in range(d.between(1, 4))]},
         answer=lambda d, a, r: f"The folder {a['path']} has these files: {', '.join(r['files'])}."),
    dict(names=("translate", "translate_text", "translator"), about="Translate a text", params=[("word", ("text", "input")), ("lang", ("target_language", "language", "to", "target"))], optional=[],
         ask=("Translate {word} to {lang}.", "How do you say {word} in {lang}?", "Translate '{word}' into {lang}."), result=lambda d, a: {"translation": S.pseudoword(d, False)},
         answer=lambda d, a, r: f"In {a['lang']} that is: {r['translation']}."),
    dict(names=("book_flight", "find_flights", "search_flights", "flight_search"), about="Find flights between two cities", params=[("city", ("origin", "from", "departure")), ("city2", ("destination", "to", "arrival")), ("date", ("date", "day"))], optional=[],
         ask=("Find a flight from {city} to {city2} on {date}.", "Book a flight from {city} to {city2} for {date}.", "I want to fly from {city} to {city2} on {date}.", "Flights {city} to {city2}, {date}"),
         result=lambda d, a: {"flight": S.run(d, S.UPPER, 2) + S.digits(d, 3), "price": d.between(40, 900)}, answer=lambda d, a, r: f"Flight {r['flight']} from {a['city']} to {a['city2']} costs {r['price']}."),
    dict(names=("get_user", "find_customer", "lookup_user", "customer_lookup", "get_contact"), about="Look up a customer", params=[("person", ("name", "customer", "user", "person"))], optional=[],
         ask=("Find the customer {person}.", "Look up {person}.", "What is the e-mail of {person}?", "Get the contact of {person}."), result=lambda d, a: {"email": S.value_for(d, "email"), "phone": S.value_for(d, "phone")},
         answer=lambda d, a, r: f"{a['person']}: e-mail {r['email']}, phone {r['phone']}."),
    dict(names=("convert_currency", "currency_convert", "exchange"), about="Convert an amount of money", params=[("int", ("amount", "value")), ("cur", ("from", "source", "from_currency")), ("cur2", ("to", "target", "to_currency"))], optional=[],
         ask=("Convert {int} {cur} to {cur2}.", "How much is {int} {cur} in {cur2}?", "{int} {cur} in {cur2}?"), result=lambda d, a: {"result": d.between(100, 99999) / 100}, answer=lambda d, a, r: f"{a['int']} {a['cur']} is {r['result']} {a['cur2']}."),
    dict(names=("set_temperature", "set_thermostat", "thermostat"), about="Set the temperature of a room", params=[("room", ("room", "zone")), ("int", ("temperature", "degrees", "value"))], optional=[],
         ask=("Set the temperature in the {room} to {int} degrees.", "Make the {room} {int} degrees.", "Set the {room} to {int}."), result=lambda d, a: {"ok": True}, answer=lambda d, a, r: f"Done. The {a['room']} is set to {a['int']} degrees."),
    dict(names=("transfer_money", "make_payment", "pay", "bank_transfer"), about="Transfer money to an account", params=[("iban", ("iban", "account", "to_account")), ("int", ("amount", "value", "sum"))], optional=[],
         ask=("Transfer {int} to {iban}.", "Pay {int} to the account {iban}.", "Send {int} euros to {iban}."), result=lambda d, a: {"transaction": S.order(d)}, answer=lambda d, a, r: f"Done. The transfer of {a['int']} to {a['iban']} has the number {r['transaction']}."),
    dict(names=("fetch_url", "get_page", "http_get", "browse"), about="Fetch a web page", params=[("url", ("url", "link", "address"))], optional=[],
         ask=("Open {url}.", "Fetch {url}", "What is on {url}?", "Get the page {url}."), result=lambda d, a: S.sentence(d), answer=lambda d, a, r: f"The page says: {r}"),
    dict(names=("roll_dice", "random_number", "dice"), about="Roll dice", params=[("quantity", ("count", "n", "dice"))], optional=[], ask=("Roll {quantity} dice.", "Throw {quantity} dice for me."),
         result=lambda d, a: {"rolls": [d.between(1, 6) for _ in range(min(a["quantity"], 6))]}, answer=lambda d, a, r: f"The dice show {', '.join(map(str, r['rolls']))}."),
    dict(names=("now", "get_date", "today", "current_date", "get_today"), about="Get today's date", params=[], optional=[], ask=("What is the date today?", "What day is it?", "Which date is today?", "What is today's date?", "today's date?"),
         result=lambda d, a: {"date": S.date(d)}, answer=lambda d, a, r: f"Today is {r['date']}."),
]


FAMILIAR += toolbook.entries()
STRING_KINDS = {"int": "number", "int2": "number", "quantity": "integer", "year": "integer"}
FOOD = "pizza|couscous|soup|salad|pasta|a burger|fish and chips|tajine|sushi|pancakes|rice|brik|ratatouille|an omelette".split("|")


def evaluate(expression):
    """`a op b` for one of + - *."""
    a, op, b = expression.split(" ")
    a, b = int(a), int(b)
    return a + b if op == "+" else a - b if op == "-" else a * b


def familiar_value(d, kind):
    if kind in ("city", "city2"):
        return S.pseudonym(d) if d.chance(0.12) else S.pseudoword(d, True) if d.chance(0.1) else d.new(W.CITY_AR) if d.chance(0.05) else d.new(W.CITY)
    if kind in ("int", "int2"):
        return d.between(1, 99) if d.chance(0.6) else d.between(100, 9999)
    if kind == "expr":
        return f"{d.between(1, 99)} {d.of('+-*')} {d.between(1, 99)}"
    if kind == "say":
        s = d.of(C.FILLER) if d.chance(0.5) else S.sentence(d)
        return s
    if kind == "word":
        return d.of(W.TRANSLATION)[0]
    if kind == "lang":
        return d.of(("French", "Arabic", "German", "Spanish", "Italian", "English"))
    if kind in ("cur", "cur2"):
        return d.of(W.CURRENCY)
    if kind == "ticker":
        return S.run(d, S.UPPER, d.between(2, 5)) if d.chance(0.7) else f"{d.of(W.COMPANY_A)} {d.of(W.COMPANY_B)}"
    if kind == "todo":
        return f"{d.of(W.VERB)} the {d.of(W.NOUN)}" if d.chance(0.6) else f"{d.of(W.VERB)} {d.of(W.ADJ)} {S.plural(d.of(W.NOUN))}" if d.chance(0.5) else f"call {S.person(d)}"
    if kind == "clock":
        return f"{d.between(0, 23)}:{d.of(('00', '15', '30', '45', '10', '05'))}" if d.chance(0.6) else d.of((f"{d.between(1, 12)} pm", f"{d.between(1, 12)} am", f"{d.between(1, 12)} o'clock", "noon"))
    if kind == "thing":
        return d.of((lambda: f"the {d.of(W.ADJ)} {d.of(W.NOUN)}", lambda: f"{d.of(W.ADJ).capitalize()} {d.of(W.NOUN).capitalize()}", lambda: S.pseudoword(d, True), lambda: f"a {d.of(W.NOUN)} in {d.of(W.CITY)}", lambda: d.of(W.NOUN)))()
    if kind == "noun":
        return d.of(W.NOUN) if d.chance(0.8) else S.pseudoword(d, False)
    if kind == "onoff":
        return d.of(("on", "off"))
    if kind == "prio":
        return d.of(("low", "high", "medium", "urgent"))
    if kind == "country":
        return d.of(list(W.CAPITAL)).removeprefix("the ")
    if kind == "year":
        return d.between(1990, 2040)
    if kind in ("unit", "unit2"):
        return d.of(("km", "miles", "kg", "pounds", "litres", "gallons", "metres", "feet", "grams", "inches"))
    if kind == "food":
        return d.of(FOOD)
    if kind == "cmd":
        return d.of(("ls", "ls -la", "pwd", "df -h", "uname -a", "whoami", "git status", "cargo test", "cat {p}", "rm {p}", "mkdir {p}", "head -n {n} {p}", "du -sh {p}", "ping {i}", "echo {w}")).format(p=S.path(d), n=d.between(1, 99), i=S.ip(d), w=S.pseudoword(d))
    if kind == "sql":
        return d.of(("SELECT * FROM {t}", "SELECT name FROM {t} WHERE id = {n}", "SELECT count(*) FROM {t}", "DELETE FROM {t} WHERE id = {n}")).format(t=d.of(W.NOUN) + "s", n=d.between(1, 999))
    if kind in ("card", "address", "ip"):
        return S.value_for(d, kind)
    if kind == "code":
        return S.opaque(d)[1]
    if kind == "room":
        return d.of(("kitchen", "bedroom", "bathroom", "office", "living room", "hall", "garage", "cellar"))
    if kind == "topic":
        roll = d.random()
        return d.new(W.TOPIC) if roll < 0.5 else f"{d.of(W.ADJ)} {d.of(W.NOUN)}s" if roll < 0.75 else " ".join(S.any_word(d) for _ in range(d.between(1, 4)))
    if kind == "quantity":
        return d.between(1, 20)
    return S.value_for(d, kind) if kind in ("person", "email", "phone", "date", "order", "iban", "url", "path") else param_value(d, kind)[0]


def param_value(d, kind, enum=None):
    """(JSON value, how it is said)."""
    if kind == "enum":
        v = d.of(enum)
    elif kind == "quantity":
        v = d.between(1, 60)
    elif kind == "price":
        v = d.between(1, 2000) if d.chance(0.6) else d.between(100, 99999) / 100
    elif kind == "urgent":
        v = d.chance(0.5)
    elif kind == "items":
        v = d.sample(W.NOUN, d.between(1, 3))
        return v, v[0] if len(v) == 1 else ", ".join(v[:-1]) + " and " + v[-1]
    elif kind == "product":
        v = d.new(W.PRODUCT)
    elif kind == "color":
        v = d.new(W.COLOUR)
    elif kind == "topic":
        v = d.new(W.TOPIC) if d.chance(0.6) else " ".join(S.any_word(d) for _ in range(d.between(1, 4)))
    elif kind == "code":
        v = S.opaque(d)[1]
    elif kind == "city":
        v = S.pseudonym(d) if d.chance(0.1) else d.new(W.CITY)
    else:
        v = S.value_for(d, kind)
    return v, str(v)


def spelled(d, verb, obj):
    """A function name."""
    return d.of((f"{verb}_{obj}", f"{verb}_{obj}", f"{verb}{obj.capitalize()}", f"{obj}_{verb}", f"{obj}.{verb}", f"{verb}-{obj}", f"mcp__{obj}s__{verb}", f"{verb.capitalize()}{obj.capitalize()}"))


def wrap_tool(d, name, about, props, required):
    parameters = {"type": "object", "properties": props}
    if required or d.chance(0.5):
        parameters["required"] = required
    if d.chance(0.2):
        parameters["additionalProperties"] = False
    f = {"name": name}
    if about and d.chance(0.93):
        f["description"] = about + d.of((".", ""))
    f["parameters"] = parameters
    return {"type": "function", "function": f}


#: A hidden value says nothing of its kind, so a request that holds one must name the parameter.
PSEUDONYM = re.compile(r"[A-Z]_\d|_\d+\}\}|PII_|^<|^\[|^__")


def generic_result(d, subject):
    """(content of the tool message, answer, strings that the answer must hold)."""
    roll = d.random()
    if roll < 0.4:
        v = S.opaque(d)[1]
        key = d.of(("id", "reference", f"{subject}_id", "number", "confirmation", "code"))
        r = {d.of(("status", "result")): d.of(("ok", "success", "done")), key: v}
        if d.chance(0.3):
            r = {key: v}
        return json.dumps(r, ensure_ascii=False), f"Done. The {key.replace('_', ' ')} is {v}.", [v]
    if roll < 0.55:
        message = d.of(("not found", "permission denied", "timeout", "invalid argument", "the service is not available", "quota exceeded", "already exists"))
        r = d.of((json.dumps({"error": message}), f"Error: {message}", json.dumps({"status": "error", "message": message})))
        return r, f"I am sorry, that did not work: {message}.", [message]
    if roll < 0.8:
        a, b = d.sample(["state", "owner", "total", "city", "date", "color", "count", "email", "phone", "name"], 2)
        gen = {"state": lambda: d.of(("open", "closed", "ready", "pending")), "owner": lambda: S.person(d), "total": lambda: d.between(1, 9999), "city": lambda: d.new(W.CITY), "date": lambda: S.date(d),
               "color": lambda: d.of(W.COLOUR), "count": lambda: d.between(0, 500), "email": lambda: S.value_for(d, "email"), "phone": lambda: S.value_for(d, "phone"), "name": lambda: S.value_for(d, "person")}
        r = {a: gen[a](), b: gen[b]()}
        return json.dumps(r, ensure_ascii=False), f"Here is the result: the {a} is {r[a]} and the {b} is {r[b]}.", [str(r[a]), str(r[b])]
    if d.chance(0.5):
        keys = d.sample(W.NOUN, d.between(1, 4))
        r = {k: d.of((lambda: d.between(0, 9999), lambda: S.opaque(d)[1], lambda: d.of(W.ADJ), lambda: S.value_for(d, "person"), lambda: d.chance(0.5), lambda: d.new(W.CITY)))() for k in keys}
        said = [f"the {k} is {'yes' if v is True else 'no' if v is False else v}" for k, v in r.items()]
        joined = said[0] if len(said) == 1 else ", ".join(said[:-1]) + " and " + said[-1]
        content = json.dumps(r, ensure_ascii=False, indent=d.of((None, None, 2)))
        return content, f"Here is the result: {joined}.", [str(v) for v in r.values() if not isinstance(v, bool)]
    text = S.sentence(d)
    return text, f"The result is: {text}", [text]


class Tool:
    """A tool's schema with what is needed to speak of it."""

    def request(self, d):
        """(text, arguments)."""
        raise NotImplementedError


class Composed(Tool):
    """A verb, an object and a random set of parameters. Verb-object pairs are split between training and evaluation."""

    def __init__(self, d, most=4):
        verb, obj = d.of(ALL_PAIRS)
        while not d.allowed(f"{verb}_{obj}"):
            verb, obj = d.of(ALL_PAIRS)
        self.verb, self.obj = verb, obj
        self.name = spelled(d, verb, obj)
        kinds = d.sample(list(PARAMS), d.between(1, most))
        self.params, names, props = [], set(), {}
        self.required = []
        for i, kind in enumerate(kinds):
            t, options, _, about = PARAMS[kind]
            key = d.of(options) if d.chance(0.8) else f"{self.obj}_{d.of(options)}" if d.chance(0.5) else S.pseudoword(d, False) if d.chance(0.5) else d.of(W.NOUN)
            if key in names:
                continue
            names.add(key)
            enum = d.of(ENUMS) if kind == "enum" else None
            p = {"type": t}
            if enum:
                p["enum"] = enum
            if t == "array":
                p["items"] = {"type": "string"}
            if d.chance(0.6) or key not in options:
                p["description"] = about
            needed = i == 0 or d.chance(0.65)
            self.params.append((kind, key, enum, needed))
            props[key] = p
            if needed:
                self.required.append(key)
        article = "an" if obj[0] in "aeiou" else "a"
        self.schema = wrap_tool(d, self.name, d.of((f"{verb.capitalize()} {article} {obj}", f"{verb.capitalize()}s {article} {obj}", f"Use this to {verb} {article} {obj}")), props, self.required)

    def request(self, d):
        args, said = {}, []
        order = [p for p in self.params if p[3] or d.chance(0.5)]
        for kind, key, enum, _ in order:
            v, text = param_value(d, kind, enum)
            args[key] = v
            if kind == "urgent":
                said.append(f"{key.replace('_', ' ')}: {'yes' if v else 'no'}")
            elif d.chance(0.5) and kind != "enum" and not PSEUDONYM.search(text):
                said.append(d.of(PARAMS[kind][2]).format(v=text))
            else:
                word = key.replace("_", " ")
                said.append(d.of((f"{word} {text}", f"with {word} {text}", f"the {word} is {text}", f"{word}: {text}")))
        article = "an" if self.obj[0] in "aeiou" else "a"
        head = d.of(("{V} {a} {o}", "Please {v} {a} {o}", "Can you {v} {a} {o}", "I want to {v} {a} {o}", "{V} the {o}", "Could you {v} the {o}", "We need to {v} {a} {o}", "{v} {o}", "{o}: {v}", "I would like you to {v} {a} {o}"))
        head = head.format(V=self.verb.capitalize(), v=self.verb, o=self.obj, a=article)
        end = "?" if head.startswith(("Can", "Could")) else d.of((".", ".", ""))
        text = head + (" " if d.chance(0.5) else ", ") + ", ".join(said) + end
        if d.chance(0.15):
            text = head + end + " " + "; ".join(f"{k} = {a if not isinstance(a, list) else ', '.join(a)}" for k, a in args.items()).replace("True", "yes").replace("False", "no")
        # The arguments follow the order of the schema.
        return text, {key: args[key] for _, key, _, _ in self.params if key in args}

    def result(self, d, args):
        return generic_result(d, self.obj)


class Familiar(Tool):
    """An everyday tool under one of its names."""

    def __init__(self, d, spec=None):
        spec = spec or d.of(FAMILIAR)
        self.spec = spec
        self.name = d.of(spec["names"])
        if d.chance(0.3):
            # A name that tells nothing: only the description does.
            self.name = d.of((f"{d.of(W.ADJ)}_{d.of(W.NOUN)}", S.pseudoword(d, False), f"{S.pseudoword(d, False)}_{d.of(W.NOUN)}", f"tool_{d.between(1, 99)}", f"{self.name}_v{d.between(2, 9)}", f"{S.pseudoword(d, False)}.{self.name}",
                              f"mcp__{S.pseudoword(d, False)}__{self.name}", f"{d.of(W.NOUN)}-{self.name}", f"fn{d.between(1, 999)}", f"{self.name}{d.of(W.NOUN).capitalize()}"))
        self.anonymous = self.name not in spec["names"]
        props, self.required, self.keys = {}, [], {}
        for kind, names in spec["params"]:
            key = d.of([n for n in names if n not in props] or [names[0] + "_2"])
            self.keys[kind] = key
            t = STRING_KINDS.get(kind, "string")
            if t == "number" and d.chance(0.5):
                t = "integer"
            props[key] = {"type": t}
            if d.chance(0.5):
                props[key]["description"] = d.of(("The {}", "{}")).format(key.replace("_", " "))
            self.required.append(key)
        self.extra = None
        for kind, names, enum in spec["optional"]:
            if d.chance(0.5):
                key = d.of(names)
                props[key] = {"type": "string", "enum": enum} if enum else {"type": "integer"}
                self.extra = (key, enum)
        self.schema = wrap_tool(d, self.name, spec["about"], props, self.required)
        if self.anonymous:
            self.schema["function"]["description"] = spec["about"]
            f = self.schema["function"]
            self.schema["function"] = {k: f[k] for k in ("name", "description", "parameters")}

    def request(self, d):
        values = {kind: familiar_value(d, kind) for kind, _ in self.spec["params"]}
        for a, b in (("city", "city2"), ("cur", "cur2"), ("unit", "unit2")):
            while b in values and values[a] == values[b]:
                values[b] = familiar_value(d, b)
        text = d.of(self.spec["ask"]).format(**values)
        args = {self.keys[k]: v for k, v in values.items()}
        if self.extra and d.chance(0.4):
            key, enum = self.extra
            v = d.of(enum) if enum else d.between(1, 10)
            args[key] = v
            text += d.of((f" In {v}, please.", f" Use {v}.", f" ({key}: {v})")) if enum else d.of((f" At most {v} results.", f" ({key}: {v})", f" Give me {v}."))
        self.values = values
        if d.chance(0.1):
            text = text.lower() if not any(isinstance(v, str) and v != v.lower() for v in values.values()) else text
        return text, args

    def result(self, d, args):
        if d.chance(0.1):
            message = d.of(("not found", "timeout", "the service is not available", "permission denied"))
            return json.dumps({"error": message}), f"I am sorry, that did not work: {message}.", [message]
        if "result" not in self.spec:
            return generic_result(d, d.of(("item", "request", "entry", "result")))
        r = self.spec["result"](d, self.values)
        answer = self.spec["answer"](d, self.values, r)
        content = r if isinstance(r, str) else json.dumps(r, ensure_ascii=False)
        if isinstance(r, dict) and d.chance(0.2):
            content = json.dumps({**r, d.of(("source", "request_id", "took_ms")): d.between(1, 999)}, ensure_ascii=False)
        leaves = [str(v) for v in (r.values() if isinstance(r, dict) else [r]) if not isinstance(v, (list, bool)) and str(v) in answer]
        return content, answer, leaves


def toolbox(d, n):
    """`n` tools with different names."""
    box, names = [], set()
    while len(box) < n:
        t = Familiar(d) if d.chance(0.4) else Composed(d)
        if t.name not in names and not any(isinstance(o, Familiar) and isinstance(t, Familiar) and o.spec is t.spec for o in box) and not any(
            isinstance(o, Composed) and isinstance(t, Composed) and o.verb == t.verb and o.obj == t.obj for o in box
        ):
            names.add(t.name)
            box.append(t)
    return box


def call(name, args):
    return {"type": "function", "function": {"name": name, "arguments": args}}


THOUGHT = ("The user wants me to use {n}.", "I should call {n} with the values from the message.", "The function {n} fits this request.")


def dialogue(d, thinking=False):
    """(tools, messages, checks)."""
    box = toolbox(d, d.of((1, 1, 2, 2, 3, 4, 5, 6)))
    messages, checks = [], []
    for _ in range(d.of((1, 1, 1, 2, 3))):
        roll = d.random()
        if roll < 0.1:
            # Nothing fits: just answer.
            q, a, c = d.of((talk.small_talk, talk.small_talk, C.introduce, C.quote, C.repeat, talk.refuse_code))(d)[:3]
            if any(w in q.lower() for w in ("time", "date", "day", "weather", "temps", "where", "rain", "sunny", "joke", "what is the", "tell", "say", "name", "help", "code", "write", "print")):
                continue
            messages += [{"role": "user", "content": q}, {"role": "assistant", "content": a}]
            checks.append(c)
            continue
        tool = d.of(box)
        text, args = tool.request(d)
        if roll < 0.16 and isinstance(tool, Composed) and tool.required:
            # A required argument is missing.
            article = "an" if tool.obj[0] in "aeiou" else "a"
            ask = d.of((f"{tool.verb.capitalize()} {article} {tool.obj}.", f"Please {tool.verb} {article} {tool.obj}.", f"Can you {tool.verb} {article} {tool.obj}?", f"I want to {tool.verb} {article} {tool.obj}."))
            need = [k.replace("_", " ") for k in tool.required]
            which = need[0] if len(need) == 1 else ", ".join(need[:-1]) + " and " + need[-1]
            a = f"To do that I need the {which}. Please tell me."
            messages += [{"role": "user", "content": ask}, {"role": "assistant", "content": a}]
            checks.append({"kind": "contains", "all": need})
            continue
        calls = [(tool, text, args)]
        single = isinstance(tool, Familiar) and len(tool.spec["params"]) == 1 and tool.spec["params"][0][0] in ("city", "order", "person", "path", "url", "email", "country", "product", "ip", "ticker") and len(args) == 1
        if roll < 0.27 and single:
            # "... in Paris and in Rome?": one request, a call for each.
            (kind, _), = tool.spec["params"]
            kept = [tool.values]
            for _ in range(d.of((1, 1, 2))):
                v = familiar_value(d, kind)
                if str(v) in text:
                    break
                kept.append({kind: v})
                calls.append((tool, "", {tool.keys[kind]: v}))
            if len(calls) > 1:
                vs = [str(k[kind]) for k in kept]
                glue = d.of((" and ", " and in ", " and then ")) if kind == "city" and " in " + vs[0] in text else d.of((" and ", " and then "))
                text = text.replace(vs[0], ", ".join(vs[:-1]) + glue + vs[-1])
                results_values = kept
        elif roll < 0.34:
            other = d.of(box)
            if isinstance(other, Familiar) and other is tool:
                kept = tool.values
                t2, a2 = tool.request(d)
                tool.values, second = kept, tool.values
                calls.append((tool, t2, a2))
                results_values = [kept, second]
            elif other is not tool:
                t2, a2 = other.request(d)
                calls.append((other, t2, a2))
                results_values = [getattr(tool, "values", None), getattr(other, "values", None)]
        if len(calls) == 2 and calls[1][1]:
            first = calls[0][1]
            if not first.endswith((".", "?", "!")):
                first += "."
            text = first + d.of((" ", " And: ", " Also: ", " Then: ")) + calls[1][1]
        messages.append({"role": "user", "content": text})
        m = {"role": "assistant", "content": "", "tool_calls": [call(t.name, a) for t, _, a in calls]}
        messages.append(m)
        checks.append({"kind": "calls", "calls": [[t.name, a] for t, _, a in calls]})
        if d.chance(0.75):
            answers, must = [], []
            for i, (t, _, a) in enumerate(calls):
                if len(calls) > 1 and isinstance(t, Familiar):
                    t.values = results_values[i]
                content, answer, leaves = t.result(d, a)
                messages.append({"role": "tool", "content": content})
                answers.append(answer)
                must += leaves
            messages.append({"role": "assistant", "content": " ".join(answers)})
            checks.append({"kind": "contains", "all": must})
            if thinking:
                m["reasoning_content"] = d.of(THOUGHT).format(n=calls[0][0].name)
                messages[-1]["reasoning_content"] = "The result is here. I tell the user."
        else:
            if thinking:
                m["reasoning_content"] = d.of(THOUGHT).format(n=calls[0][0].name)
            break
        if thinking:
            break
    if not messages:
        return dialogue(d, thinking)
    return [t.schema for t in box], messages, checks
