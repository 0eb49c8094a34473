"""How the retoucher paints: where (geometry, from the mesh) and what (pigments, from the face)."""
