-- Seats, booked by looking whether one is free and then writing a row: right on one node, not on two.
CREATE TABLE booking (id UUID PRIMARY KEY, seat INTEGER NOT NULL, guest TEXT NOT NULL);
