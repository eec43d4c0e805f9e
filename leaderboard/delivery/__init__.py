"""How answers reach readers: compressed, with validators, and the same one not rendered twice a moment."""
