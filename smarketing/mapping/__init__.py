"""One mapping language: how rows of a file and documents of a webhook become messages of the contract."""
