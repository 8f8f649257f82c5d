# Copyright (c) 2026, dom0.xen contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What libxlutil (4.17) was seen to accept, refuse and understand, case by case; and edits to the letter."""

import os

import pytest
from ansible_collections.dom0.xen.plugins.module_utils._errors import Failure
from ansible_collections.dom0.xen.plugins.module_utils._toolstack import xlcfg

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def corpus(name):
    with open(os.path.join(CORPUS, name), "rb") as stream:
        return xlcfg.decode(stream.read())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a=0x10\n", 16),
        ("a=010\n", 8),
        ("a=09\n", "09"),
        ("a=12ab34\n", "12ab34"),
        ('a=""', ""),
        ("a=[]\n", []),
        ("a=[\n\n]\n", []),
        ("a=[1,\n2,#c\n]\n", [1, 2]),
        ("a=[1\n,2]\n", [1, 2]),
        ('a=[[1,"b"],2]\n', [[1, "b"], 2]),
        ("a=1#c\n", 1),
        ("a=1 #", 1),
        ("\n\n;;\n;a=1", 1),
        ("a\t=\t1\t\n", 1),
        ("a=1\na=2\n", 2),
        ('a="1"\na+="2"\n', "12"),
        ("a=1\na+=2\n", "12"),
        ("a=[1]\na+=[2]\n", [1, 2]),
        ('a+=[1]\na=2\na+="3"\n', "23"),
        ("a='x\\'y'", "x'y"),
        ('a="x\'y"', "x'y"),
        ('a="x\ty\rz"', "x\ty\rz"),
        (r'a="\a\b\f\n\r\t\v\\\"' + "\\'" + '"', "\a\b\f\n\r\t\v\\\"'"),
        # An octal escape is read, in decimal, and dropped.
        (r'a="x\0123y"', "xy"),
        (r'a="x\012"', "x"),
        (r'a="\0 1 "', " "),
        (r'a="\018"', ""),
    ],
)
def test_what_xl_accepts(text, value):
    assert xlcfg.parse(text).get("a") == value


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ("a=1\n# x", 2, 1, "newline"),
        ("a=1\r\nb=2\r\n", 1, 4, "Unix line ends"),
        ("a=-1\n", 1, 3, "no sign"),
        ("A=1\n", 1, 1, "lower case"),
        ("a=True\n", 1, 3, "quotes"),
        ("a=1 b=2\n", 1, 5, "newline or ';'"),
        ("a=\n1\n", 1, 3, "a value is"),
        ("a\n=1\n", 1, 2, "must follow the key"),
        ("+=1", 1, 1, "starts with its key"),
        ("a=[,]\n", 1, 4, "a value is"),
        ("a=[1,,2]", 1, 6, "a value is"),
        ("a=[1 2]\n", 1, 6, "',' or ']'"),
        ("a=[1;2]\n", 1, 5, "',' or ']'"),
        ('x=1\na=["x",', 2, 8, "a value is"),
        ('a="x\n"', 1, 3, "not closed"),
        (r'a="x\x41"', 1, 3, "escape"),
        (r'a="\1"', 1, 3, "escape"),
        (r'a="\q"', 1, 3, "escape"),
        ('a="\0"', 1, 3, "NUL"),
        ("a=[1]\na+=2\n", 2, 2, "cannot be added"),
        ("\ufeffa=1\n", 1, 1, "character"),
        ("a = foo\n", 1, 5, "a value is"),
        ("a=" + "[" * 60 + "]" * 60, 1, 53, "nested too deeply"),
    ],
)
def test_what_xl_refuses_is_named_with_its_place(text, line, column, reason):
    with pytest.raises(xlcfg.ConfigSyntaxError) as caught:
        xlcfg.parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert reason in caught.value.reason
    assert "line {0}, column {1}".format(line, column) in str(caught.value)


def test_spans_cover_the_statements():
    text = corpus("terse.cfg")
    config = xlcfg.parse(text)
    assert [text[s.start : s.end].split("=")[0].strip() for s in config.statements] == [
        s.key for s in config.statements
    ]
    assert text[config.value("cpus").start : config.value("cpus").end].startswith('["0"')
    assert config.statements[0].line == 1
    assert config.last("pool").line == 5


def test_numbers_are_read_as_xl_does():
    config = xlcfg.parse('a="5"\nb=" 0x5"\nc="5 "\nd=1\nd+=2\ne=[1]\nf="-3"\ng=0xffffffffffffffffff\n')
    assert [config.integer(key) for key in ("a", "b", "f", "absent")] == [5, 5, -3, None]
    for key in ("c", "d", "g"):
        with pytest.raises(Failure, match="{0} must be a number".format(key)):
            config.integer(key)
    with pytest.raises(Failure, match="line 6: e is a list"):
        config.integer("e")


def test_strings_and_keys():
    config = xlcfg.parse(corpus("additions.cfg"))
    assert config.keys() == ["name", "extra", "disk", "memory", "cpus", "vcpus", "cpu_weight", "cap"]
    assert config.string("extra") == "console=hvc0 single"
    assert config.get("disk") == ["/dev/vg0/a,raw,xvda,rw", "/dev/vg0/b,raw,xvdb,rw"]
    assert config.integer("memory") == 320
    assert config.get("cpus") == [2, 3, "node:1,^7"]
    assert config.string("cap") == "150"
    assert config.string("absent") is None
    assert config.value("absent") is None


