-- A shop as one would write it for a database with one writer: stock as a number, a cart as a list in a text.
CREATE TABLE stock (item TEXT PRIMARY KEY, n INTEGER NOT NULL);
CREATE TABLE cart (customer INTEGER PRIMARY KEY, items TEXT NOT NULL);
CREATE TABLE sale (id UUID PRIMARY KEY, item TEXT, qty INTEGER);
CREATE TABLE click (id UUID PRIMARY KEY, customer INTEGER, item TEXT);
