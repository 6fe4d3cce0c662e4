-- 01 rows of every table
SELECT 'Album', count(*) FROM Album;
-- 02 artists and how many albums they have
SELECT ar.Name, count(*) AS albums FROM Artist ar JOIN Album al ON al.ArtistId = ar.ArtistId GROUP BY ar.ArtistId, ar.Name ORDER BY albums DESC, ar.Name LIMIT 15;
-- 03 artists without an album
SELECT ar.ArtistId, ar.Name FROM Artist ar LEFT JOIN Album al ON al.ArtistId = ar.ArtistId WHERE al.AlbumId IS NULL ORDER BY ar.Name LIMIT 20;
-- 04 a four-way join
SELECT t.Name, al.Title, ar.Name, g.Name FROM Track t JOIN Album al ON al.AlbumId = t.AlbumId JOIN Artist ar ON ar.ArtistId = al.ArtistId JOIN Genre g ON g.GenreId = t.GenreId WHERE ar.Name = 'AC/DC' ORDER BY al.Title, t.TrackId;
-- 05 revenue by country
SELECT BillingCountry, count(*), sum(Total) AS revenue, avg(Total), min(Total), max(Total) FROM Invoice GROUP BY BillingCountry ORDER BY round(sum(Total), 2) DESC, BillingCountry;
-- 06 HAVING
SELECT BillingCity, count(*) AS n FROM Invoice GROUP BY BillingCity HAVING count(*) > 7 AND sum(Total) > 40 ORDER BY n DESC, BillingCity;
-- 07 revenue by month, from the text of dates
SELECT substr(InvoiceDate, 1, 7) AS month, count(*), sum(Total) FROM Invoice WHERE InvoiceDate >= '2022-01-01' AND InvoiceDate < '2023-01-01' GROUP BY substr(InvoiceDate, 1, 7) ORDER BY month;
-- 08 date ranges by BETWEEN
SELECT InvoiceId, InvoiceDate, Total FROM Invoice WHERE InvoiceDate BETWEEN '2021-03-01 00:00:00' AND '2021-03-31 00:00:00' ORDER BY InvoiceDate, InvoiceId;
-- 09 customers and what they spent, best first
SELECT c.FirstName || ' ' || c.LastName, c.Country, sum(i.Total) AS spent FROM Customer c JOIN Invoice i ON i.CustomerId = c.CustomerId GROUP BY c.CustomerId, c.FirstName, c.LastName, c.Country ORDER BY round(sum(i.Total), 2) DESC, c.CustomerId LIMIT 10;
-- 10 CASE
SELECT CASE WHEN Milliseconds < 120000 THEN 'short' WHEN Milliseconds < 300000 THEN 'medium' ELSE 'long' END AS class, count(*), min(Milliseconds), max(Milliseconds) FROM Track GROUP BY 1 ORDER BY class;
-- 11 CASE with an operand, and NULL
SELECT EmployeeId, LastName, CASE ReportsTo WHEN 1 THEN 'boss' WHEN 2 THEN 'sales' WHEN 6 THEN 'it' END, coalesce(ReportsTo, -1) FROM Employee ORDER BY EmployeeId;
-- 12 a table joined with itself
SELECT e.LastName, m.LastName FROM Employee e LEFT JOIN Employee m ON m.EmployeeId = e.ReportsTo ORDER BY e.EmployeeId;
-- 13 LIKE, any case
SELECT TrackId, Name FROM Track WHERE Name LIKE '%LOVE%' ORDER BY TrackId LIMIT 25;
-- 14 LIKE with one character and an escape
SELECT Name FROM Artist WHERE Name LIKE 'A__d%' OR Name LIKE '%\_%' ESCAPE '\' ORDER BY Name;
-- 15 NOT LIKE, IN with a list
SELECT FirstName, LastName, Country FROM Customer WHERE Country IN ('Germany', 'France', 'Brazil') AND Email NOT LIKE '%gmail%' ORDER BY Country, LastName;
-- 16 IN with a subquery
SELECT count(*) FROM Track WHERE AlbumId IN (SELECT AlbumId FROM Album WHERE ArtistId IN (SELECT ArtistId FROM Artist WHERE Name LIKE 'M%'));
-- 17 NOT IN with a subquery
SELECT count(*), min(TrackId), max(TrackId) FROM Track WHERE TrackId NOT IN (SELECT TrackId FROM InvoiceLine);
-- 18 a scalar subquery
SELECT Name, Milliseconds FROM Track WHERE Milliseconds > (SELECT avg(Milliseconds) * 5 FROM Track) ORDER BY Milliseconds DESC, TrackId LIMIT 12;
-- 19 a scalar subquery among the results
SELECT InvoiceId, Total, Total * 100 / (SELECT sum(Total) FROM Invoice WHERE BillingCountry = 'Norway') FROM Invoice WHERE BillingCountry = 'Norway' ORDER BY InvoiceId;
-- 20 DISTINCT
SELECT DISTINCT Country, State FROM Customer WHERE State IS NOT NULL ORDER BY Country, State;
-- 21 count of DISTINCT
SELECT count(DISTINCT Country), count(State), count(*), count(DISTINCT Company) FROM Customer;
-- 22 ORDER BY several, LIMIT and OFFSET
SELECT TrackId, Name, UnitPrice FROM Track ORDER BY UnitPrice DESC, Milliseconds, TrackId LIMIT 10 OFFSET 20;
-- 23 NULLs first
SELECT CustomerId, Company FROM Customer ORDER BY Company, CustomerId LIMIT 60;
-- 24 a group over a join over a key of two columns
SELECT p.Name, p.PlaylistId, count(pt.TrackId) AS tracks, sum(t.Milliseconds) FROM Playlist p LEFT JOIN PlaylistTrack pt ON pt.PlaylistId = p.PlaylistId LEFT JOIN Track t ON t.TrackId = pt.TrackId GROUP BY p.PlaylistId, p.Name ORDER BY tracks DESC, p.PlaylistId;
-- 25 a range over a key of two columns
SELECT count(*), min(TrackId), max(TrackId) FROM PlaylistTrack WHERE PlaylistId = 5 AND TrackId > 1000;
-- 26 genres by sold tracks
SELECT g.Name, sum(il.Quantity) AS sold, sum(il.Quantity * il.UnitPrice) FROM InvoiceLine il JOIN Track t ON t.TrackId = il.TrackId JOIN Genre g ON g.GenreId = t.GenreId GROUP BY g.GenreId, g.Name ORDER BY sold DESC, g.Name;
-- 27 employees and what their customers spent
SELECT e.FirstName, e.LastName, count(DISTINCT c.CustomerId), sum(i.Total) FROM Employee e JOIN Customer c ON c.SupportRepId = e.EmployeeId JOIN Invoice i ON i.CustomerId = c.CustomerId GROUP BY e.EmployeeId, e.FirstName, e.LastName ORDER BY e.EmployeeId;
-- 28 functions of text
SELECT upper(LastName), lower(FirstName), length(Email), substr(Phone, 1, 4), replace(Email, '@', ' at ') FROM Customer WHERE Country IN ('USA', 'United Kingdom', 'India') ORDER BY CustomerId;
-- 29 arithmetic, division of integers, rest, sign
SELECT TrackId, Milliseconds / 1000, Milliseconds % 1000, -Milliseconds, Bytes / Milliseconds, abs(5 - TrackId) FROM Track WHERE TrackId < 12 ORDER BY TrackId;
-- 30 logic with NULL
SELECT count(*) FROM Track WHERE Composer IS NULL OR NOT (Composer = 'AC/DC' AND GenreId = 1);
-- 31 texts beyond ASCII
SELECT CustomerId, FirstName, LastName, City, length(City) FROM Customer WHERE Country IN ('Brazil', 'Czech Republic', 'Norway') ORDER BY CustomerId;
-- 32 CAST
SELECT CAST(Total AS INTEGER), count(*) FROM Invoice GROUP BY CAST(Total AS INTEGER) ORDER BY 1;
-- 33 a correlated condition through a join and a group
SELECT al.Title, count(*) AS n, max(t.Milliseconds) FROM Album al JOIN Track t ON t.AlbumId = al.AlbumId GROUP BY al.AlbumId, al.Title HAVING count(*) >= 20 ORDER BY n DESC, al.Title;
-- 34 no rows, and aggregates of none
SELECT count(*), sum(Total), max(Total) FROM Invoice WHERE BillingCountry = 'Nowhere';
-- 35 the end of an index
SELECT InvoiceLineId, InvoiceId FROM InvoiceLine WHERE InvoiceId = 412 OR InvoiceId = 1 ORDER BY InvoiceLineId;
