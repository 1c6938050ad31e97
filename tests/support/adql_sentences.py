"""Random sentences of ADQL 2.1, valid ones by derivation from the grammar and broken ones by one change of a token.

    python tests/support/adql_sentences.py [--sentences 10000] [--seed 1] [--log adql-sentences.jsonl]

holds strict mode against them: it takes what the grammar derives and refuses what it does not. Whether it derives a
changed sentence, ``adql_recogniser`` says. The command goes on where its log ends, and prints what was misjudged.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random

if __name__ == "__main__":  # run as a program, the folder of the tests is not on the path
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sqlglot.dialects.postgres import Postgres
from support import adql_bnf
from support.adql_bnf import TOKENS, Alternatives, Name, Node, Repeated, Terminal, production, reserved_words
from support.adql_recogniser import derivable

from qserv_py.adql.parse import Mode, parse
from qserv_py.errors import QservError

_ANY_CHARACTERS = "abcXYZ0189 _-+*/.,;:()[]{}<>=!%&|?@#$^~`\\\t\n\"'--é漢\u2028"
"""What "any character" of the grammar is drawn from."""

_LONGEST = 160
"""Tokens of a sentence."""


@dataclass(frozen=True)
class Token:
    """A word, a literal, a name or a symbol."""

    text: str
    kinds: frozenset[str]
    """The terminals of the grammar that it may be."""

    gap: str = ""
    """What stands before it."""


@dataclass(frozen=True)
class Sentence:
    """Tokens with what stands between them, and whether the grammar derives them."""

    tokens: tuple[Token, ...]
    valid: bool

    @property
    def text(self) -> str:
        """The sentence as a user sends it."""
        return "".join(token.gap + token.text for token in self.tokens)

    @property
    def functions(self) -> frozenset[str]:
        """All regular names in capitals: each may be a function of the service."""
        return frozenset(token.text.upper() for token in self.tokens if "regular_identifier" in token.kinds)

    @property
    def taken(self) -> bool:
        """Whether strict mode takes it."""
        try:
            parse(self.text, mode=Mode.STRICT, functions=self.functions)
        except QservError:
            return False
        return True


# derivation


@cache
def _sizes() -> dict[str, int]:
    """Return how many tokens the shortest text of each production has."""
    sizes = dict.fromkeys(adql_bnf.reachable(), _LONGEST) | dict.fromkeys(TOKENS, 1)
    changed = True
    while changed:
        changed = False
        for name in adql_bnf.reachable():
            size = _size(production(name), sizes)
            changed |= size < sizes[name]
            sizes[name] = min(size, sizes[name])
    return sizes


def _size(node: Node, sizes: dict[str, int]) -> int:
    if isinstance(node, Name):
        return sizes[node.name]
    if isinstance(node, Alternatives):
        return min(_size(option, sizes) for option in node.options)
    if isinstance(node, Repeated):
        return _size(node.what, sizes) if node.once else 0
    if isinstance(node, Terminal):
        return 1
    return sum(_size(part, sizes) for part in node.parts)


class _TooLongError(Exception):
    """A sentence grows beyond what is wanted."""


class _Derivation:
    """One random sentence; how long it gets and which alternatives it likes differs from sentence to sentence."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._enough = random.choice((10, 20, 40, 60, 90))
        self._likes: dict[int, list[float]] = {}
        self._shortest: dict[int, list[Node]] = {}
        self.tokens: list[Token] = []

    def follow(self, node: Node, depth: int = 0) -> None:
        if len(self.tokens) > _LONGEST or depth > _LONGEST:
            raise _TooLongError
        if isinstance(node, Name):
            if node.name in TOKENS:
                self.tokens.append(_token_of(node.name, self._random))
            else:
                self.follow(production(node.name), depth + 1)
        elif isinstance(node, Terminal):
            self.tokens.append(_fixed(node.text, self._random))
        elif isinstance(node, Alternatives):
            self.follow(self._chosen(node, depth), depth)
        elif isinstance(node, Repeated):
            for _ in range(self._random.choice((0, 0, 1, 2)) if self._goes_on(depth) else 0):
                self.follow(node.what, depth)
        else:
            for part in node.parts:
                self.follow(part, depth)

    def _goes_on(self, depth: int) -> bool:
        return len(self.tokens) < self._enough and depth < 60

    def _chosen(self, node: Alternatives, depth: int) -> Node:
        if self._goes_on(depth):
            if id(node) not in self._likes:
                sizes = (_size(option, _sizes()) for option in node.options)
                self._likes[id(node)] = [self._random.expovariate(1 + size) for size in sizes]
            likes = self._likes[id(node)]
            taken = self._random.choices(range(len(likes)), likes)[0]
            likes[taken] *= 0.5  # or most of a sentence would be one thing
            return node.options[taken]
        if id(node) not in self._shortest:
            sizes = [_size(option, _sizes()) for option in node.options]
            self._shortest[id(node)] = [
                option for option, size in zip(node.options, sizes, strict=True) if size == min(sizes)
            ]
        return self._random.choice(self._shortest[id(node)])


