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
    return surface(d, q), d.of(fact["answers"]), check
