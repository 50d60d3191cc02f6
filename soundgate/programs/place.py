"""Write a text that was known when the pipeline was declared to a file that other steps read.

Writes  placed/    one file, NAME, with the text

    place(name="user_config.yaml", text="dataset: {name: ESC-10}")

For engines whose tasks share no folder with the host that submits them.
"""

from __future__ import annotations

import base64

from soundgate.errors import ParameterError
from soundgate.step import OutputPath, main


def place(placed: OutputPath, *, name: str, text: str, encoded: bool = False) -> None:
    """Write ``text`` as UTF-8; ``encoded``, it is Base64, which no engine changes on its way."""
    if "/" in name or name in ("", ".", ".."):
        raise ParameterError(f"name: {name!r} is not a file name")
    if encoded:
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise ParameterError(f"text: is not Base64 ({error})") from error
    else:
        data = text.encode("utf-8", "surrogateescape")
    placed.mkdir(parents=True, exist_ok=True)
    (placed / name).write_bytes(data)
    print(f"{name}: {len(data)} bytes")


if __name__ == "__main__":
    main(place)
