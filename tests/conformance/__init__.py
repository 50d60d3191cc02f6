"""One suite that every executor passes."""

import pytest

pytest.register_assert_rewrite("conformance.suite", "conformance.sending", "conformance.engine")
