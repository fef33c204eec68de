"""Stories, poems, jokes, advice and summaries, from templates with enough joints not to sound like one sentence."""

import re

from . import strings as S
from . import words as W

HERO_WANT = "find a lost {n}|see the sea|learn to sing|build a {n}|cross the {p}|make a friend|climb the hill|bring a letter to {c}|catch a star|open the old {n}".split("|")
PLACE = "forest|valley|harbour|village|desert|island|mountain|river|garden|market|lighthouse|library|station|castle|meadow".split("|")
START = "Once there was {a} {j} {h} named {x} who lived near the {p}.|In {a3} {j2} {p} lived {a} {j} {h} called {x}.|{x} was {a} {j} {h} from the {p}.|Long ago, {a} {j} {h} named {x} lived by the {p}.|Nobody in the {p} was as {j} as {x} the {h}.".split("|")
WANT = "{x} wanted to {w}.|All {x} wanted was to {w}.|Every day {x} dreamed of one thing: to {w}.|One morning {x} decided to {w}.|More than anything, {x} wished to {w}.".split("|")
TROUBLE = "But the way was long and the night was {j}.|But a {j} storm came over the {p}.|But nobody believed that it could be done.|But the bridge was broken.|But the door was locked and the key was gone.|But there was only one {n} left.|But the map was wrong.".split("|")
HELP = "Then {y} the {g} came and showed a {j} path.|Luckily, {y} the {g} had a {n} and was glad to share it.|{y}, {a2} {j} {g}, said: \"We can do it together.\"|{y} the {g} heard of it and said: \"Take my {n}, it will help you.\"|Then {x} met {y} the {g}, who knew what to do.|It was {y}, {a2} {j} {g}, who had the right idea.".split("|")
DO = "They walked all night.|They worked until the sun came up.|Step by step, they went on.|{x} tried once, tried twice, and the third time it worked.|Together they tied the {n} to the {n2}.|They waited for the wind and then they ran.".split("|")
END = "In the end {x} was home again, tired and happy.|From then on they were friends.|And {x} never forgot that day.|That evening everybody in the {p} sang.|And if you visit the {p}, you may still see them there.|{x} smiled, because the best part had been the way.".split("|")


HERO_ADJ = "brave clever curious patient shy cheerful lazy young old hungry lonely gentle proud little quick wise friendly honest humble kind lucky quiet restless stubborn".split()
THING_ADJ = "quiet old hidden green distant golden silver small wide deep dark long narrow strange warm bright secret misty snowy sunny windy empty ancient".split()


def cast(d):
    h, g = d.sample(W.ANIMAL + W.JOB, 2)
    j = d.of(HERO_ADJ)
    return dict(
        x=d.new(W.FIRST) if d.chance(0.5) else S.pseudoword(d, True), y=d.new(W.FIRST), h=h, g=g, j=j, j2=(j2 := d.of(THING_ADJ)), a3="an" if j2[0] in "aeiou" else "a", a="an" if j[0] in "aeiou" else "a", a2="an" if j[0] in "aeiou" else "a",
        p=d.of(PLACE), c=d.new(W.CITY), n=d.of(W.NOUN), n2=d.of(W.NOUN),
    )


