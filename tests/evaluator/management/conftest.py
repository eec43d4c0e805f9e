"""The store of every test is its own."""

from tests.evaluator.data.conftest import home as home