def test_every_byte_survives():
    data = bytes(bytearray(range(1, 256)))
    assert xlcfg.encode(xlcfg.decode(data)) == data
    assert xlcfg.encode(xlcfg.parse(corpus("bytes.bin")).string("name")) == b"caf\xe9"


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        # in place: the author's blanks, comment and quotes stay
        ("vcpus   = '2'   # two\n", {"vcpus": 4}, "vcpus   = 4   # two\n"),
        ("pool = 'a'\n", {"pool": "b"}, "pool = 'b'\n"),
        ("cpus=['0',\n  '1', # one\n]\nx=1", {"cpus": ["4", "5"]}, "cpus=['4', '5']\nx=1"),
        # already so, however written
        ("vcpus = '0x4'\n", {"vcpus": 4}, "vcpus = '0x4'\n"),
        ("cpus = [2,\n3,]\n", {"cpus": ["2", "3"]}, "cpus = [2,\n3,]\n"),
        ("a='x'; a+='y'", {"a": "xy"}, "a='x'; a+='y'"),
        # a number from a sum is none to xl
        ("a=1\na += 2\n", {"a": 12}, "a=1\na = 12\n"),
        # the last assignment is the one that counts
        ("a=1\na=2\n", {"a": 3}, "a=1\na=3\n"),
        ("a=[1]\na += [2]\n", {"a": ["5"]}, 'a=[1]\na = ["5"]\n'),
        # new keys
        ("", {"a": 1}, "a = 1\n"),
        ("b=2", {"a": 1}, "b=2\na = 1\n"),
        ("b=2\n\n", {"a": 'q"\\\n'}, 'b=2\n\na = "q\\"\\\\\\n"\n'),
        ("b=2 #", {"a": -1}, 'b=2 #\na = "-1"\n'),
        # removal, with the line when nothing else is on it
        ("a=1\nb=2\nc=3\n", {"b": None}, "a=1\nc=3\n"),
        ("a=1\n  b=2 ;\t\nc=3\n", {"b": None}, "a=1\nc=3\n"),
        ("a=1\nb=[2,\n3]", {"b": None}, "a=1\n"),
        ("a=1; b=2; c=3\n", {"b": None}, "a=1; c=3\n"),
        ("a=1; b=2; c=3\n", {"a": None}, "b=2; c=3\n"),
        ("a=1; b=2; c=3 # end\n", {"c": None}, "a=1; b=2 # end\n"),
        ("\tb=2   # why\n", {"b": None}, "\t# why\n"),
        ("b=1\na=1\nb+=2\n", {"b": None}, "a=1\n"),
        ("a=1\n", {"b": None}, "a=1\n"),
        ("a=1;b=2;", {"a": None, "b": None, "c": 3}, "c = 3\n"),
    ],
)
def test_edits_to_the_letter(text, changes, expected):
    assert xlcfg.edit(text, changes) == expected
    assert xlcfg.edit(expected, changes) == expected


def test_edit_refuses_what_it_cannot_do():
    with pytest.raises(xlcfg.ConfigSyntaxError):
        xlcfg.edit("a=1\n# open end", {"b": 1})
    with pytest.raises(Failure, match="cannot be a key"):
        xlcfg.edit("", {"Vcpus": 1})
    with pytest.raises(Failure, match="NUL"):
        xlcfg.edit("", {"a": "x\0"})
    with pytest.raises(Failure, match="strings, numbers and lists"):
        xlcfg.edit("", {"a": 1.5})


def test_edit_of_a_file_with_other_bytes():
    text = corpus("bytes.bin")
    before = xlcfg.encode(text)
    after = xlcfg.encode(xlcfg.edit(text, {"memory": 256}))
    assert after == before.replace(b"memory = 128", b"memory = 256")


@pytest.mark.parametrize(
    "quotes",
    ["\u201c\u201d", "\u2018\u2019", "\u201e\u201c", "\u00ab\u00bb", "``", "\udc93\udc94", "\u2033\u2033"],
)
def test_typographic_quotes_are_called_so(quotes):
    for text in ("cpus = {0}0-1{1}\n", "disk = [ {0}a{1} ]\n", 'name = "a"\ncpus = ["0", {0}1{1}]'):
        with pytest.raises(xlcfg.ConfigSyntaxError, match="typographic quotes"):
            xlcfg.parse(text.format(*quotes))


@pytest.mark.parametrize(
    "text",
    [
        "import os\nname = 'a'\n",
        "from os import *\n",
        "name = 'a' + str(vmid)\n",
        "vif = [ 'mac=%s' % mac ]\n",
        "def f(x):\n    return x\n",
        "if xm:\n    name = 'a'\n",
        "for i in range(3):\n    pass\n",
        "acpi = True\n",
        "vcpus = int(4)\n",
        "disk = ['a'] + ['b']\n",
        'extra = """a\nb"""\n',
        "device = {'a': 1}\n",
        "print 'x'\n",
    ],
)
def test_python_is_called_so(text):
    with pytest.raises(xlcfg.ConfigSyntaxError, match="written in Python"):
        xlcfg.parse("# a comment\n" + text)


@pytest.mark.parametrize(
    "text",
    [
        "a = b\n",
        "a = 'x\n",
        "a=1 b=2\n",
        "extra = \"x = int(3) + 'y'\" oops\n",
        "if = 1 2\n",
        "a = 'r = (1)'\nb\n",
    ],
)
def test_other_mistakes_are_not(text):
    with pytest.raises(xlcfg.ConfigSyntaxError) as caught:
        xlcfg.parse(text)
    assert "Python" not in caught.value.reason
