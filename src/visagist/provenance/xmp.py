"""The plainest mark: fields of XMP that readers of files know. Unsigned, lost on re-encoding."""

from __future__ import annotations

from xml.sax.saxutils import escape

from visagist.provenance.claims import Claim

__all__ = ["packet"]

_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>
<xmp:CreatorTool>{tool}</xmp:CreatorTool>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{what}</rdf:li></rdf:Alt></dc:description>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""
_WHAT = {
    "generated": "Generated picture: made by a neural network.",
    "swap": "Edited picture: a face was replaced by a neural network.",
    "makeup": "Edited picture: makeup was put on by a neural network.",
}


def packet(claim: Claim, *, tool: str) -> bytes:
    """An XMP packet with the digital source type, the tool, and a sentence or two.

    Args:
        claim: what was done.
        tool: name and version of the program.
    """
    what = _WHAT[claim.kind] + (f" {claim.title}." if claim.title else "")
    text = _PACKET.format(
        source=claim.source_type,
        tool=escape(f"{tool}, {claim.model_id}"),
        what=escape(what),
    )
    return text.encode()
