"""Questions about Atoll: reads `atoll_facts.txt`, expands it into phrasings."""

import pathlib

WHAT = (
    "What is {}?|What is {} in Atoll?|What does {} mean?|Explain {}.|Can you explain {}?|Tell me about {}.|Define {}.|"
    "What exactly is {}?|I do not know what {} is.|What's {}?|Please explain {} to me.|What do you mean by {}?|"
    "In Atoll, what is {}?|Explain {} in simple words.|{}?|what is {}|Could you tell me what {} is?|Describe {}."
).split("|")
HOW = (
    "How do I {}?|How can I {}?|How do I {} in Atoll?|How to {}?|I want to {}.|I want to {}. What do I do?|Show me how to {}.|"
    "What is the way to {}?|How does one {}?|Can I {}?|What command do I use to {}?|Help me {}.|I would like to {}.|"
    "how do i {}|Is it possible to {}?|How would I {} with Atoll?|Tell me how to {}.|What do I need to do to {}?|how to {}"
).split("|")
WRAP = (
    "{}|{}|{}|{}|{}|Question: {}|Hi! {}|Hello, {}|I have a question. {}|Quick question: {}|Please answer: {}|{} Thanks!|About Atoll: {}|"
    "I am new here. {}|{} Please be brief.|Can you help? {}|One more thing: {}|{} I could not find it in the docs."
).split("|")


def load():
    """List of dicts: key, answers, questions, held (evaluation questions), must."""
    facts = []
    for line in (pathlib.Path(__file__).parent / "atoll_facts.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("= "):
            facts.append({"key": line[2:].strip(), "answers": [], "questions": [], "held": [], "must": []})
        elif line[:2] in ("A:", "T:", "V:", "Q:", "H:", "M:"):
            fact, rest = facts[-1], line[2:].strip()
            if line[0] == "A":
                fact["answers"].append(rest)
            elif line[0] == "Q":
                fact["questions"].append(rest)
            elif line[0] == "H":
                fact["held"].append(rest)
            elif line[0] == "M":
                fact["must"] = [m.strip() for m in rest.split(";")]
            else:
                forms = WHAT if line[0] == "T" else HOW
                for term in rest.split(";"):
                    fact["questions"] += [f.format(term.strip()) for f in forms]
    return facts


FACTS = load()

#: Words that people use for one another.
SYNONYMS = [
    line.split()
    for line in """machine computer node box host
start launch run begin
show print display see
command instruction
turn switch
kind type sort
use employ utilise
find discover locate
make create build write
plugin plugins add-on extension module
remove delete uninstall
add install put
file document
safe secure
fast quick speedy
big large
what which
does will
where which
support handle know
speak understand
folder directory
settings configuration options config
explain describe
tell say
model llm
answer reply response
request call query
memory RAM
key token
crash fail break die
connect join link
change modify edit
question query
written made implemented
happens occurs
stop end quit halt
allow permit
hide mask conceal
personal private sensitive
data information
need require
network net
measure determine
get obtain receive
download fetch
program software application
contain include have""".splitlines()
]
SYNONYM = {w: [x for x in row if x != w] for row in SYNONYMS for w in row}
STOP_WORDS = set("a an the is are do does did i it of to in on for and or what how which who why when where can could you me my please be there this that with by from at as has have will would atoll atoll's what's about not one two".split())


def bare(question):
    """A question without case and closing marks, for comparing."""
    return question.lower().rstrip("?. ")


HELD = {bare(q) for fact in FACTS for q in fact["held"]}


def keywords(fact):
    """Content words of a fact's own questions."""
    out = []
    for q in fact["questions"]:
        for w in q.strip("?.!").split():
            w = w.strip("?.,!:'")
            if w and w.lower() not in STOP_WORDS and w not in out and w.lower() not in ("mean", "explain", "tell", "define", "exactly", "simple", "words", "show", "help", "want", "like", "command", "need", "possible", "tell", "describe", "know", "term"):
                out.append(w)
    return out


for _fact in FACTS:
    _fact["keywords"] = keywords(_fact)


def reword(d, q):
    """Synonyms, a lost word, a swapped pair: what keeps the sense of a question about its key words."""
    words = q.split(" ")
    for i, w in enumerate(words):
        bare = w.strip("?.,!")
        if bare.lower() in SYNONYM and d.chance(0.3):
            new = d.of(SYNONYM[bare.lower()])
            words[i] = w.replace(bare, new.capitalize() if bare[:1].isupper() else new)
    if len(words) > 4 and d.chance(0.3):
        i = d.between(0, len(words) - 1)
        if words[i].lower() in STOP_WORDS:
            words.pop(i)
    return " ".join(words)


def surface(d, question):
    """Small changes that people make."""
    q = question
    if d.chance(0.5):
        q = d.of(WRAP).format(q)
    roll = d.random()
    if roll < 0.08:
        q = q.lower()
    elif roll < 0.16:
        q = q.rstrip("?.")
    elif roll < 0.2:
        q = q.rstrip("?.") + " ?"
    elif roll < 0.23:
        q = q.upper() if len(q) < 40 else q
    return q


def ask(d, held=False):
    """(question, answer, check). In training, one phrasing in ten of each fact is left for the evaluation."""
    fact = d.of(FACTS)
    if held:
        return d.of(fact["held"]), fact["answers"][0], {"kind": "fact", "key": fact["key"]}
    q = d.of(fact["questions"])
    while not d.allowed(fact["key"] + q):
        fact = d.of(FACTS)
        q = d.of(fact["questions"])
    check = {"kind": "fact", "key": fact["key"]}
    if d.chance(0.35):
        q = reword(d, q)
    elif d.chance(0.12) and len(fact["keywords"]) >= 2:
        kw = d.sample(fact["keywords"], min(len(fact["keywords"]), d.between(2, 4)))
        q = d.of(("{}", "{}?", "What about {}?", "Tell me about {}.", "{} in Atoll", "I have a question about {}.", "How is it with {}?", "{} please")).format(" ".join(kw))
    if bare(q) in HELD:
        # Rewording met a question of the evaluation.
        return ask(d)
    return surface(d, q), d.of(fact["answers"]), check