def long_story(d):
    """Several paragraphs about one hero."""
    ask = d.of(("Tell me a long story.", "Write a long story.", "Write a long story about {a0} {h}.", "Tell me a long story about {a0} {h} named {x}.", "Write a story with several paragraphs.", "I want a long bedtime story.", "Write a story of 300 words.", "Write a long text."))
    c = cast(d)
    a0 = "an" if c["h"][0] in "aeiou" else "a"
    paragraphs = []
    for i in range(d.between(3, 5)):
        lines = []
        if i == 0:
            lines.append(d.of(START))
        else:
            lines.append(d.of(("The next day {x} woke up early in a {j} {p}.", "A week later {x} came to a {j} {p}.", "Then, one {j} evening, {x} heard a song from the {p}.", "But that was not the end for {x}.", "In the {p}, {x} met {y} the {g}.", "After a long walk {x} saw a {j} {p}.")))
            c.update(p=d.of(PLACE), y=d.new(W.FIRST), g=d.of(W.ANIMAL + W.JOB))
        lines += [d.of(WANT).replace("{w}", d.of(HERO_WANT)), d.of(TROUBLE), d.of(HELP), d.of(DO)]
        text = []
        for line in lines:
            if line not in START:
                c["j"] = d.of(HERO_ADJ) if "{a2}" in line else d.of(THING_ADJ)
            c["n"] = d.of(W.NOUN)
            c["a2"] = "an" if c["j"][0] in "aeiou" else "a"
            text.append(line.format(**c))
        paragraphs.append(" ".join(text))
    paragraphs.append(d.of(END).format(**c))
    text = re.sub(r"\ba (?=[aeiou])", "an ", "\n\n".join(paragraphs))
    return ask.format(a0=a0, **c), text, {"kind": "contains", "all": [], "length": (400, 3000)}


def story(d):
    """(user, answer, check)."""
    c = cast(d)
    given = d.random()
    if given < 0.4:
        ask = d.of(("Tell me a story about {a0} {h} named {x}.", "Write a story about {x} the {h}.", "A story about {a0} {h} called {x}, please.", "Tell a short story about {x}, {a0} {h}."))
    elif given < 0.62:
        ask = d.of(("Tell me a story about {a0} {h}.", "Write a short story about {a0} {h}.", "Story about {a0} {h}", "Can you tell a story about {a0} {h}?", "tell me a story about {a0} {h}"))
    else:
        ask = d.of(("Tell me a story.", "Tell me a short story", "Write a short story.", "tell me a story", "Can you tell me a story?", "I want a story", "A bedtime story, please.", "Make up a story.", "Tell me a bedtime story.", "Write me a story", "Once upon a time"))
    a0 = "an" if c["h"][0] in "aeiou" else "a"
    parts = []
    for group in (START, WANT, TROUBLE, HELP, DO, END):
        line = d.of(group)
        line = line.replace("{w}", d.of(HERO_WANT))
        if group is not START:
            c["j"] = d.of(HERO_ADJ) if "{g}" in line and "a2" in line else d.of(THING_ADJ)
        c["a2"] = "an" if c["j"][0] in "aeiou" else "a"
        c["n"] = d.of(W.NOUN)
        parts.append(line.format(**c))
    must = [c["x"]] if given < 0.4 else [c["h"]] if given < 0.62 else []
    text = re.sub(r"\ba (?=[aeiou])", "an ", " ".join(parts))
    if given < 0.62 and c["h"] not in text:
        text = text + f" That is the story of the {c['h']}."
    return ask.format(a0=a0, **c), text, {"kind": "contains", "all": must, "length": (80, 900)}


