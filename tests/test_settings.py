"""capacity.toml: the settings and the risk taken."""

import pytest

from capacity.errors import InputError
from capacity.settings import Risk, Settings, parse_settings


def says(text):
    with pytest.raises(InputError) as caught:
        parse_settings(text)
    return str(caught.value)


def test_defaults_are_the_contracts():
    risk = Settings().risk
    assert (risk.overload_probability, risk.non_core_overload_probability) == (0.05, 0.2)
    assert (risk.zone_losses, risk.utilization_ceiling) == (1, 1.0)


def test_every_default_in_use_is_an_assumption():
    assert len(parse_settings("").assumptions()) == 7
    full = (
        'timezone = "Asia/Shanghai"\ncurrency = "CNY"\ncountry = "CN"\n[risk]\noverload_probability = 0.05\n'
        "non_core_overload_probability = 0.2\nzone_losses = 1\nutilization_ceiling = 1.0\n"
    )
    assert parse_settings(full).assumptions() == []


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('timezone = "Asia/Shangai"', "did you mean 'Asia/Shanghai'?"),
        ('timezone = "../../../etc/passwd"', "an IANA time zone"),
        ('timezone = ""', "some text"),
        ("timezone = 8", "put it in quotes"),
        ('country = "China"', "country"),
        ('currency = "yuan"', "currency"),
        ("[risk]\noverload_probability = 0", "more than 0"),
        ("[risk]\noverload_probability = 5", "less than 1"),
        ("[risk]\noverload_probability = nan", "finite"),
        ("[risk]\nzone_losses = -1", "at least 0"),
        ("[risk]\nutilization_ceiling = 1.2", "at most 1"),
        ("[risk]\nutilisation_ceiling = 0.8", "did you mean 'utilization_ceiling'?"),
        ("[[risk]]\nzone_losses = 1", "a mapping"),
        ("timezone = Asia/Shanghai", "capacity.toml:1"),
    ],
)
def test_bad_settings(text, part):
    assert part in says(text)


def test_all_problems_at_once_with_their_lines():
    text = 'timezone = "X"\ncurency = "CNY"\n[risk]\nzone_losses = 1.5\n'
    assert [line.split(" ")[3] for line in says(text).splitlines()[1:]] == [
        "capacity.toml:1", "capacity.toml:2", "capacity.toml:4",
    ]  # fmt: skip


def test_settings_do_not_change():
    with pytest.raises(ValueError, match="frozen"):
        Risk().zone_losses = 2
