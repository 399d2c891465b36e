"""What is kept in step with the database: here, the model of a version."""

from __future__ import annotations

import pytest

from localsearch.derived import Model
from localsearch.errors import ModelDamagedError
from localsearch.models.encoder import OnnxEncoder


class _Loading:
    """A model that does not load until it is `mended`, a clock, and how often loading was tried."""

    def __init__(self, encoder: OnnxEncoder) -> None:
        self.encoder, self.mended, self.tries, self.now = encoder, False, 0, 0.0
        self.model = Model(self.load, lambda: self.now)

    def load(self) -> OnnxEncoder:
        self.tries += 1
        if not self.mended:
            raise ModelDamagedError("it does not load", hint="Pull it again.")
        return self.encoder


def test_a_model_that_does_not_load_is_not_tried_at_every_query(encoder: OnnxEncoder) -> None:
    loading = _Loading(encoder)
    assert loading.model.usable
    for _ in range(5):
        with pytest.raises(ModelDamagedError, match="does not load"):
            loading.model.encoder()
    assert (loading.tries, loading.model.usable) == (1, False)
    loading.mended, loading.now = True, 29.9
    with pytest.raises(ModelDamagedError):
        loading.model.encoder()
    loading.now = 30.0
    assert loading.model.usable
    assert loading.model.encoder() is loading.model.encoder() is encoder
    assert loading.tries == 2


def test_who_asks_for_the_model_has_it_tried_at_once(encoder: OnnxEncoder) -> None:
    loading = _Loading(encoder)
    with pytest.raises(ModelDamagedError):
        loading.model.encoder()
    loading.mended = True
    loading.model.try_again()
    assert loading.model.encoder() is encoder
