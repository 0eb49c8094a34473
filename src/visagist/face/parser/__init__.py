"""The parser, which says what part of a portrait each pixel is: training, evaluation and use."""
