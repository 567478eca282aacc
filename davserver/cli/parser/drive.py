"""What lies in a drive: trash, links, infected files."""

from typing import Final

from davserver.cli.parser.adding import Commands, add_command, duration, duration_or_server, later

_TRASH: Final = later("trash")
_LINK: Final = later("links")
_SCAN: Final = later("scans")


def add_trash_commands(trash: Commands) -> None:
    """``trash ...``."""
    listing = add_command(trash, "list", _TRASH, "List what is in a user's trash.", "davserver trash list ada")
    restore = add_command(
        trash, "restore", _TRASH, "Bring something back to where it was.",
        'davserver trash restore ada "report (2).pdf" --to /old/report.pdf',
    )  # fmt: skip
    purge = add_command(
        trash, "purge", _TRASH, "Remove something in the trash for good.", "davserver trash purge ada photos/2001"
    )
    empty = add_command(
        trash, "empty", _TRASH, "Remove all that is in the trash for good.", "davserver trash empty ada"
    )
    settings = add_command(
        trash, "settings", _TRASH, "Show or change how a user's trash works.", "davserver trash settings ada --hide"
    )
    for parser in (listing, restore, purge, empty, settings):
        parser.add_argument("user", metavar="USER")
    restore.add_argument("entry", metavar="ENTRY", help="its name in the trash")
    restore.add_argument("--to", metavar="PATH", help="another place")
    restore.add_argument("--overwrite", action="store_true", help="what stands there goes to the trash")
    purge.add_argument("entry", metavar="ENTRY", help="its name in the trash, or a path below it")
    settings.add_argument(
        "--keep", type=duration_or_server, metavar="TIME", help="such as 12h, within the server's; or: server"
    )
    shown = settings.add_mutually_exclusive_group()
    shown.add_argument("--hide", dest="hidden", action="store_true", default=None, help="leave it out of listings")
    shown.add_argument("--show", dest="hidden", action="store_false", help="list it")


def add_link_commands(links: Commands) -> None:
    """``link ...``."""
    add = add_command(
        links, "add", _LINK, "Make a download link to a file or a folder.",
        "davserver link add ada /photos/2026 --expires 7d --uses 10",
    )  # fmt: skip
    listing = add_command(links, "list", _LINK, "List a user's download links.", "davserver link list ada")
    revoke = add_command(links, "revoke", _LINK, "Take a download link back, at once.", "davserver link revoke ada 7")
    for parser in (add, listing, revoke):
        parser.add_argument("user", metavar="USER")
    add.add_argument("path", metavar="PATH", help="the file or folder in the user's drive")
    add.add_argument("--name", metavar="NAME", help="what the list calls it (default: the name of the file)")
    add.add_argument("--expires", type=duration, metavar="TIME", help="when it ends, such as 12h or 7d")
    add.add_argument("--uses", type=int, metavar="N", help="how many downloads it is good for")
    add.add_argument("--password-stdin", action="store_true", help="ask for the password on the first line of stdin")
    add.add_argument("--url", default="", metavar="URL", help="the server's address, to print the whole link")
    revoke.add_argument("id", metavar="ID", type=int)


def add_scan_commands(scans: Commands) -> None:
    """``scan ...``."""
    add_command(
        scans, "status", _SCAN, "Say what scans, and how many contents have which verdict.", "davserver scan status"
    )
    add_command(scans, "list", _SCAN, "List all files that a virus was found in.", "davserver scan list")
    release = add_command(
        scans, "release", _SCAN, "Let an infected file be read all the same.", "davserver scan release ada /probe.exe"
    )
    release.add_argument("user", metavar="USER")
    release.add_argument("path", metavar="PATH", help="as davserver scan list shows it")
    rescan = add_command(
        scans, "rescan", _SCAN, "Scan a file, or all of them, again.", "davserver scan rescan ada /probe.exe"
    )
    rescan.add_argument("user", metavar="USER", nargs="?", help="default: everybody")
    rescan.add_argument("path", metavar="PATH", nargs="?", help="default: all the user's files, in the background")
