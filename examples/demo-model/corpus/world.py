"""A little knowledge of the world, and small feats: lists, counting, sorting, arithmetic, word translation, jokes."""

from . import strings as S
from . import words as W

EXACT = {"kind": "exact"}


def contains(*items):
    return {"kind": "contains", "all": list(items)}


def list_text(d, items):
    """A list in one of the usual shapes."""
    if d.chance(0.8):
        return ", ".join(items[:-1]) + " and " + items[-1] if len(items) > 1 else items[0]
    return "\n".join(f"- {i}" for i in items)


COUNT_WORD = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7}
THINGS = {
    "colours": W.COLOUR, "colors": W.COLOUR, "fruits": W.FRUIT, "vegetables": W.VEGETABLE, "animals": W.ANIMAL, "days of the week": W.DAY, "months": W.MONTH,
    "cities": W.CITY, "capitals": list(W.CAPITAL.values()), "countries": [c.removeprefix("the ") for c in W.CAPITAL], "jobs": W.JOB, "first names": W.FIRST,
    "kinds of weather": W.WEATHER, "European cities": "Paris Rome Madrid Lisbon Berlin Vienna Prague Warsaw Athens Dublin Brussels Oslo".split(),
    "things in a house": "door window chair table lamp bed mirror shelf clock carpet".split(), "currencies": W.CURRENCY, "tools": "hammer drill ladder saw brush knife".split(),
    "pieces of clothing": "shirt coat dress hat scarf glove sock jacket".split(), "musical instruments": "piano violin guitar drum flute trumpet".split(),
    "APIs that Atoll speaks": ["OpenAI Chat Completions", "OpenAI Responses", "Claude Messages", "Ollama"], "languages": "English French Arabic Spanish German Italian".split(),
    "kinds of plugins": ["dialects", "filters", "placement strategies", "scheduling strategies"],
}


def listing(d):
    what = d.of(list(THINGS))
    pool = THINGS[what]
    word = d.of([w for w, k in COUNT_WORD.items() if k <= len(pool)])
    n = COUNT_WORD[word]
    number = word if d.chance(0.6) else str(n)
    ask = d.of((f"List {number} {what}", f"list {number} {what}", f"Name {number} {what}.", f"Give me {number} {what}.", f"Tell me {number} {what}", f"Can you list {number} {what}?", f"{number.capitalize()} {what}, please."))
    if n == 1:
        what1 = {"cities": "city", "countries": "country", "currencies": "currency", "European cities": "European city"}.get(what) or what.replace("days", "day").replace("things", "thing").replace("kinds", "kind").replace("pieces", "piece").replace("APIs", "API").removesuffix("s" if "of" not in what and "in" not in what.split() and "that" not in what else "\0")
        ask = d.of((f"Name one {what1}", f"Name a {what1}.", f"Give me one {what1}."))
    # A run of the pool, so that nothing comes twice.
    i = d.between(0, len(pool) - 1)
    items = [pool[(i + k) % len(pool)] for k in range(n)]
    if what in ("days of the week", "months", "kinds of plugins", "APIs that Atoll speaks") and d.chance(0.8):
        items = pool[:n]
    text = list_text(d, items)
    return ask, text[0].upper() + text[1:] + ("." if not text.startswith("-") and n > 1 else ""), {"kind": "members", "of": pool, "count": n}


