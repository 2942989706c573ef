// Only carries the shared precompiled header.
