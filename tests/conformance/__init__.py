"""One suite that every executor passes."""

import pytest

pytest.register_assert_rewrite(
    *(f"conformance.{name}" for name in ("suite", "sending", "failing", "engine"))
)