def sequences(d):
    roll = d.random()
    if roll < 0.5:
        n = d.of((3, 5, 5, 8, 10, 10, 10, 12, 15, 20)) if d.chance(0.85) else d.of((25, 30, 40, 50, 60, 75, 100, 100, 120))
        target = d.of((str(n), W.NUMBER_WORD[n])) if n <= 20 else {100: "a hundred"}.get(n, str(n)) if d.chance(0.3) else str(n)
        if d.chance(0.2):
            ask = d.of((f"Count down from {target}", f"Count backwards from {target}.", f"Count down from {target} to one."))
            return ask, ", ".join(str(i) for i in range(n, 0, -1)), EXACT
        if n <= 20 and d.chance(0.2):
            ask = d.of((f"Count to {target} in words", f"Count to {target} in words."))
            return ask, ", ".join(W.NUMBER_WORD[1 : n + 1]), EXACT
        ask = d.of((f"Count to {target}", f"Count to {target}.", f"count to {target}", f"Can you count to {target}?", f"Please count to {target}.", f"Count from one to {target}.", f"Count from 1 to {target}", f"Write the numbers from 1 to {n}."))
        return ask, ", ".join(str(i) for i in range(1, n + 1)), EXACT
    if roll < 0.58:
        return d.of(("Compte jusqu'à dix", "Compte jusqu'à 10.")), "un, deux, trois, quatre, cinq, six, sept, huit, neuf, dix", EXACT
    if roll < 0.64:
        return d.of(("عد إلى عشرة", "عد من واحد إلى عشرة")), "واحد، اثنان، ثلاثة، أربعة، خمسة، ستة، سبعة، ثمانية، تسعة، عشرة", EXACT
    if roll < 0.74:
        return d.of(("What are the days of the week?", "List the days of the week.", "Name the days of the week", "days of the week")), ", ".join(W.DAY[:-1]) + " and Sunday.", EXACT
    if roll < 0.82:
        return d.of(("What are the months of the year?", "List the months.", "Name all months", "months of the year", "List the months of the year.")), ", ".join(W.MONTH[:-1]) + " and December.", EXACT
    if roll < 0.9:
        return d.of(("Say the alphabet", "Write the alphabet.", "What are the letters of the alphabet?", "Recite the alphabet.")), "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z", EXACT
    if roll < 0.95:
        return d.of(("Quels sont les jours de la semaine ?", "Les jours de la semaine ?")), ", ".join(W.DAY_FR[:-1]) + " et dimanche.", EXACT
    return d.of(("ما هي أيام الأسبوع؟", "أيام الأسبوع؟")), "، ".join(W.DAY_AR), EXACT


def calendar(d):
    pool = d.of((W.DAY, W.MONTH))
    kind = "day" if pool is W.DAY else "month"
    i = d.between(0, len(pool) - 1)
    if d.chance(0.5):
        return d.of((f"What {kind} comes after {pool[i]}?", f"Which {kind} follows {pool[i]}?", f"What comes after {pool[i]}?")), pool[(i + 1) % len(pool)] + " comes after " + pool[i] + ".", contains(pool[(i + 1) % len(pool)])
    return d.of((f"What {kind} comes before {pool[i]}?", f"Which {kind} is before {pool[i]}?", f"What comes before {pool[i]}?")), pool[i - 1] + " comes before " + pool[i] + ".", contains(pool[i - 1])


CAPITAL_ASK = "What is the capital of {}?|What's the capital of {}?|Which city is the capital of {}?|capital of {}|Capital of {}?|Tell me the capital of {}.|Name the capital of {}.|Do you know the capital of {}?|the capital of {} is?|What is {}'s capital?".split("|")


def capital(d):
    c = d.of(list(W.CAPITAL))
    ask = d.of(CAPITAL_ASK)
    while not d.allowed(c + ask):
        c, ask = d.of(list(W.CAPITAL)), d.of(CAPITAL_ASK)
    v = W.CAPITAL[c]
    if d.chance(0.15):
        return d.of((f"{v} is the capital of which country?", f"Which country has the capital {v}?", f"Of which country is {v} the capital?")), f"{v} is the capital of {c}.", contains(c)
    if d.chance(0.2):
        return ask.format(c) + d.of(ONE_WORD), v, contains(v)
    return ask.format(c), f"The capital of {c} is {v}.", contains(v)


ONE_WORD = (" Answer in one word.", " One word only.", " Just the name.", " Answer with one word.", " Only the answer, please.", " Reply with the answer only.")