POEM = [
    ("The {n} sleeps beneath the sky,", "the {j} clouds are drifting by,", "a {j2} bird begins to sing", "of {c} and of everything."),
    ("A {j} {n} upon the hill", "stands in the morning, calm and still.", "The wind goes by, the day is new,", "the sea below is wide and blue."),
    ("I saw a {n} beside the sea,", "as {j} as a {n} can be.", "It had no word, it made no sound,", "and yet a little song it found."),
    ("Little {n}, {j} and bright,", "keep your lamp on through the night.", "When the morning comes to stay,", "you may rest another day."),
    ("The {n} is {j}, the night is long,", "the waves have made a quiet song.", "They sing of ships and distant land,", "of footprints fading in the sand."),
]
HAIKU = [
    ("Waves around the reef", "a {n1} under the {j1} moon", "the lagoon is still"), ("Morning on the hill", "a {j1} bird begins its song", "then the wind replies"),
    ("Old {n1} in the rain", "a {j1} leaf is passing by", "nobody is home"), ("The {j1} sea at night", "one small boat without a sail", "stars above the mast"),
    ("First snow on the roof", "the {n1} wears a {j1} hat", "children laugh outside"), ("Warm light in the room", "the {j1} cat counts all the flies", "summer afternoon"),
]
JOKE = [
    "Why did the plugin stay in its sandbox? Because outside it had no permission to play.", "Why do fish never use computers? They are afraid of the net.",
    "Why was the computer cold? It had left its windows open.", "What do you call a sleeping bull? A bulldozer.", "Why did the token cross the road? It was the most likely thing to do next.",
    "What did the ocean say to the reef? Nothing, it just waved.", "Why was the broom late? It had overswept.", "Why can the bicycle not stand alone? It is two tired.",
    "What do clouds wear under their coats? Thunderwear.", "Why did the scheduler break up with the queue? It needed more space between requests.",
    "Why did the tomato turn red? It saw the salad dressing.", "What is a pirate's favourite letter? You would think R, but his first love is the C.",
]
ADVICE = [
    ("How do I make tea?|How do you make tea?|Tell me how to make tea.", "1. Boil fresh water.\n2. Put a spoon of tea into the pot.\n3. Pour the water over it and wait three minutes.\n4. Pour it into a cup and enjoy."),
    ("How do I make coffee?|How do you make coffee?", "1. Grind the beans.\n2. Put the coffee into a filter.\n3. Pour hot water over it slowly.\n4. Wait until it has run through, and enjoy."),
    ("How do I boil an egg?|How do you boil an egg?", "Put the egg into boiling water, wait five minutes for a soft egg or nine for a hard one, and cool it in cold water."),
    ("How can I sleep better?|I cannot sleep, what can I do?|How do I sleep well?", "Go to bed at the same hour, keep the room dark and cool, and put the phone away."),
    ("How do I learn a language?|How can I learn French?|How do I learn faster?", "Practise a little every day, speak aloud, and repeat what you learnt yesterday."),
    ("Give me some advice|Give me advice.|Give me a tip|Do you have advice for me?", "Do one thing at a time, and take a break before you need one.|Write down what you want to remember.|Drink water, sleep well, and be kind."),
    ("Say something nice|Give me a compliment|Motivate me|Encourage me|Cheer me up", "You ask good questions, and that is how everything starts.|You have come a long way already. Keep going!"),
    ("What should I eat?|What should I cook?|What should I cook today?|Give me a recipe|Give me a recipe idea", "Try a simple salad: tomato, cucumber, onion, olive oil, lemon and salt.|How about pasta with garlic, tomato and a little cheese?"),
    ("Write a slogan|Give me a slogan for a bakery|Write a slogan for a shop|Give me a slogan", "Small things, made with care.|Fresh today, remembered tomorrow."),
    ("Wish me luck|I have an exam tomorrow|I have a job interview tomorrow", "Good luck! You are prepared, so stay calm and take your time."),
    ("Happy birthday!|It is my birthday|Today is my birthday", "Happy birthday! I wish you a wonderful day."),
    ("Write a birthday message|Write a birthday card|Write a birthday wish", "Happy birthday! May your year be full of good health, good friends and good surprises."),
    ("Merry Christmas|Happy new year|Eid Mubarak|Happy holidays", "Thank you, and the same to you!"),
]


def short_forms(d):
    roll = d.random()
    if roll < 0.25:
        p = d.of(POEM)
        topic = d.of(W.NOUN)
        given = d.chance(0.5)
        ask = d.of((f"Write a poem about a {topic}.", f"Poem about a {topic}", f"Write a short poem about the {topic}.")) if given else d.of(("Write a poem.", "Write a short poem", "Write me a poem", "A poem, please.", "Can you write a poem?", "poem", "Write a poem about the sea.", "Tell me a poem"))
        j, j2 = d.sample(W.ADJ, 2)
        text = "\n".join(p).format(n=topic, j=j, j2=j2, c=d.of(W.CITY))
        text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)
        return ask, text, {"kind": "contains", "all": [topic] if given else [], "length": (60, 400)}
    if roll < 0.5:
        h = "\n".join(d.of(HAIKU)).format(n1=d.of("lantern garden village harbour wooden-gate window temple mountain".replace("-", " ").split()), j1=d.of("silver golden quiet gentle distant lonely yellow amber tiny".split()))
        ask = d.of(("Write a haiku.", "Write a haiku", "haiku", "Give me a haiku.", "Write a haiku about the sea", "Write a haiku about the ocean.", "Can you write a haiku?", "A haiku, please.", "Write me a haiku about summer", "Make a haiku", "write a haiku about an atoll", "Write a short haiku"))
        return ask, h, {"kind": "contains", "all": [], "lines": 3}
    if roll < 0.72:
        ask = d.of(("Tell me a joke.", "Tell me a joke", "joke", "Make me laugh", "Do you know a joke?", "Tell me another joke.", "A joke, please!", "Say something funny", "tell me a funny joke", "Give me a joke", "One more joke", "Can you tell me a joke?"))
        return ask, d.of(JOKE), {"kind": "one_of", "any": JOKE}
    q, a = d.of(ADVICE)
    return d.of(q.split("|")), d.of(a.split("|")), {"kind": "one_of", "any": a.split("|")}


