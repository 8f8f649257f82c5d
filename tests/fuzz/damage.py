# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ways to damage input: values in trees of JSON, characters of texts, bytes. Every choice comes from the `random.Random` that is given."""

from __future__ import annotations

import pickle
import random
import typing as t

#: Numbers, texts and containers that code was not made for.
NUMBERS: tuple[t.Any, ...] = (
    -1,
    0,
    1,
    63,
    255,
    4095,
    65535,
    65536,
    2**31,
    2**32 - 1,
    2**32,
    2**53,
    2**63,
    2**64 - 1,
    2**64,
    10**400,
    10**5000,
    -(10**5000),
    0.5,
    -0.0,
    1e308,
    float("inf"),
    float("-inf"),
    float("nan"),
    True,
    False,
)
TEXTS: tuple[str, ...] = (
    "",
    " ",
    "0",
    "-1",
    "\u00b2",
    "\u0663",
    "1\u00b2",
    "0x",
    "0xf...f",
    "0x" + "f" * 3000,
    "9" * 5000,
    "0" * 5000 + "1",
    "0-65535",
    "65535",
    "0-",
    ",",
    "1,,2",
    "all",
    "none",
    "^all",
    "nodes:all",
    "node:0",
    "core:0.0",
    "1.0",
    "2.0",
    "NaN",
    "null",
    "true",
    "\0",
    "\n",
    "a\nb",
    "\r\n",
    "\t",
    "\x1b[31m",
    "\u202e",
    "\ud800",
    "\udc80",
    "\ufeff",
    "é" * 50,
    "\U0001d7d9",
    " " * 4000,
    "x" * 20000,
    "../../etc/passwd",
    "/",
    "-rf",
    "<a>&amp;",
    "%s%n",
    "{{ 1 }}",
    "0000:00:1f.2",
    ",".join(str(2 * number) for number in range(2000)),
)
HOLLOW: tuple[t.Any, ...] = (None, [], {}, [[]], [{}], {"": None}, [None] * 3)


def copied(found: t.Any) -> t.Any:
    """A copy of a tree. JSON would not take numbers of thousands of digits."""
    return pickle.loads(pickle.dumps(found))


def value(rng: random.Random) -> t.Any:
    """Any odd value."""
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(NUMBERS)
    if kind < 0.8:
        return rng.choice(TEXTS)
    return copied(rng.choice(HOLLOW))


# trees


def spots(tree: t.Any) -> list[tuple[t.Any, t.Any]]:
    """Every place in a tree as its container and the key there."""
    found = []
    trail = [tree]
    while trail:
        inner = trail.pop()
        keys = (
            list(inner) if isinstance(inner, dict) else range(len(inner)) if isinstance(inner, list) else ()
        )
        for key in keys:
            found.append((inner, key))
            trail.append(inner[key])
    return found


def tree(rng: random.Random, seed: t.Any) -> t.Any:
    """A copy of the tree, damaged at one to four places."""
    holder = [copied(seed)]
    for _time in range(rng.choice((1, 1, 1, 2, 3, 4))):
        places = spots(holder)
        container, key = rng.choice(places)
        _damage(rng, container, key, places)
        if not holder:
            return None
    return holder[0]


def _damage(rng: random.Random, container: t.Any, key: t.Any, places: list[tuple[t.Any, t.Any]]) -> None:
    old = container[key]
    choice = rng.random()
    if choice < 0.35:
        container[key] = _near(rng, old)
    elif choice < 0.6:
        container[key] = value(rng)
    elif choice < 0.72:
        del container[key]
    elif choice < 0.8:
        other, place = rng.choice(places)
        # what stands elsewhere may be gone, or around this
        if _has(other, place):
            container[key] = copied(other[place])
    elif isinstance(old, list) and old:
        if choice < 0.9:
            container[key] = (old * rng.choice((2, 3, 50)))[:MOST_MEMBERS]
        else:
            container[key] = [old[0]] * rng.choice((2, 300, 3000))
    elif isinstance(old, dict):
        old[rng.choice(TEXTS)[:50] if rng.random() < 0.7 else str(rng.randrange(100))] = value(rng)
    elif isinstance(container, dict):
        container[rng.choice(TEXTS)[:50]] = container.pop(key)
    else:
        container.insert(key, old)


