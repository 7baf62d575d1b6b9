"""Is a generator worth it for a system: a pilot that measures costs before anything is trained."""
