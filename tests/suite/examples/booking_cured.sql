-- A seat can be in one booking only: of two that were made at once on different nodes the earlier one stands, on all nodes, and the other waits in quartet_quarantine.
CREATE TABLE booking (id UUID PRIMARY KEY, seat INTEGER NOT NULL UNIQUE, guest TEXT NOT NULL);
