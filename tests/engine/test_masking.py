from __future__ import annotations

import pytest

from soundgate.text.masking import masked, masked_values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://anna:hunter22@mlflow.lab/x", "https://***@mlflow.lab/x"),
        ("git clone https://ghp_0123456789@git.lab/y", "git clone https://***@git.lab/y"),
        ("postgresql+psycopg2://me:pw@db:5432/x", "postgresql+psycopg2://***@db:5432/x"),
        ("curl -H 'Authorization: Bearer abcdef.gh'", "curl -H 'Authorization: Bearer ***'"),
        ("curl -H 'Authorization: Basic YWJjZGVm'", "curl -H 'Authorization: Basic ***'"),
        ("wget --password=hunter2 u", "wget --password=*** u"),
        ("kaggle --api-key 12345 get", "kaggle --api-key *** get"),
        ("HF_TOKEN=hf_abc python get.py", "HF_TOKEN=*** python get.py"),
        ("https://x/y?token=abc&n=1", "https://x/y?token=***&n=1"),
        ('{"secret": "abc", "n": 1}', '{"secret": "***", "n": 1}'),
        ("AKIAABCDEFGHIJKLMNOP", "***"),
    ],
)
def test_masks_secrets(text, expected):
    assert masked(text, {}) == expected
    assert masked(masked(text, {}), {}) == expected


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/a@b",
        "mail anna@lab.org about it",
        "tokens per second 30, max_tokens=5, tokenizer=bert",
        "no password was given; the token is missing",
        "author: anna, authority=x, key=value, monkey=1",
        "sqlite:////runs/mlflow.db",
        "password_file=/run/secrets/x",
        "export SOUNDGATE_TOKEN= SOUNDGATE_ROOT=runs",
    ],
)
def test_leaves_other_text_alone(text):
    assert masked(text, {}) == text


def test_masks_the_values_of_secret_variables_wherever_they_appear():
    environment = {
        "MLFLOW_TRACKING_PASSWORD": "hunter22",
        "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI",
        "HOME": "/home/anna",
        "SOUNDGATE_KEY": "0123456789",  # a cache key
        "MY_TOKEN": "short",  # would be found in ordinary words
    }
    text = "said hunter22 and wJalrXUtnFEMI in /home/anna, in short"
    assert masked(text, environment) == "said *** and *** in /home/anna, in short"


def test_masks_every_text_of_a_document():
    document = {"a": ["https://u:p@h/x", 1], "b": {"c": "token=abcdef"}, "d": None}
    assert masked_values(document) == {
        "a": ["https://***@h/x", 1],
        "b": {"c": "token=***"},
        "d": None,
    }
