"""Which secrets somebody who tries would find: one rule for the service that signs and the guard that believes it."""

import re
from hashlib import sha256
from itertools import pairwise
from typing import Final

_MIN_CHARACTERS: Final = 16
_MIN_DIFFERENT: Final = 8

_EXAMPLE_WORDS: Final = re.compile(
    r"change[-_ ]?me|(?:128|256|384|512)[-_ ]?bits?|at[-_ ]?least|secret|password|example|your|super|insecure|dev|test"
    r"|key|string|valid|long|very|random|token|jwt|private|default|please|replace|nobody|knows|this|that|which|with|is"
    r"|characters?|chars?|secure|safe|sign|verify|own|some|use|really"
    r"|qwerty|uiop|asdf|ghjkl|zxcv|bnm|1qaz|2wsx|3edc|4rfv|5tgb|6yhn|7ujm|8ik|9ol|0p"
    r"|correct|horse|battery|staple|quick|brown|fox|jumps|over|lazy|dog"
    r"|3\.?1415926\d*|2\.?7182818\d*",
    re.IGNORECASE,
)
_AROUND: Final = " \t\r\n\"'`"
"""What a shell or a ``.env`` file may leave around a value."""

_PUBLISHED: Final = frozenset(
    {
        "570dad43de1af4c925f92c16a68a50936da42b7dd6fdeb24850507a1199aac89",  # FastAPI's tutorial on OAuth2 with JWT
        "2598f7d6adc142d88161630f3db12ab2bd3403521c281811e5e1ce60d4ac5d76",  # Flask's quickstart, under sessions
        "2b1fa627178e3424e20ffd0e18b7440c322ad538d3c96aef1e3f60d99951c23c",  # a much copied course on Spring Security
        "5df73e1aa59d8f332c2f5fd6ea1c37d0f2266b623ea3c4efe6cb3d577fd6a5e1",  # another
        "138e3c21f8c5581ec97cca6b029c0b232b5bc4bfe6d573ace3be91f80784e2b4",  # a third
        "1a9009e718b3f9c9a913ddeff21ba6631939dae4620c5f6b33dd45e1051a2a0f",  # a fourth
        "4c0bf08221f3d71e4ed7b093b627cc8d4cb32250d5d70abdffa457a3afbc04f2",  # a fifth
        "594c081d23de22b178ba34a9c8551fe23d3a7034d92717a5cb4a054337a4c714",  # and a sixth
        "909a20f456d403cdd07a05db862034ab777325831c9cb5695954278638598a5c",  # an article on ASP.NET Core with JWT
        "2e3bb4e5dc36f6398af5d55ae14f3fd81310012071591eacc5f21ec581b915fc",  # another
        "28ca275a699549afa8721d0eef23745ed58b49b8a0c3ac9f97249aa5e893b29a",  # a third
        "de8636d191c8fb6d5a6573e5a4c646106abf1973d62ed654f6bc2957217d3b8f",  # and a fourth
        "f7756803cad8cf2c559107ce2d24d1771aa072d9fdc9546bfecdd4800f879a49",  # BezKoder's tutorials on Spring Boot
        "b7d3e3ef15c122545d5de37febbe42cbcdbcbea6212c3783166a45fbc721c195",  # Dify's .env.example
        "9e3d98cb865eaebb0f83ee8e3cb2fe28d855fdc26c36926a40d5f3ad4daeb9fa",  # NestJS's documentation
        "a6408019dec5f522571c99ae381e06bc43487d61f5010ee8667b6c644a96bb94",  # Jason Watmore's tutorials on JWT
        "234a0395347dbde7c8a7dc082a018670f28b8bea2bc809e1d77ba708e70dc068",  # Nacos' documentation
        "9524778ec96458f7d842cbe42d743ab9b1e068841c2c805fa4045ad898ad4282",  # Redash's settings, until CVE-2021-41192
        "646fe7e9335545a335fb9022920147545976f6cae2c8b98b754d19afc5e5c09e",  # Directus' compose file, KEY
        "982f4e3a0216f3923e28c393cb83e8a04499a390d262171cdad4d67c5e383122",  # and SECRET
        "a59e993b12b84cd042858443749443fbe38d1e32fbab430e2b9e328e24290ebc",  # Hasura's documentation on JWT
        "76b62842a18971254e1c750e26388daf9eca6b5cb62ccd5291d4eda43bdf9894",  # an example of JJWT's, much copied
        "c1d2e8726375f11fda33d032c5d84eec753aba4bad251dfdfaf8bdd8c4d26243",  # RFC 7515, appendix A.1
        "03cf6dc15510c178079793372edd09e634ac49f4cae267b3e4191a5141f2a46e",  # RFC 7520, section 3.5
        "1ea0a6f4a6172cbe9daaaa7009a51d5490fbd62058150a5738cc7efd5a21ab64",  # LobeChat's compose file, NEXT_AUTH_SECRET
        "a91acfbbf23b9841cb9ab8fa70cad772b70cdb78980b69d96f8c24f046936bd3",  # and KEY_VAULTS_SECRET
        "d818c75b7e2a38133bc4c17918b048ada122d40039e75f68be1607de0dd13ec1",  # Supabase's .env.example, SECRET_KEY_BASE
        "627507f04b33fb434001b83fa1d73b39c7d9a88f2b9a3aec652527a7f0ea571a",  # and PG_META_CRYPTO_KEY
        "a314a6c7c0570ea1766a61e0475167c4ae8029c18b5a85d205473cd3bbd73ed4",  # JeecgBoot's signatureSecret
        "9026d3d1734f0b094984dc375921cb7fe152a2d70eb269386cfcb0dcb86568e4",  # Apache Superset's, until CVE-2023-27524
        "2ef2503d964e9668092e6878d3c390ca7909bbbffabd781857115e3be4bb3e5a",  # AES-128's key in FIPS 197 and SP 800-38A
        "837e8e636d452b6133d5a5c56de1eb57c08a94bbe632804fa621a49014c5c034",  # AES-256's in SP 800-38A
    }
)
"""SHA-256 digests of secrets, in small letters, that look random and stand in public code by the thousand."""
_HASHED: Final = {sha256(word + end).hexdigest() for word in (b"", b"secret", b"password") for end in (b"", b"\n")}
"""Secrets that were made of next to nothing; with its end of line, as ``echo`` writes it."""
_COUNTED: Final = {bytes(range(length)).hex() for length in (16, 24, 32, 64)}
"""FIPS 197's keys for AES, and as many bytes more as HS512 takes."""
_TEMPLATE: Final = re.compile(
    # A command, or a variable of Kubernetes'; ``$(`` alone is in one of fifty secrets that Django makes.
    r"\$\((?:<\s*[\w./~${}-]+|[^)\s]*\s.*|[A-Z][A-Z\d_]{2,})\)|\$\{[\w.:]{10,}(?:[-?+=|@/%#\[\s].*)?\}|%env\("
    r"|\{\{(?:[\w\s.$|:\"'()\[\]/,-]{4,}|[-~&]?\s[^{}]{4,}\s-?)\}\}"
    r"|<%(?:[\w\s.:\"'()\[\]/,=-]{4,}|[-=]{,2}\s[^<>]{4,}\s-?)%>",
    re.DOTALL,
)
_WHOLE_TEMPLATE: Final = re.compile(
    # Nothing else before or behind: a command of an older shell, variables of shells and of systems that roll programs
    # out, a blank to be filled in.
    r"`[a-z/][\w/.-]*\s.*`|\${1,2}(?:env:)?[A-Z]+(?:_[A-Z\d]+)+|%[A-Z]+(?:_[A-Z\d]+)+%|__[A-Z]+(?:_[A-Z\d]+)+__"
    r"|\${1,2}[a-z]+(?:_[a-z\d]+)+|@[A-Z]+(?:_[A-Z\d]+)+@|\{(?:[A-Z]+(?:_[A-Z\d]+)+|[a-z]+(?:_[a-z\d]+)+)\}|%\(\w+\)s"
    r"|\[\[[\w .-]+\]\]|#\{[\w.-]+\}#?|<{1,2}(?=[^>]*[-_ ])[\w `:.,!/-]+>{1,2}|\[(?=[^\]]*[-_ ])[\w `:.,!/-]+\]",
    re.DOTALL,
)
_BETWEEN: Final = re.compile(r"[/\\:._~ -]+")
_NAMED: Final = re.compile(r"[A-Z]*[a-z]*(?:[A-Z][a-z]+)*(?:\d+[a-z]*)?")
"""A part of a file's name: a word in any of the usual letters, or some in ``CamelCase``."""