@cache
def _foreign_words() -> tuple[str, ...]:
    """Return words that dialects of SQL know and ADQL does not reserve: each is a name."""
    words = {word for word in Postgres.Tokenizer.KEYWORDS if word.isascii() and word.replace("_", "a").isalnum()}
    return tuple(sorted(word for word in words - reserved_words() if word[0].isalpha()))


def _token_of(name: str, random: Random) -> Token:
    if name == "regular_identifier" and random.random() < 0.15:
        text = _cased(random.choice(_foreign_words()), random)
    else:
        text = _written(Name(name), random)
        while name == "regular_identifier" and text.upper() in reserved_words():
            text = _written(Name(name), random)
    if name == "approximate_numeric_literal":
        text = _cased(text, random)
    is_whole = name == "exact_numeric_literal" and text.isdigit()
    return Token(text, frozenset({name, *(("unsigned_decimal",) if is_whole else ()), *_wider(name)}))


def _wider(name: str) -> tuple[str, ...]:
    return ("exact_numeric_literal",) if name == "unsigned_decimal" else ()


def _written(node: Node, random: Random) -> str:
    """Return random characters that a production of a token stands for."""
    if isinstance(node, Terminal):
        return node.text
    if isinstance(node, Repeated):
        return "".join(_written(node.what, random) for _ in range(random.choice((1, 1, 2, 3, 5))))
    if isinstance(node, Alternatives):
        return _written(random.choice(node.options), random)
    if isinstance(node, Name):
        if node.name in {"nonquote_character", "nondoublequote_character"}:
            quote = "'" if node.name == "nonquote_character" else '"'
            return random.choice(_ANY_CHARACTERS.replace(quote, ""))
        return _written(production(node.name), random)
    return "".join(_written(part, random) for part in node.parts)


def _fixed(text: str, random: Random) -> Token:
    return Token(_cased(text, random), frozenset({text}))


def _cased(word: str, random: Random) -> str:
    """Return a word in capitals, in small letters or in both."""
    how = random.randrange(4)
    if how == 3:
        return "".join(random.choice((letter.upper(), letter.lower())) for letter in word)
    return (word, word.upper(), word.lower())[how]


# what stands between tokens

_GAPS = (" ", " ", " ", "  ", "\n", "\t", "\r\n", " \n ", " -- ", "\n--- it's ", ' --"(" ')
_BRACKETS = {"(", ")", ","}
_OPERATORS = {"=", "<>", "!=", "<", ">", "<=", ">=", "+", "*", "/", "||"}
_PLAIN = {"regular_identifier", "delimited_identifier", "character_string_literal", "unsigned_decimal"}


def _spaced(tokens: Sequence[Token], random: Random) -> tuple[Token, ...]:
    """Return the tokens with random separators; some have none where the two tokens cannot run together."""
    spaced: list[Token] = []
    for token in tokens:
        gap = random.choice(_GAPS)
        gap = gap + random.choice(("", "x -- y", "/* ;")) + "\n" if "--" in gap else gap
        if spaced and random.random() < 0.4 and _may_touch(spaced[-1], token):
            gap = ""
        spaced.append(replace(token, gap=gap))
    return tuple(spaced)


def _may_touch(one: Token, other: Token) -> bool:
    return (
        one.text in _BRACKETS
        or other.text in _BRACKETS
        or (one.text in _OPERATORS and not other.kinds.isdisjoint(_PLAIN))
        or (other.text in _OPERATORS and not one.kinds.isdisjoint(_PLAIN))
    )


