-- The same accounts, with a balance that several may change at once: a COUNTER adds up all changes, and one with a bound lets nobody spend what others have spent.
CREATE TABLE account (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, balance INTEGER COUNTER CHECK (balance >= 0));
CREATE TABLE transfer (id UUID PRIMARY KEY, source INTEGER, target INTEGER, amount INTEGER);