def words(d):
    roll = d.random()
    if roll < 0.45:
        en, fr, ar = d.of(W.TRANSLATION)
        src, dst = d.sample((0, 1, 2), 2)
        w, t = (en, fr, ar)[src], (en, fr, ar)[dst]
        lang = ("English", "French", "Arabic")[dst]
        if src == 0:
            ask = d.of((f"Translate '{w}' to {lang}.", f"What is {w} in {lang}?", f"How do you say {w} in {lang}?", f"Translate {w} to {lang}", f'Translate to {lang}: {w}', f"What is the {lang} word for {w}?", f'How do I say "{w}" in {lang}?', f"{w} in {lang}"))
        elif dst == 0:
            ask = d.of((f"What does {w} mean?", f"Translate to English: {w}", f"What does '{w}' mean in English?", f"What is {w} in English?", f"Translate {w}."))
        else:
            ask = d.of((f"Translate to {lang}: {w}", f"What is {w} in {lang}?", f"How do you say {w} in {lang}?"))
        return ask, t, {"kind": "contains", "all": [t]}
    if roll < 0.72:
        pairs = list(W.OPPOSITE.items())
        a, b = d.of(pairs)
        if d.chance(0.3) and sum(y == b for _, y in pairs) == 1 and b not in W.OPPOSITE:
            a, b = b, a
        if d.chance(0.15):
            return f"What is the opposite of {a}?" + d.of(ONE_WORD[:2] + ONE_WORD[3:]), b, contains(b)
        return d.of((f"What is the opposite of {a}?", f"Opposite of {a}?", f"the opposite of {a}", f"Give me the opposite of '{a}'.", f"What's the opposite of {a}", f"Name the opposite of {a}.")), f"The opposite of {a} is {b}.", contains(b)
    if roll < 0.88:
        a, b = d.of(list(W.PLURAL.items()))
        return d.of((f"What is the plural of {a}?", f"Plural of {a}?", f"the plural of {a}", f"Give me the plural of '{a}'.")), f"The plural of {a} is {b}.", contains(b)
    q, a = d.of(FACT)
    return d.of(q.split("|")), a, {"kind": "one_of", "any": [a]}


FACT = [
    ("What colour is the sky?|What color is the sky?|Which colour does the sky have?|Why is the sky blue?", "The sky is blue on a clear day, because air scatters blue light most."),
    ("What colour is grass?|What color is grass?", "Grass is green."),
    ("What colour is snow?|What color is snow?", "Snow is white."),
    ("What colour is blood?|What color is blood?", "Blood is red."),
    ("What colour is a banana?|What color is a banana?", "A ripe banana is yellow."),
    ("How many days are in a week?|How many days does a week have?", "A week has seven days."),
    ("How many months are in a year?|How many months does a year have?", "A year has twelve months."),
    ("How many days are in a year?|How many days does a year have?", "A year has 365 days, and a leap year has 366."),
    ("How many hours are in a day?|How many hours does a day have?", "A day has 24 hours."),
    ("How many minutes are in an hour?|How many minutes does an hour have?", "An hour has 60 minutes."),
    ("How many seconds are in a minute?", "A minute has 60 seconds."),
    ("How many legs does a dog have?|How many legs does a cat have?|How many legs does a horse have?", "It has four legs."),
    ("How many legs does a spider have?", "A spider has eight legs."),
    ("How many legs does an insect have?|How many legs does an ant have?", "It has six legs."),
    ("How many continents are there?", "There are seven continents."),
    ("How many letters does the English alphabet have?|How many letters are in the alphabet?", "The English alphabet has 26 letters."),
    ("What is the largest ocean?|Which ocean is the biggest?", "The Pacific is the largest ocean."),
    ("What is the largest planet?|Which planet is the biggest?", "Jupiter is the largest planet of the Solar System."),
    ("Which planet do we live on?|On which planet do we live?", "We live on the Earth."),
    ("What is the closest star?|Which star is closest to the Earth?|What is the Sun?|Is the Sun a star?", "The Sun is the star closest to the Earth."),
    ("What is H2O?|What is the formula of water?|What is water made of?", "Water is H2O: two hydrogen atoms and one oxygen atom."),
    ("At what temperature does water boil?|When does water boil?", "Water boils at 100 degrees Celsius at sea level."),
    ("At what temperature does water freeze?|When does water freeze?", "Water freezes at 0 degrees Celsius."),
    ("What do bees make?", "Bees make honey."), ("What do cows drink?|What do cows eat?", "Cows drink water and eat grass."),
    ("What sound does a cat make?|What does a cat say?", "A cat says meow."), ("What sound does a dog make?|What does a dog say?", "A dog barks: woof."),
    ("What are the primary colours?|What are the primary colors?", "Red, yellow and blue."),
    ("What are the four seasons?|What are the seasons?|Name the seasons.", "Spring, summer, autumn and winter."),
    ("Where does the Sun rise?", "The Sun rises in the east."), ("Where does the Sun set?", "The Sun sets in the west."),
    ("Is the Earth flat?|What shape is the Earth?|Is the Earth round?", "The Earth is round, nearly a ball."),
    ("Is the sky green?|Is fire cold?|Can pigs fly?|Is ice hot?|Do fish walk?", "No."), ("Is water wet?|Is fire hot?|Is ice cold?|Can birds fly?|Is snow white?", "Yes."),
    ("What is the capital of the Moon?", "The Moon has no capital."),
    ("What is the longest river?|Which river is the longest?", "The Nile and the Amazon are the longest rivers."),
    ("What is the highest mountain?|Which mountain is the highest?", "Mount Everest is the highest mountain."),
    ("What is a computer?", "A computer is a machine that follows instructions and works with data."),
    ("What is a language model?|What is an LLM?|What is a large language model?", "A language model is a program that continues text: it predicts the next token again and again."),
    ("What is AI?|What is artificial intelligence?", "Artificial intelligence means programs that do things for which people need thinking."),
    ("What is WebAssembly?|What is Wasm?|What is WASM?", "WebAssembly is a portable, sandboxed code format. Atoll's plugins are WebAssembly components."),
    ("What is Rust?|What is the Rust language?", "Rust is a programming language that is fast and memory-safe. Atoll is written in it."),
    ("What is JSON?", "JSON is a text format for data: objects, arrays, strings, numbers, true, false and null."),
    ("What is an API?", "An API is the interface through which one program uses another."),
    ("What is PII?|What is personal data?", "PII is personally identifiable information: data such as names, e-mail addresses or account numbers that point to a person."),
    ("What is a GPU?", "A GPU is a processor with thousands of small cores. It is fast at the matrix work of models."),
    ("What is an IBAN?", "An IBAN is an international bank account number."),
]