#: main sentence, details that a summary leaves out
EVENTS = [
    ("{x} opened a new {shop} in {c} on {t}.", ("The walls were painted {k}.", "Many neighbours came to look.", "There was free coffee for everybody.", "The first customer bought a {n}.")),
    ("The train from {c} to {c2} was {m} minutes late on {t}.", ("A tree had fallen on the rails.", "Some passengers waited in the cafe.", "The staff gave out water.", "Nobody was hurt.")),
    ("{x} of {o} sold {m} {ns} in {c} last month.", ("That is more than the year before.", "The team celebrated with a cake.", "Most were {k}.", "A second shop is planned.")),
    ("{o} will move its office from {c} to {c2} on {t}.", ("The old building is too small.", "The new one has a garden.", "All telephone numbers stay the same.", "Boxes are in the hall.")),
    ("{x} lost a {k} {n} at the station of {c}.", ("It happened early in the morning.", "The station was full of people.", "There is a small reward.", "The police were told.")),
    ("The meeting about {tp} was moved to {t}.", ("{x} had asked for a change.", "The room stays the same.", "Coffee will be served.", "Please bring your notes.")),
    ("{o} pays {m} euros to {x} for the order {r}.", ("The goods arrived in good condition.", "The invoice came by post.", "Both sides are content.", "The bank needs two days.")),
    ("The school in {c} needs {m} new {ns}.", ("The old ones are broken.", "Parents want to help.", "A letter was sent to the city.", "{x} teaches there.")),
]


def summary(d):
    main, details = d.of(EVENTS)
    c, c2 = d.some(W.CITY, 2)
    f = dict(x=S.pseudonym(d) if d.chance(0.25) else S.person(d), shop=d.of(("bakery", "library", "bookshop", "cafe", "museum", "workshop")), c=c, c2=c2, t=d.of((d.of(W.DAY), S.date(d))), k=d.of(W.COLOUR), n=d.of(W.NOUN), ns=S.plural(d.of(W.NOUN)),
             m=d.between(3, 400), o=f"{d.of(W.COMPANY_A)} {d.of(W.COMPANY_B)}", tp=d.new(W.TOPIC), r=S.opaque(d)[1])
    key = main.format(**f)
    parts = [key] + [s.format(**f) for s in d.sample(details, d.between(2, 4))]
    if d.chance(0.4):
        parts.insert(0, d.of(("Here is some news.", "Hello everybody.", "Good morning.", "A short notice.", "Dear all,")))
    if d.chance(0.3):
        # Any text: the first sentence stands for it.
        parts = [S.sentence(d) for _ in range(d.between(2, 6))]
        key = parts[0]
    text = " ".join(parts)
    ask = d.of(("Summarize in one sentence: {t}", "Summarize this text: {t}", "Summarise:\n{t}", "{t}\n\nSummarize this.", "Give me a short summary.\n\n{t}", "TL;DR: {t}", "What is the main point?\n{t}", "Summarize the following text.\n\n{t}", "Résume ce texte : {t}", "Shorten this: {t}"))
    return ask.format(t=text), key, {"kind": "contains", "all": [key]}


SKILLS = [(story, 3), (long_story, 0.7), (short_forms, 3), (summary, 3)]