def is_guessable(secret: bytes) -> bool:
    """Whether a secret, however long, is nothing that anybody made at random, or is known to everybody.

    Args:
        secret: a text in UTF-8, or any bytes.
    """
    whole = secret.decode(errors="surrogateescape")
    text = whole.strip(_AROUND)
    once = _unit(text)
    for known in (text.lower(), once.lower()):
        if known in _HASHED or sha256(known.encode(errors="surrogateescape")).hexdigest() in _PUBLISHED:
            return True
    if once.lower() in _COUNTED or is_template(whole) or is_path(text):
        return True
    # What makes up the length of a well-known word must be random by itself: "changeme" and 24 zeros are not.
    rest = _without_runs(_EXAMPLE_WORDS.sub("", once))
    return len(rest) < _MIN_CHARACTERS or len(set(rest)) < _MIN_DIFFERENT


def is_template(text: str) -> bool:
    """Whether a text still says where its value was to come from: ``${NAME}``, ``$(openssl …)``."""
    whole = text.strip(_AROUND.replace("`", ""))
    return _TEMPLATE.search(text) is not None or _WHOLE_TEMPLATE.fullmatch(whole) is not None


def is_path(text: str) -> bool:
    """Whether a text looks like a file's name: all of it words, as no base64 is, with a slash among them."""
    return ("/" in text or "\\" in text) and all(map(_NAMED.fullmatch, _BETWEEN.split(text)))


def _unit(text: str) -> str:
    """What a text repeats, be it that the last time breaks off: ``abc`` of ``abcabcab``; all of it if nothing."""
    return next((text[:end] for end in range(1, len(text)) if text.startswith(text[end:])), text)


def _without_runs(text: str) -> str:
    """A text without what the three characters before tell: ``efg`` behind ``bcd``, ``233`` behind ``112``."""
    steps = [ord(after) - ord(before) for before, after in pairwise(text)]
    rest = zip(text[3:], steps[2:], steps[1:], steps, strict=False)
    return text[:3] + "".join(each for each, step, *before in rest if step not in before or abs(step) > 1)
