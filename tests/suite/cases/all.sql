-- One schema for all cases: each workload beside it shows one anomaly.
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, phone TEXT, n INTEGER, on_call INTEGER);
CREATE TABLE orders (id UUID PRIMARY KEY, person INTEGER, what TEXT);
CREATE TABLE tally (id INTEGER PRIMARY KEY, n INTEGER COUNTER DEFAULT 0);
CREATE TABLE seen (id UUID PRIMARY KEY, x INTEGER, y INTEGER);