def arithmetic(d):
    """(question, answer, check, thought)."""
    roll = d.random()
    if roll < 0.45:
        a, b = (d.between(0, 20), d.between(0, 20)) if d.chance(0.6) else (d.between(0, 99), d.between(0, 99))
        op, value = "+", a + b
    elif roll < 0.7:
        a, b = (d.between(0, 20), d.between(0, 20)) if d.chance(0.6) else (d.between(0, 99), d.between(0, 99))
        a, b = max(a, b), min(a, b)
        op, value = "-", a - b
    elif roll < 0.92:
        a, b = d.between(0, 12), d.between(0, 12)
        op, value = "*", a * b
    else:
        b, value = d.between(1, 10), d.between(0, 10)
        a = b * value
        op = "/"
    word = {"+": "plus", "-": "minus", "*": "times", "/": "divided by"}[op]
    symbol = d.of(("*", "x", "×")) if op == "*" else d.of(("/", "÷")) if op == "/" else op
    e = d.of((f"{a}{symbol}{b}", f"{a} {symbol} {b}", f"{a} {symbol} {b}", f"{a} {word} {b}"))
    ask = d.of((f"What is {e}?", f"what is {e}", f"{e}", f"{e}?", f"{e} =", f"Calculate {e}", f"How much is {e}?", f"Compute {e}.", f"What's {e}?", f"Combien font {e} ?", f"كم يساوي {e}؟", f"Add up: {e}" if op == "+" else f"Work out {e}", f"Solve {e}", f"Tell me {e}."))
    only = d.chance(0.2)
    if only:
        ask += d.of((" Answer with the number only.", " Just the number."))
    shown = {"*": "×", "/": "÷"}.get(op, op)
    return ask, str(value) if only else f"{a} {shown} {b} = {value}", {"kind": "contains", "all": [str(value)]}, f"I calculate {a} {word} {b}. That is {value}."


