"""docs/configuration.md, from the settings themselves: ``python -m davserver.config.reference > docs/configuration.md``."""

import sys

from davserver.config.kinds import show
from davserver.config.settings import OURS, SETTINGS, Setting

_HEAD = """\
# Configuration

<!-- Made by `python -m davserver.config.reference`; a test compares. Do not edit. -->

Nothing needs to be set: without a file and without variables the server keeps everything in `./var`.

- The file is `wsgidav.yaml` in the working folder, or the one that `--config FILE` or `DAVSERVER_CONFIG` names. It holds
  WsgiDAV's own keys, and ours in a section `davserver:`.
- The environment wins over the file. An empty variable is one that is not set.
- An unknown key, an unknown `DAVSERVER_...` or `MINIO_...` variable, or a bad value stops the start with a line that names it.
- Sizes are bytes or a number with K, M, G, T or P (powers of 1024): `10G`.
- Durations are seconds or like `90s`, `24h`, `1h30m`, `7d`.
- `davserver config show` prints every setting, its value and where it came from. Secrets are never printed.
- What is chosen by what is set: the database by the beginning of `DATABASE_URL`; the store by `MINIO_ENDPOINT`; whether files are
  scanned for viruses by `CLAMAV_HOST`, see [scanning.md](scanning.md).
"""

_NOTE = """
## Several machines

Machines that share one PostgreSQL and one S3 bucket serve one drive. Each of them needs the same `DAVSERVER_MASTER_KEYS` and
`SECRET_KEY`. A single machine on PostgreSQL or S3 may leave both out and keep the files `keys.json` and `secret` in its data
folder; the server then says so at every start. Keep a copy of the key ring apart from the content: without it nothing can be
opened.
"""


def render() -> str:
    """The whole page."""
    ours = [s for s in SETTINGS if not s.is_wsgidav]
    theirs = [s for s in SETTINGS if s.is_wsgidav]
    rows = [
        _HEAD,
        f"\n## In the section `{OURS}:`\n\n",
        *_table(ours),
        "\n## WsgiDAV's own keys that we read too\n\n",
        *_table(theirs),
    ]
    return "".join([*rows, _NOTE])


def _table(settings: list[Setting]) -> list[str]:
    head = "| key | variable | default | allowed | what it is |\n|---|---|---|---|---|\n"
    return [head, *map(_row, settings)]


def _row(setting: Setting) -> str:
    shown = show(setting.kind, setting.default)
    default = setting.default_note or (f"`{shown}`" if shown else "")
    cells = (f"`{setting.key}`", f"`{setting.env}`", default, setting.kind.allowed, setting.help)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    sys.stdout.write(render())
