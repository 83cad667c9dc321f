"""The tests of `agreed`, package by package, and the instruments that judge whole servers."""