def word_problem(d):
    a, b = d.between(2, 20), d.between(1, 12)
    n, thing = d.new(W.FIRST), d.of(W.FRUIT)
    thing = {"cherry": "cherrie", "peach": "peache", "mango": "mangoe", "strawberry": "strawberrie"}.get(thing, thing) + "s"
    if d.chance(0.5):
        return d.of((f"{n} has {a} {thing} and gets {b} more. How many {thing} does {n} have?", f"{n} buys {a} {thing} and then {b} more. How many {thing} is that?")), f"{n} has {a + b} {thing}.", contains(str(a + b)), f"{a} plus {b} is {a + b}."
    a, b = max(a, b) + 1, min(a, b)
    return d.of((f"{n} has {a} {thing} and eats {b}. How many are left?", f"{n} has {a} {thing} and gives away {b}. How many {thing} does {n} have now?")), f"{n} has {a - b} {thing}.", contains(str(a - b)), f"{a} minus {b} is {a - b}."


def ordering(d):
    roll = d.random()
    n = d.between(2, 8)
    if roll < 0.35:
        items = d.sample(range(0, 100), n) if d.chance(0.7) else d.sample(range(0, 1000), n)
        down = d.chance(0.3)
        out = sorted(items, reverse=down)
        how = d.of(("from largest to smallest", "in descending order")) if down else d.of(("from smallest to largest", "in ascending order", ""))
        ask = d.of(("Sort these numbers {h}: {x}", "Sort {x} {h}", "Put these numbers in order {h}: {x}", "Order these numbers {h}: {x}")).format(h=how, x=", ".join(map(str, items)))
        return ask.replace("  ", " ").replace(" :", ":"), ", ".join(map(str, out)), EXACT
    if roll < 0.55:
        items = d.sample(d.of((W.NOUN, W.FIRST, W.ANIMAL, W.CITY, W.FRUIT)), min(n, 6))
        ask = d.of(("Sort alphabetically: {x}", "Sort these words alphabetically: {x}", "Put in alphabetical order: {x}", "Alphabetical order: {x}")).format(x=", ".join(items))
        return ask, ", ".join(sorted(items)), EXACT
    if roll < 0.65:
        items = d.sample(range(0, 1000), n)
        big = d.chance(0.6)
        word = d.of(("largest", "biggest", "highest")) if big else d.of(("smallest", "lowest"))
        v = max(items) if big else min(items)
        return d.of((f"Which number is the {word}: {', '.join(map(str, items))}?", f"What is the {word} of {', '.join(map(str, items))}?")), str(v), contains(str(v))
    if roll < 0.75:
        items = d.sample(W.NOUN, n) if d.chance(0.6) else [S.opaque(d)[1] for _ in range(n)]
        ask = d.of(("How many items are in this list: {x}?", "Count the items: {x}", "How many entries does this list have? {x}", "Count these: {x}"))
        sep = "\n" if items[0] not in W.NOUN or d.chance(0.3) else ", "
        x = sep.join(items)
        return ask.format(x=("\n" + x) if sep == "\n" else x), str(len(items)), contains(str(len(items)))
    if roll < 0.85:
        items = d.sample(W.NOUN, n) if d.chance(0.7) else [S.opaque(d)[1] for _ in range(n)]
        ask = d.of(("Reverse this list: {x}", "Write these in reverse order: {x}", "Reverse the order: {x}"))
        return ask.format(x=", ".join(items)), ", ".join(reversed(items)), EXACT
    if roll < 0.93:
        items = d.sample(W.NOUN, n) if d.chance(0.5) else [S.opaque(d)[1] for _ in range(n)]
        i, name = d.of(((0, "first"), (1, "second"), (-1, "last"), (2, "third")))
        if i >= n:
            i, name = 0, "first"
        return d.of((f"What is the {name} item of this list: {', '.join(items)}?", f"Give me the {name} one: {', '.join(items)}", f"Which is the {name} word? {', '.join(items)}")), items[i], contains(items[i])
    return spelling(d)


def spelling(d):
    w = d.of(W.NOUN + W.ADJ) if d.chance(0.5) else S.pseudoword(d, False)
    if d.chance(0.5):
        return d.of((f"Spell {w}.", f"How do you spell {w}?", f"Spell the word {w}")), "-".join(w.upper()), EXACT
    return d.of((f"Write {w} in capital letters.", f"Uppercase: {w}", f"Write '{w}' in upper case", f"Make this uppercase: {w}")), w.upper(), EXACT


SKILLS = [(listing, 3), (sequences, 2), (calendar, 1.5), (capital, 3), (words, 4), (arithmetic, 4), (word_problem, 1.5), (ordering, 4), (spelling, 2)]
