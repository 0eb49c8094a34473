"""Says inside a picture's file that it was generated, in the terms that readers of files know."""

from __future__ import annotations

from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from visagist.photo.photo import Photo

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's name for pictures that a trained network made."""
_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>
<xmp:CreatorTool>{tool}</xmp:CreatorTool>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{what}</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def generated_photo(pixels: NDArray[np.uint8], *, tool: str, what: str) -> Photo:
    """A photo whose files say that a network made it; save it with ``keep_gps=True``.

    (XMP may hold a location, so it is written only where that is allowed; this packet holds none.)

    Args:
        pixels: (H, W, 3) uint8.
        tool: program and model with their versions.
        what: a sentence: model, seed, number, steps.
    """
    packet = _PACKET.format(source=SOURCE_TYPE, tool=escape(tool), what=escape(what))
    plain = Photo.from_array(pixels)
    return Photo(plain.pixels, xmp=packet.encode("utf-8"))