def _continued(tokens: Sequence[Token], random: Random) -> tuple[Token, ...]:
    """Return the tokens with some strings cut in two, which go on in a further line."""
    cut: list[Token] = []
    for token in tokens:
        cut.append(token)
        if token.text.startswith("'") and random.random() < 0.1:
            gap = random.choice(("\n", " \r\n\t", " -- 'more'\n", "\n\n"))
            cut.append(replace(_token_of("character_string_literal", random), gap=gap))
    return tuple(cut)


def _as_literals(tokens: Sequence[Token]) -> list[frozenset[str]]:
    """Return the terminals of the tokens; strings with a line's end between them are one."""
    return [
        token.kinds
        for before, token in zip((None, *tokens), tokens, strict=False)
        if before is None or not (before.text[0] == token.text[0] == "'" and "\n" in token.gap)
    ]


# sentences


def valid_sentence(random: Random) -> Sentence:
    """Return a random sentence of the grammar."""
    while True:
        derivation = _Derivation(random)
        try:
            derivation.follow(Name(adql_bnf.START))
        except _TooLongError:
            continue
        return Sentence(_continued(_spaced(derivation.tokens, random), random), valid=True)


@cache
def _strangers() -> tuple[Token, ...]:
    """Return tokens to put where they do not belong: of the grammar, reserved ones, and none of it."""
    terminals = {symbol for options in adql_bnf.plain_rules().values() for option in options for symbol in option}
    fixed = sorted(terminals - set(adql_bnf.plain_rules()) - set(TOKENS))
    known = [Token(text, frozenset({text})) for text in fixed]
    words = sorted(reserved_words() - set(fixed) - {"END-EXEC"})[::5]
    others = [*words, *";%[]?&~^:@$#`{}\\!_|", "..", "0x1F", "LIMIT 1"]
    return (*known * 2, *(Token(text, frozenset()) for text in others))


def _changed(tokens: Sequence[Token], random: Random) -> list[Token]:
    """Return the tokens with one left out, put in, put in place of another, or two swapped."""
    changed = list(tokens)
    place, what = random.randrange(len(changed)), random.randrange(5)
    if what == 0:
        del changed[place]
    elif what == 1:
        changed.insert(place, _stranger(random))
    elif what == 2:
        changed[place] = _stranger(random)
    elif what == 3:
        changed.insert(place, random.choice(tokens))
    else:
        other = random.randrange(len(changed))
        changed[place], changed[other] = changed[other], changed[place]
    return changed


def _stranger(random: Random) -> Token:
    if random.random() < 0.3:
        return _token_of(random.choice(TOKENS), random)
    return random.choice(_strangers())


def changed_sentence(sentence: Sentence, random: Random) -> Sentence:
    """Return a sentence with one token changed; it may be valid still."""
    tokens = _spaced(_changed(sentence.tokens, random), random)
    return Sentence(tokens, valid=bool(tokens) and derivable(_as_literals(tokens)))


def sentences(number: int, *, seed: int) -> Iterator[Sentence]:
    """Yield a valid sentence and changes of it, up to one that is broken; ``number`` tells one draw from another."""
    random = Random(f"{seed}:{number}")
    sentence = valid_sentence(random)
    yield sentence
    while True:
        changed = changed_sentence(sentence, random)
        yield changed
        if not changed.valid:
            return


# the command


def main() -> None:
    """Hold strict mode against random sentences, from where the log ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=10_000, help="valid ones, and as many broken ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, default=Path("adql-sentences.jsonl"))
    options = parser.parse_args()
    counts = Counter(json.loads(options.log.read_text().splitlines()[-1])) if options.log.exists() else Counter()
    if counts and counts["seed"] != options.seed:
        parser.error(f"{options.log} is of seed {counts['seed']}")
    counts["seed"] = options.seed
    with options.log.open("a", encoding="utf-8") as log:
        for number in range(counts["draws"], options.sentences):
            for sentence in sentences(number, seed=options.seed):
                counts["valid" if sentence.valid else "broken"] += 1
                if sentence.taken is not sentence.valid:
                    counts["misjudged"] += 1
                    print(json.dumps({"draw": number, "valid": sentence.valid, "text": sentence.text}))
            counts["draws"] = number + 1
            if counts["draws"] % 100 == 0 or counts["draws"] == options.sentences:
                log.write(json.dumps(counts) + "\n")
                log.flush()
    print(json.dumps(counts))
    sys.exit(counts["misjudged"] > 0)


if __name__ == "__main__":
    main()
