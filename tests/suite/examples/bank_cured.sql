-- The same accounts, with a balance that several may change at once: a COUNTER adds up all changes.
CREATE TABLE account (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, balance INTEGER COUNTER);
CREATE TABLE transfer (id UUID PRIMARY KEY, source INTEGER, target INTEGER, amount INTEGER);
