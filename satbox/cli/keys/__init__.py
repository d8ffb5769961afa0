"""What an owner gives out or keeps: spending keys, wake links, secrets."""
