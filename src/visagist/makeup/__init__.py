"""TinyBeauty: styles, the retoucher that renders them, and the network that has learned them."""
