"""What the embedding done here would cost elsewhere."""

from __future__ import annotations

from localsearch.settings import CostSettings


def hosted(tokens: int, settings: CostSettings) -> dict[str, float]:
    """Dollars for this many tokens, by the name of each price in the settings (dollars per million tokens).

    2,000,000 tokens at 0.02 are 0.04 dollars.
    """
    return {name: round(tokens * price / 1_000_000, 6) for name, price in settings.prices.items()}
