"""The form at ``/``: files in, the answer as JSON; without scripts."""

from html import escape

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from soundgate.audio.serving.web.state import Serving

router = APIRouter()
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Soundgate</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: auto; padding: 1rem }}
label, button {{ display: block; margin-top: 1rem }}
select, input, button {{ font: inherit; max-width: 100% }}
</style>
<h1>Soundgate</h1>
<form method="post" enctype="multipart/form-data" action="/predict{query}">
<label>Audio files <input type="file" name="audio_files" multiple required accept="audio/*"></label>
<button>Predict</button>
</form>
<p>Models: {models}. All routes: <a href="/docs">/docs</a>.</p>
</html>
"""


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
async def form(service: Serving, model: str | None = None) -> HTMLResponse:
    """A form for each model; links choose the model."""
    names = service.catalogue.names
    chosen = model if model in names else names[0]
    links = ", ".join(
        f"<strong>{escape(name)}</strong>"
        if name == chosen
        else f'<a href="/?model={quoted(name)}">{escape(name)}</a>'
        for name in names
    )
    return HTMLResponse(PAGE.format(query=f"?model={quoted(chosen)}", models=links))


def quoted(name: str) -> str:
    """A name as part of an address in HTML."""
    from urllib.parse import quote

    return escape(quote(name, safe=""))
