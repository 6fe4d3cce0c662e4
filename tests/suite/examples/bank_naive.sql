-- Accounts as one would write them for a database with one writer.
CREATE TABLE account (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, balance INTEGER NOT NULL);
CREATE TABLE transfer (id UUID PRIMARY KEY, source INTEGER, target INTEGER, amount INTEGER);