def _has(container: t.Any, key: t.Any) -> bool:
    return key in container if isinstance(container, dict) else key < len(container)


def _near(rng: random.Random, old: t.Any) -> t.Any:
    """A value that differs a little from one."""
    if isinstance(old, bool):
        return not old
    if isinstance(old, int) and old.bit_length() > 1000:
        return -old
    if isinstance(old, int):
        return rng.choice((old + 1, old - 1, -old, old * 2, old + 1000, old / 2, str(old), [old]))
    if isinstance(old, str):
        return text(rng, old)
    if isinstance(old, list):
        return rng.sample(old, len(old)) if rng.random() < 0.5 else old[: len(old) // 2]
    return value(rng)


# texts


def text(rng: random.Random, seed: str) -> str:
    """A copy of the text, damaged at one to four places."""
    for _time in range(rng.choice((1, 1, 1, 2, 3, 4))):
        at = rng.randrange(len(seed) + 1)
        length = rng.choice((0, 1, 1, 2, 5, 20, 200))
        piece = seed[at : at + length]
        choice = rng.random()
        if choice < 0.3:
            put = rng.choice(TEXTS)
        elif choice < 0.4:
            put = str(rng.choice(NUMBERS[:15]))
        elif choice < 0.55:
            put = ""
        elif choice < 0.7:
            put = piece * rng.choice((2, 3, 100))
        elif choice < 0.85:
            put = "".join(chr(rng.randrange(0x20, 0x7F)) for _char in range(rng.randrange(4)))
        else:
            other = rng.randrange(len(seed) + 1)
            put = seed[other : other + rng.choice((1, 5, 40))]
        seed = (seed[:at] + put + seed[at + length :])[:MOST_TEXT]
    return seed


#: Characters of a damaged text: all limits that are documented are higher.
MOST_TEXT = 200_000
#: And members of a list that is made longer.
MOST_MEMBERS = 5_000


def data(rng: random.Random, seed: bytes) -> bytes:
    """A copy of the bytes, damaged at one to four places."""
    made = bytearray(seed)
    for _time in range(rng.choice((1, 1, 1, 2, 3, 4))):
        at = rng.randrange(len(made) + 1)
        choice = rng.random()
        if choice < 0.4 and made:
            made[at % len(made)] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif choice < 0.6 and made:
            made[at % len(made)] ^= 1 << rng.randrange(8)
        elif choice < 0.7:
            del made[at : at + rng.choice((1, 4, 16))]
        elif choice < 0.8:
            made[at:at] = made[at : at + rng.choice((1, 4, 16, 64))]
        elif choice < 0.9:
            made[at : at + 4] = rng.choice((b"\xff" * 4, b"\0" * 4, b"\0\0\0\x80", b"\xff\xff\0\0"))
        else:
            del made[at:]
    return bytes(made)


# smaller ones


def smaller(found: t.Any) -> t.Iterator[t.Any]:
    """Simpler forms of an input, larger steps first, for whoever looks for the least that still shows a fault."""
    if isinstance(found, (str, bytes)):
        size = len(found)
        step = size // 2
        while step:
            for start in range(0, size, step):
                yield found[:start] + found[start + step :]
            step //= 2
        return
    places = spots([found])
    for container, key in places:
        old = container[key]
        if isinstance(container, dict):
            del container[key]
            yield found
            container[key] = old
        elif container is not places[0][0]:
            del container[key]
            yield found
            container.insert(key, old)
        if isinstance(old, (str, list)) and len(old) > 1:
            container[key] = old[: len(old) // 2]
            yield found
            container[key] = old
