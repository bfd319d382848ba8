"""One function per thing a person would name; each decides a batch in one transaction."""
