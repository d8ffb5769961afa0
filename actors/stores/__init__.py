"""What keeps wallets and their books: protocols (`wallets`, `actors.books.checkpoints`), and files of SQLite behind them."""
