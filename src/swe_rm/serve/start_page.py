"""The start page: a form that takes an attempt, by hand or as a file, and shows its verdict and its curve."""

import base64
import hashlib
from importlib.resources import files

from swe_rm.page import page, safe

_SCRIPT = files("swe_rm.serve").joinpath("start_page.js").read_text(encoding="utf-8")
_HASH = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()

POLICY = (
    f"default-src 'none'; connect-src 'self'; script-src 'sha256-{_HASH}'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may do: run this one script and talk to its own server."""

_FORM = """
<style>
textarea { width: 100%; min-height: 14rem; box-sizing: border-box; font: 13px/1.4 ui-monospace, monospace; }
form.over textarea { outline: 3px solid currentColor; }
label { display: block; margin: .6rem 0 .2rem; } #results svg { max-width: 44rem; }
#results .score { font-size: 1.3rem; font-variant-numeric: tabular-nums; }
</style>
<form id="form">
<label for="text">Paste an attempt in any known format, or as plain text; or drop a file here</label>
<textarea id="text" spellcheck="false"></textarea>
<label for="file">or choose a file</label>
<input id="file" type="file">
<label for="token">Bearer token, where the server asks for one</label>
<input id="token" type="password" autocomplete="off">
<p><button id="judge">Judge</button></p>
</form>
<p id="status" role="status" aria-live="polite"></p>
<div id="results"></div>
"""


def start_page(verifier: str) -> str:
    """The page as HTML; it loads nothing."""
    title = f"<h1>swe-rm</h1><p>Did the attempt resolve its issue? Judged by <code>{safe(verifier)}</code>.</p>"
    end = '<p><small>The same over HTTP: <a href="openapi.json">openapi.json</a></small></p>'
    return page("swe-rm", [title, _FORM, end, f"<script>{_SCRIPT}</script>"])
