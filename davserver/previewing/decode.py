"""The program that decodes: content on stdin, a WebP of at most 512 x 512 on stdout. Started by `davserver.previewing.maker`.

It imports nothing of ours, has no environment, writes no file, and is limited in memory and time before it reads a byte: what
it decodes comes from anybody. It ends with `REFUSED` when there is no picture in it, and any other way when a decoder failed.
"""

import io
import resource
import sys
import warnings
from typing import IO, Any

REFUSED = 3
EDGE = 512
"""Pixels of the longer side."""
MAX_PIXELS = 50_000_000
"""Of a picture: more are not decoded, whatever its file's size."""
MEMORY = 768 * 1024 * 1024
CPU_SECONDS = 20
FORMATS = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "PNG", "TIFF", "WEBP")


class Refused(Exception):
    """No picture."""


def limit() -> None:
    """Bound what this process can take."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # No forks, where the system counts them; descriptors enough to load libraries.
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def picture_of(content: bytes) -> Any:
    """The first picture of an image file, upright and small."""
    from PIL import Image, ImageOps  # noqa: PLC0415 - loaded within the limits

    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise Refused
        image.draft("RGB", (EDGE * 2, EDGE * 2))  # a JPEG is decoded smaller at once
        image.load()
        upright = ImageOps.exif_transpose(image)
        has_alpha = "A" in upright.getbands() or "transparency" in upright.info
        small = upright.convert("RGBA" if has_alpha else "RGB")
        small.thumbnail((EDGE, EDGE))
        return small


def page_of(content: bytes) -> Any:
    """The first page of a PDF, small."""
    import pypdfium2  # noqa: PLC0415 - loaded within the limits

    document = pypdfium2.PdfDocument(content)  # type: ignore[no-untyped-call]
    if len(document) == 0:
        raise Refused
    page = document[0]
    width, height = page.get_size()
    if not 0 < width < 1e6 or not 0 < height < 1e6:
        raise Refused
    image = page.render(scale=EDGE / max(width, height), may_draw_forms=False).to_pil().convert("RGB")
    image.thumbnail((EDGE, EDGE))
    return image


def main(kind: str, source: IO[bytes], sink: IO[bytes]) -> int:
    """Decode what comes, and write what is shown of it."""
    limit()
    try:
        image = (page_of if kind == "pdf" else picture_of)(source.read())
        made = io.BytesIO()
        image.save(made, "WEBP", quality=80)  # of the original, no more than pixels: no place, no camera
    except MemoryError:
        return REFUSED
    except Exception:  # noqa: BLE001 - decoders raise anything about what is broken
        return REFUSED
    sink.write(made.getvalue())
    sink.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.stdin.buffer, sys.stdout.buffer))
