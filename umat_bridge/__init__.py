"""The border between matnet's laws and finite element codes."""
